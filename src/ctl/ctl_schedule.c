/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_schedule.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl_answer.h"
#include "ctl/ctl_body.h"
#include "ctl/ctl_each.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_request.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_watch.h"

#define SCHEDULES "/cassata/schedules"

enum { QUERY_MAX_BYTES = 64 * 1024 };

static const char usage[] =
    "usage: cassatactl schedule add [-S url] [-a application] [--json]\n"
    "           --cron expression [--time-zone zone] [--gap skip|after] |\n"
    "           --every duration\n"
    "           [--start time] [--end time] [--count n]\n"
    "           [--overlap skip|queue|allow] [--catch-up none|last|all]\n"
    "           [--window duration] [--jitter duration]\n"
    "           " CTL_REQUEST_USAGE "\n"
    "           id url [body | @file | -]\n"
    "       cassatactl schedule list [-S url] [--limit n | --all] [--watch]\n"
    "                               [--json] application\n"
    "       cassatactl schedule show [-S url] [--json] application id ...\n"
    "       cassatactl schedule delete [-S url] [--json] application id ...\n"
    "       cassatactl schedule run [-S url] [--json] application id ...\n"
    "       cassatactl schedule pause [-S url] [--json] application id ...\n"
    "       cassatactl schedule resume [-S url] [--json] application id ...\n";

struct schedule_flags {
	const struct ctl *ctl;
	const char *app;
	uint64_t left; /* to be listed */
	bool damaged;  /* some cannot be */
	struct json_object *schedule, *event;
};

/* Those with no letter go to the server as they are. */
static const struct option long_options[] = {
    {"cron", required_argument, NULL, 0},
    {"every", required_argument, NULL, 0},
    {"time-zone", required_argument, NULL, 0},
    {"gap", required_argument, NULL, 0},
    {"start", required_argument, NULL, 0},
    {"end", required_argument, NULL, 0},
    {"overlap", required_argument, NULL, 0},
    {"catch-up", required_argument, NULL, 0},
    {"window", required_argument, NULL, 0},
    {"jitter", required_argument, NULL, 0},
    {"count", required_argument, NULL, 'n'},
    CTL_REQUEST_ROWS,
    CTL_OPTION_JSON,
    CTL_OPTION_LIMIT,
    CTL_OPTION_ALL,
    CTL_OPTION_WATCH,
    {0},
};

static void
add_string(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static int
take_flag(void *arg, int c, const char *name)
{
	struct schedule_flags *flags = arg;

	switch (c) {
	case 0:
		add_string(flags->schedule, name, optarg);
		return 0;
	case 'n':
		ctl_request_number(flags->schedule, name, optarg);
		return 0;
	case 'A':
	case 'l':
		return ctl_options_limit(flags->ctl, c, &flags->left);
	case 'a':
		flags->app = optarg;
		return 0;
	default:
		return ctl_request_take(flags->event, c, name);
	}
}

static int
add_schedule(struct ctl *ctl, struct schedule_flags *flags)
{
	struct json_object *text;
	struct buf body, url = {0};
	int status;

	if (ctl->argc < 2 || ctl->argc > 3)
		return CTL_USAGE;
	buf_init(&body, CTL_BODY_MAX);
	status = ctl->argc == 3 ? ctl_body_read(ctl, ctl->argv[2], &body) : 0;
	add_string(flags->event, "url", ctl->argv[1]);
	json_object_object_add(flags->event, "event",
	    json_object_new_string_len(
		body.p == NULL ? "" : body.p, (int)body.len));
	text = json_object_new_object();
	json_object_object_add(
	    text, "schedule", json_object_get(flags->schedule));
	json_object_object_add(text, "event", json_object_get(flags->event));
	if (status == 0)
		status = ctl_http_url(
		    ctl, &url, SCHEDULES, flags->app, ctl->argv[0], "");
	if (status == 0)
		status = ctl_http_perform(ctl, "POST", url.p,
		    json_object_to_json_string_ext(text,
			/* it is kept as it is written */
			JSON_C_TO_STRING_PLAIN |
			    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(text);
	buf_free(&url);
	buf_free(&body);
	return status;
}

/* ---- the list ---- */

/* Of an array its first, of an object its url, of nothing NULL. */
static const struct json_value *
part_of(const struct json_value *schedule, const char *name,
    struct json_value *value)
{
	struct json_value whole;
	const char *at = NULL;
	bool found = ctl_member(schedule, name, &whole);

	*value = whole;
	if (found && whole.type == JSON_ARRAY)
		found = json_next_element(&whole, &at, value);
	else if (found && whole.type == JSON_OBJECT)
		found = ctl_member(&whole, "url", value);
	return found ? value : NULL;
}

static const struct schedule_column {
	const char *title, *name;
	size_t width;
} schedule_columns[] = {
    {"status", "status", 6},
    {"next", "next", 25},
    {"runs", "runs", 8},
    {"skipped", "skipped", 7},
    {"schedule-id", "schedule-id", 36},
    {"url", "event", 0},
};

/* Or their titles, of NULL. */
static void
print_schedule(const struct json_value *schedule)
{
	enum { N = sizeof(schedule_columns) / sizeof(schedule_columns[0]) };
	struct json_value value;

	for (size_t i = 0; i < N; i++) {
		const struct schedule_column *c = &schedule_columns[i];

		if (schedule == NULL)
			ctl_table_word(c->title, c->width);
		else
			ctl_table_cell(
			    part_of(schedule, c->name, &value), c->width);
	}
	(void)putchar('\n');
}

static int
print_schedules(const struct ctl *ctl, struct schedule_flags *flags,
    const struct json_value *page)
{
	struct json_value list, one;
	const char *at = NULL;

	if (!ctl_member(page, "schedules", &list) || list.type != JSON_ARRAY)
		return ctl_fail(ctl, "the answer is no list");
	for (; flags->left > 0 && json_next_element(&list, &at, &one);
	     flags->left--)
		if (ctl->json)
			ctl_answer_print_json(&one);
		else
			print_schedule(&one);
	return fflush(stdout) != 0 || ferror(stdout)
		   ? ctl_fail(ctl, "cannot write the list")
		   : CTL_OK;
}

static void
tell_damaged(const struct ctl *ctl, struct schedule_flags *flags,
    const struct json_value *page)
{
	struct json_value list, id;
	const char *at = NULL;

	if (!ctl_member(page, "damaged-ids", &list) || list.type != JSON_ARRAY)
		return;
	while (json_next_element(&list, &at, &id)) {
		flags->damaged = true;
		(void)ctl_fail(ctl, "a schedule cannot be read: %.*s",
		    (int)(id.raw.len < QUERY_MAX_BYTES ? id.raw.len
						       : QUERY_MAX_BYTES),
		    id.raw.p);
	}
}

/* *next is where the list goes on; empty at its end. It cannot be where it was.
 */
static int
note_next_schedules(
    const struct ctl *ctl, const struct json_value *page, struct buf *next)
{
	struct json_value after;
	struct buf before = *next;
	bool repeated;

	buf_init(next, QUERY_MAX_BYTES);
	if (ctl_member(page, "next", &after) && after.type == JSON_STRING) {
		buf_append_string(next, "?after=");
		(void)ctl_answer_encode(next, &after);
	}
	(void)buf_append_char(next, '\0');
	repeated =
	    next->len > 1 && slice_eq(buf_slice(next), buf_slice(&before));
	buf_free(&before);
	return repeated || next->failed ? ctl_fail(ctl, "the answer is no list")
					: CTL_OK;
}

static int
ask_schedules(const struct ctl *ctl, struct schedule_flags *flags,
    const char *url, struct buf *next)
{
	struct json_value page;
	struct buf answer;
	int status = ctl_http_ask(ctl, "GET", url, NULL, &answer);

	if (status == CTL_OK)
		status = ctl_answer_read(ctl, "list", &answer, &page);
	if (status == CTL_OK)
		status = print_schedules(ctl, flags, &page);
	if (status == CTL_OK) {
		tell_damaged(ctl, flags, &page);
		status = note_next_schedules(ctl, &page, next);
	}
	buf_free(&answer);
	return status;
}

static int
list_schedules_once(void *arg)
{
	struct schedule_flags once = *(const struct schedule_flags *)arg;
	struct schedule_flags *flags = &once;
	const struct ctl *ctl = flags->ctl;
	struct buf next, url;
	int status = CTL_OK;

	if (!ctl->json)
		print_schedule(NULL);
	buf_init(&next, QUERY_MAX_BYTES);
	(void)buf_append_char(&next, '\0');
	do {
		status = ctl_http_url(
		    ctl, &url, SCHEDULES, ctl->argv[0], NULL, next.p);
		if (status == CTL_OK)
			status = ask_schedules(ctl, flags, url.p, &next);
		buf_free(&url);
	} while (status == CTL_OK && flags->left > 0 && next.len > 1);
	buf_free(&next);
	return status == CTL_OK && flags->damaged ? CTL_FAILED : status;
}

static int
list_of_schedules(struct ctl *ctl, struct schedule_flags *flags)
{
	return ctl->argc != 1
		   ? CTL_USAGE
		   : ctl_watch_each_second(ctl, list_schedules_once, flags);
}

/* ---- the verbs ---- */

static const struct verb {
	const char *word, *method, *path; /* method NULL: of its own */
	int (*run)(struct ctl *ctl, struct schedule_flags *flags);
} schedule_verbs[] = {
    {"add", NULL, NULL, add_schedule},
    {"list", NULL, NULL, list_of_schedules},
    {"show", "GET", "", NULL},
    {"delete", "DELETE", "", NULL},
    {"run", "POST", "/run", NULL},
    {"pause", "POST", "/pause", NULL},
    {"resume", "POST", "/resume", NULL},
};

enum { N_SCHEDULE_VERBS = sizeof(schedule_verbs) / sizeof(schedule_verbs[0]) };

/* An application, and ids. */
static int
schedules_by_ids(const struct ctl *ctl, const struct verb *verb)
{
	const struct ctl_each each = {
	    .method = verb->method,
	    .path = SCHEDULES,
	    .app = ctl->argv[0],
	    .tail = verb->path,
	};

	return ctl->argc < 2
		   ? CTL_USAGE
		   : ctl_each(ctl, &each, ctl->argv + 1, ctl->argc - 1);
}

int
ctl_schedule(struct ctl *ctl)
{
	struct schedule_flags flags = {
	    .ctl = ctl, .app = "cassatactl", .left = UINT64_MAX};
	const struct verb *verb;
	int status = CTL_USAGE;

	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	verb = ctl_take_verb(
	    ctl, schedule_verbs, N_SCHEDULE_VERBS, sizeof(*schedule_verbs));
	flags.schedule = json_object_new_object();
	flags.event = json_object_new_object();
	if (verb != NULL &&
	    ctl_options(ctl, "S:a:" CTL_REQUEST_LETTERS, long_options,
		take_flag, &flags) == 0 &&
	    (!ctl->watch || verb->run == list_of_schedules))
		status = verb->run != NULL ? verb->run(ctl, &flags)
					   : schedules_by_ids(ctl, verb);
	if (status == CTL_USAGE)
		(void)ctl_refuse_usage(usage);
	json_object_put(flags.schedule);
	json_object_put(flags.event);
	return status;
}
