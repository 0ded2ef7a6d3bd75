/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/duration.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_batch.h"
#include "ctl/ctl_body.h"
#include "ctl/ctl_each.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_list.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_request.h"
#include "ctl/ctl_watch.h"

#define SECONDS_MAX 1e12 /* the server's bound is far below */

static const char usage[] =
    "usage: cassatactl event add [-S url] [-a application] [-i id] [--json]\n"
    "           " CTL_REQUEST_USAGE "\n"
    "           [-t delay | -T expiry | --at-local time --time-zone zone]\n"
    "           [--not-after time] [--on-conflict what] [--debounce-max "
    "time]\n"
    "           url [body | @file | -]\n"
    "       cassatactl event add [-S url] [--json] --file file | -\n"
    "       cassatactl event list [-S url] [option ...] application\n"
    "       cassatactl event show [-S url] [--watch] [--json] application id "
    "...\n"
    "       cassatactl event change [-S url] [--json] application id ... "
    "patch\n"
    "       cassatactl event delete [-S url] [--json] application id ...\n"
    "       cassatactl event retry [-S url] [--json] application id ...\n"
    "       cassatactl event run [-S url] [--json] application id ...\n"
    "       cassatactl event why [-S url] [--json] application id ...\n";

struct event_flags {
	const char *file; /* of events, or NULL */
	const char *app, *id;
	const char *delay, *expiry;
	struct json_object *members; /* which the server reads */
};

static const struct option longer[] = {
    {"file", required_argument, NULL, 'f'},
    CTL_OPTION_JSON,
    CTL_OPTION_WATCH,
    CTL_REQUEST_ROWS,
    {"at-local", required_argument, NULL, 'M'},
    {"time-zone", required_argument, NULL, 'M'},
    {"not-after", required_argument, NULL, 'M'},
    {"on-conflict", required_argument, NULL, 'M'},
    {"debounce-max", required_argument, NULL, 'M'},
    {0},
};

static int
take_event_option(void *arg, int c, const char *name)
{
	struct event_flags *options = arg;

	switch (c) {
	case 'f':
		options->file = optarg;
		return 0;
	case 'a':
		options->app = optarg;
		return 0;
	case 'i':
		options->id = optarg;
		return 0;
	case 't':
		options->delay = optarg;
		return 0;
	case 'T':
		options->expiry = optarg;
		return 0;
	default:
		return ctl_request_take(options->members, c, name);
	}
}

/* Seconds with a fraction; -1 for anything else. */
static double
to_seconds(const char *text)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(value >= 0))
		return -1;
	return value;
}

static int
add_expiry(struct json_object *event, const struct event_flags *options)
{
	double seconds = 0;
	int64_t ms;
	char text[40];

	if (json_object_object_get_ex(event, "at-local", NULL))
		return 0;
	if (options->expiry != NULL && strchr(options->expiry, ':') != NULL) {
		/* A date-time: the server reads it. */
		json_object_object_add(
		    event, "expiry", json_object_new_string(options->expiry));
		return 0;
	}
	if (options->delay != NULL &&
	    duration_parse(slice_from_string(options->delay), INT64_MAX, &ms) ==
		0) {
		json_object_object_add(
		    event, "in", json_object_new_string(options->delay));
		return 0;
	}
	if (options->delay != NULL)
		seconds = to_seconds(options->delay);
	else if (options->expiry != NULL)
		seconds = to_seconds(options->expiry);
	if (seconds < 0 || seconds > SECONDS_MAX)
		return -1;
	if (options->expiry == NULL) {
		/* From now on by the server's clock, which is not ours. */
		(void)snprintf(text, sizeof(text), "%.0fms", seconds * 1000);
		json_object_object_add(
		    event, "in", json_object_new_string(text));
		return 0;
	}
	/* A double has no exact milliseconds, its text has. */
	(void)snprintf(text, sizeof(text), "%.3f", seconds);
	json_object_object_add(
	    event, "expiry", json_object_new_double_s(seconds, text));
	return 0;
}

/* Whether it says something of an event that is to be added. */
static bool
is_of_new(const struct event_flags *options)
{
	return options->app != NULL || options->id != NULL ||
	       options->delay != NULL || options->expiry != NULL ||
	       json_object_object_length(options->members) > 0;
}

/* All but its body and its time. To be put. */
static struct json_object *
begin_event(const struct event_flags *options, const char *url)
{
	struct json_object *event = json_object_get(options->members);

	json_object_object_add(event, "application-id",
	    json_object_new_string(
		options->app != NULL ? options->app : "cassatactl"));
	if (options->id != NULL)
		json_object_object_add(
		    event, "event-id", json_object_new_string(options->id));
	json_object_object_add(event, "url", json_object_new_string(url));
	return event;
}

static int
event_add(struct ctl *ctl, struct event_flags *options)
{
	struct json_object *event;
	struct buf body, url = {0};
	int status;

	if (ctl->argc < 1 || ctl->argc > 2 ||
	    (options->delay != NULL && options->expiry != NULL) ||
	    (json_object_object_get_ex(options->members, "at-local", NULL) &&
		(options->delay != NULL || options->expiry != NULL)))
		return ctl_refuse_usage(usage);
	buf_init(&body, CTL_BODY_MAX);
	event = begin_event(options, ctl->argv[0]);
	status = ctl->argc == 2 ? ctl_body_read(ctl, ctl->argv[1], &body) : 0;
	if (status == 0 && add_expiry(event, options) == -1)
		status = ctl_fail(ctl,
		    "-t and -T take seconds, as 10 or 0.25, and -t also "
		    "30m, 2h or 7d");
	if (status == 0) {
		json_object_object_add(event, "event",
		    json_object_new_string_len(
			body.p == NULL ? "" : body.p, (int)body.len));
		status =
		    ctl_http_url(ctl, &url, "/cassata/add/", NULL, NULL, "");
	}
	if (status == 0)
		status = ctl_http_perform(ctl, "POST", url.p,
		    json_object_to_json_string_ext(event,
			/* it is kept as it is written */
			JSON_C_TO_STRING_PLAIN |
			    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(event);
	buf_free(&url);
	buf_free(&body);
	return status;
}

static int
event_add_any(struct ctl *ctl, struct event_flags *options)
{
	/* Each of a file brings all that is its own. */
	if (ctl->watch ||
	    (options->file != NULL && (ctl->argc != 0 || is_of_new(options))))
		return ctl_refuse_usage(usage);
	return options->file == NULL ? event_add(ctl, options)
				     : ctl_batch_add(ctl, options->file);
}

/* ---- those that are there ---- */

/* Until it has ended, whenever it has changed. */
static int
watch_event(const struct ctl *ctl, const struct ctl_each *each, const char *id)
{
	struct json_value event = {.type = JSON_NULL};
	struct buf answer, before;
	bool failed, ended;
	int status;

	buf_init(&before, 0);
	do {
		status = ctl_each_ask(ctl, each, NULL, id, &answer);
		if (status == CTL_OK)
			status = ctl_answer_read(ctl, "event", &answer, &event);
		if (status == CTL_OK &&
		    !slice_eq(buf_slice(&before), buf_slice(&answer))) {
			ctl_watch_begin();
			status = ctl_http_show(ctl, &answer);
		}
		failed = status != CTL_OK ||
			 ctl_member_is(&event, "status", "FAILED");
		ended = failed || ctl_member_is(&event, "status", "COMPLETED");
		buf_free(&before);
		before = answer;
	} while (!ended && ctl_watch_again());
	buf_free(&before);
	return failed || !ended ? CTL_FAILED : CTL_OK;
}

/* ---- the verbs ---- */

static const struct event_verb {
	const char *word;
	const char *method, *path; /* NULL: of its own */
	int (*run)(struct ctl *ctl, struct event_flags *options);
	bool has_body; /* the last word */
} verbs[] = {
    {"add", NULL, NULL, event_add_any, false},
    {"list", NULL, NULL, NULL, false},
    {"show", "GET", "/cassata/event", NULL, false},
    {"change", "PATCH", "/cassata/event", NULL, true},
    {"delete", "DELETE", "/cassata/delete", NULL, false},
    {"retry", "POST", "/cassata/retry", NULL, false},
    {"run", "POST", "/cassata/run", NULL, false},
    {"why", "GET", "/cassata/why", NULL, false},
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* The same of each. */
static int
ask_with_body(const struct ctl *ctl, struct ctl_each *each, int n_ids)
{
	struct buf body;
	int status;

	buf_init(&body, CTL_BODY_MAX);
	status = ctl_body_read(ctl, ctl->argv[1 + n_ids], &body);
	if (status == CTL_OK && buf_append_char(&body, '\0') == -1)
		status = ctl_fail(ctl, "the patch is too large");
	if (status == CTL_OK) {
		each->body = body.p;
		status = ctl_each(ctl, each, ctl->argv + 1, n_ids);
	}
	buf_free(&body);
	return status;
}

/* An application, and ids. */
static int
event_by_ids(const struct ctl *ctl, const struct event_flags *options,
    const struct event_verb *verb)
{
	struct ctl_each each = {
	    .method = verb->method,
	    .path = verb->path,
	    .app = ctl->argv[0],
	    .tail = "",
	};
	int n_ids = ctl->argc - 1 - verb->has_body;
	bool may_watch = strcmp(verb->word, "show") == 0;

	if (n_ids < 1 || is_of_new(options) || options->file != NULL ||
	    (ctl->watch && (!may_watch || n_ids != 1)))
		return ctl_refuse_usage(usage);
	if (verb->has_body)
		return ask_with_body(ctl, &each, n_ids);
	return ctl->watch ? watch_event(ctl, &each, ctl->argv[1])
			  : ctl_each(ctl, &each, ctl->argv + 1, n_ids);
}

static int
run_event_verb(struct ctl *ctl, const struct event_verb *verb)
{
	struct event_flags options = {.members = json_object_new_object()};
	const char *letters = "+S:a:i:t:T:" CTL_REQUEST_LETTERS;
	int status;

	if (verb->run == NULL)
		letters++; /* behind words, too, which are ids */
	if (ctl_options(ctl, letters, longer, take_event_option, &options) ==
	    -1)
		status = ctl_refuse_usage(usage);
	else
		status = verb->run != NULL ? verb->run(ctl, &options)
					   : event_by_ids(ctl, &options, verb);
	json_object_put(options.members);
	return status;
}

int
ctl_event(struct ctl *ctl)
{
	const struct event_verb *verb;

	if (ctl->argc > 0 && strcmp(ctl->argv[0], "list") == 0) {
		ctl->argc--;
		ctl->argv++;
		return ctl_list(ctl);
	}
	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	verb = ctl_take_verb(ctl, verbs, N_VERBS, sizeof(*verbs));
	return verb == NULL ? ctl_refuse_usage(usage)
			    : run_event_verb(ctl, verb);
}
