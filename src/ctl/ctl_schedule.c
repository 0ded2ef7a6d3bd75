/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_schedule.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/percent.h"
#include "ctl/ctl_body.h"
#include "ctl/ctl_http.h"

enum { URL_MAX_BYTES = 64 * 1024 };

static const char usage[] =
    "usage: cassatactl schedule add [-S url] [-a application] [-m method]\n"
    "                               [-H 'Name: value'] --cron expression |\n"
    "                               --every duration [--time-zone zone]\n"
    "                               [--gap skip|after] [--start time] [--end "
    "time]\n"
    "                               [--count n] [--overlap skip|queue|allow]\n"
    "                               [--catch-up none|last|all] [--window "
    "duration]\n"
    "                               [--jitter duration] id url [body | @file | "
    "-]\n"
    "       cassatactl schedule list [-S url] [--json] application\n"
    "       cassatactl schedule show [-S url] application id\n"
    "       cassatactl schedule delete [-S url] application id\n"
    "       cassatactl schedule run [-S url] application id\n"
    "       cassatactl schedule pause [-S url] application id\n"
    "       cassatactl schedule resume [-S url] application id\n";

struct schedule_flags {
	const char *server; /* http://host:port, or NULL: from the daemon */
	const char *app;
	bool json;
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
    {"json", no_argument, NULL, 'j'},
    {0},
};

static void
add_string(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static void
add_header(struct json_object *event, const char *line)
{
	struct json_object *headers;

	if (!json_object_object_get_ex(event, "request-headers", &headers)) {
		headers = json_object_new_array();
		json_object_object_add(event, "request-headers", headers);
	}
	json_object_array_add(headers, json_object_new_string(line));
}

/* What is no number is for the server to refuse. */
static void
add_count(struct json_object *schedule, const char *text)
{
	uint64_t n;

	if (slice_to_u64(slice_from_string(text), INT64_MAX, &n) == -1)
		add_string(schedule, "count", text);
	else
		json_object_object_add(
		    schedule, "count", json_object_new_int64((int64_t)n));
}

static int
take_flags(struct ctl *ctl, struct schedule_flags *flags)
{
	int c, i;

	optind = 0; /* a new list of words */
	while ((c = getopt_long(ctl->argc, ctl->argv, "S:a:m:H:", long_options,
		    &i)) != -1) {
		switch (c) {
		case 0:
			add_string(
			    flags->schedule, long_options[i].name, optarg);
			break;
		case 'n':
			add_count(flags->schedule, optarg);
			break;
		case 'j':
			flags->json = true;
			break;
		case 'S':
			flags->server = optarg;
			break;
		case 'a':
			flags->app = optarg;
			break;
		case 'm':
			add_string(flags->event, "method", optarg);
			break;
		case 'H':
			add_header(flags->event, optarg);
			break;
		default:
			return -1;
		}
	}
	ctl->argc -= optind;
	ctl->argv += optind;
	return 0;
}

/* http://…/cassata/schedules/APP[/ID[/VERB]] with a NUL; -1 when it is too
 * long. */
static int
make_url(const struct ctl *ctl, const struct schedule_flags *flags,
    const char *app, const char *id, const char *verb, struct buf *url)
{
	buf_init(url, URL_MAX_BYTES);
	ctl_http_begin_url(ctl, flags->server, url);
	buf_append_string(url, "/cassata/schedules/");
	(void)percent_encode(url, slice_from_string(app));
	if (id != NULL) {
		buf_append_char(url, '/');
		(void)percent_encode(url, slice_from_string(id));
	}
	buf_append_string(url, verb);
	if (buf_append_char(url, '\0') == 0)
		return 0;
	(void)ctl_fail(ctl, "the ids are too long");
	return -1;
}

static int
add_schedule(struct ctl *ctl, const struct schedule_flags *flags)
{
	struct json_object *text;
	struct buf body, url;
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
	if (status == 0 &&
	    make_url(ctl, flags, flags->app, ctl->argv[0], "", &url) == -1)
		status = CTL_FAILED;
	if (status == 0)
		status = ctl_http_perform(ctl, "POST", url.p,
		    json_object_to_json_string_ext(
			text, JSON_C_TO_STRING_PLAIN));
	json_object_put(text);
	buf_free(&url);
	buf_free(&body);
	return status;
}

/* ---- the list ---- */

static void
print_word(const char *text, size_t width)
{
	size_t n = ctl_http_print(stdout, slice_from_string(text), false);

	printf("%*s", n < width ? (int)(width - n) + 2 : 2, "");
}

static const char *
member_text(struct json_object *object, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(object, name, &member)
		   ? json_object_get_string(member)
		   : "-";
}

static void
print_schedule(struct json_object *schedule)
{
	struct json_object *next, *event = NULL;

	(void)json_object_object_get_ex(schedule, "event", &event);
	print_word(member_text(schedule, "status"), 6);
	print_word(
	    json_object_object_get_ex(schedule, "next", &next) &&
		    json_object_is_type(next, json_type_array) &&
		    json_object_array_length(next) > 0
		? json_object_get_string(json_object_array_get_idx(next, 0))
		: "-",
	    25);
	print_word(member_text(schedule, "runs"), 8);
	print_word(member_text(schedule, "skipped"), 7);
	print_word(member_text(schedule, "schedule-id"), 36);
	(void)ctl_http_print(
	    stdout, slice_from_string(member_text(event, "url")), false);
	(void)putchar('\n');
}

static void
print_titles_of(void)
{
	print_word("status", 6);
	print_word("next", 25);
	print_word("runs", 8);
	print_word("skipped", 7);
	print_word("schedule-id", 36);
	puts("url");
}

static int
print_schedules(const struct ctl *ctl, const struct schedule_flags *flags,
    struct json_object *page)
{
	struct json_object *list;

	if (!json_object_object_get_ex(page, "schedules", &list) ||
	    !json_object_is_type(list, json_type_array))
		return ctl_fail(ctl, "the answer is no list");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		if (!flags->json) {
			print_schedule(one);
			continue;
		}
		(void)ctl_http_print(stdout,
		    slice_from_string(json_object_to_json_string_ext(
			one, JSON_C_TO_STRING_PLAIN |
				 JSON_C_TO_STRING_NOSLASHESCAPE)),
		    false);
		(void)putchar('\n');
	}
	return fflush(stdout) != 0 || ferror(stdout)
		   ? ctl_fail(ctl, "cannot write the list")
		   : CTL_OK;
}

/* *next is where the list goes on; empty at its end. */
static int
ask_schedules(const struct ctl *ctl, const struct schedule_flags *flags,
    const char *url, struct buf *next)
{
	struct json_object *page = NULL, *member;
	struct buf answer;
	int status = ctl_http_ask(ctl, "GET", url, NULL, &answer);

	buf_reset(next);
	if (status == CTL_OK && buf_append_char(&answer, '\0') == 0)
		page = json_tokener_parse(answer.p);
	if (status == CTL_OK)
		status = print_schedules(ctl, flags, page);
	if (status == CTL_OK &&
	    json_object_object_get_ex(page, "next", &member)) {
		buf_append_string(next, "?after=");
		(void)percent_encode(
		    next, slice_from_string(json_object_get_string(member)));
	}
	json_object_put(page);
	buf_free(&answer);
	return status;
}

static int
list_of_schedules(struct ctl *ctl, const struct schedule_flags *flags)
{
	struct buf next, url;
	int status = CTL_OK;

	if (ctl->argc != 1)
		return CTL_USAGE;
	if (!flags->json)
		print_titles_of();
	buf_init(&next, URL_MAX_BYTES);
	do {
		if (buf_append_char(&next, '\0') == -1 ||
		    make_url(ctl, flags, ctl->argv[0], NULL, next.p, &url) ==
			-1)
			status = CTL_FAILED;
		else
			status = ask_schedules(ctl, flags, url.p, &next);
		buf_free(&url);
	} while (status == CTL_OK && next.len > 0);
	buf_free(&next);
	return status;
}

/* ---- the verbs ---- */

static const struct verb {
	const char *word, *method, *path; /* method NULL: of its own */
	int (*run)(struct ctl *ctl, const struct schedule_flags *flags);
} verbs[] = {
    {"add", NULL, NULL, add_schedule},
    {"list", NULL, NULL, list_of_schedules},
    {"show", "GET", "", NULL},
    {"delete", "DELETE", "", NULL},
    {"run", "POST", "/run", NULL},
    {"pause", "POST", "/pause", NULL},
    {"resume", "POST", "/resume", NULL},
};

static int
ask_by_ids(const struct ctl *ctl, const struct schedule_flags *flags,
    const struct verb *verb)
{
	struct buf url;
	int status = CTL_FAILED;

	if (ctl->argc != 2)
		return CTL_USAGE;
	if (make_url(
		ctl, flags, ctl->argv[0], ctl->argv[1], verb->path, &url) == 0)
		status = ctl_http_perform(ctl, verb->method, url.p, NULL);
	buf_free(&url);
	return status;
}

static const struct verb *
find_verb(const struct ctl *ctl)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (ctl->argc > 0 && strcmp(ctl->argv[0], verbs[i].word) == 0)
			return &verbs[i];
	return NULL;
}

int
ctl_schedule(struct ctl *ctl)
{
	const struct verb *verb = find_verb(ctl);
	struct schedule_flags flags = {.app = "cassatactl",
	    .json = ctl->json,
	    .schedule = json_object_new_object(),
	    .event = json_object_new_object()};
	int status = CTL_USAGE;

	if (verb != NULL && take_flags(ctl, &flags) == 0)
		status = verb->run != NULL ? verb->run(ctl, &flags)
					   : ask_by_ids(ctl, &flags, verb);
	if (status == CTL_USAGE)
		fputs(usage, stderr);
	json_object_put(flags.schedule);
	json_object_put(flags.event);
	return status;
}
