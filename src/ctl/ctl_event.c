/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_event.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/duration.h"
#include "base/percent.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_batch.h"
#include "ctl/ctl_body.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_list.h"
#include "ctl/ctl_watch.h"

enum { URL_MAX_BYTES = 64 * 1024 };

#define SECONDS_MAX 1e12 /* the server's bound is far below */

static const char usage[] =
    "usage: cassatactl event add [-S url] [-a application] [-i id] [-m "
    "method]\n"
    "                            [-H 'Name: value'] [-t delay | -T expiry]\n"
    "                            [--label name=value] [--at-local time "
    "--time-zone zone]\n"
    "                            [--not-after time] [--on-conflict what] "
    "[--debounce-max time]\n"
    "                            [--on-complete url] [--on-failure url] "
    "[--complete-by time]\n"
    "                            [--json] url [body | @file | -]\n"
    "       cassatactl event add [-S url] [--json] --file file | -\n"
    "       cassatactl event list [-S url] [option ...] application\n"
    "       cassatactl event show [-S url] [--watch] [--json] application id "
    "...\n"
    "       cassatactl event delete [-S url] [--json] application id ...\n"
    "       cassatactl event retry [-S url] [--json] application id ...\n"
    "       cassatactl event run [-S url] [--json] application id ...\n"
    "       cassatactl event why [-S url] [--json] application id ...\n";

struct event_flags {
	const char *server; /* http://host:port, or NULL: from the daemon */
	const char *file;   /* of events, or NULL */
	bool watch;
	const char *app, *id, *method;
	const char *delay, *expiry;
	struct json_object *members; /* texts, which the server reads */
	struct json_object *labels;  /* NULL for none */
	struct json_object *headers; /* NULL for none */
};

static int
bad_usage(void)
{
	fputs(usage, stderr);
	return CTL_USAGE;
}

static int
add_label(struct event_flags *options, const char *text)
{
	const char *equals = strchr(text, '=');
	char name[256];

	if (equals == NULL || (size_t)(equals - text) >= sizeof(name))
		return -1;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	if (options->labels == NULL)
		options->labels = json_object_new_object();
	json_object_object_add(
	    options->labels, name, json_object_new_string(equals + 1));
	return 0;
}

static const struct option longer[] = {
    {"file", required_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'j'},
    {"watch", no_argument, NULL, 'w'},
    {"label", required_argument, NULL, 'L'},
    {"at-local", required_argument, NULL, 'M'},
    {"time-zone", required_argument, NULL, 'M'},
    {"not-after", required_argument, NULL, 'M'},
    {"on-conflict", required_argument, NULL, 'M'},
    {"debounce-max", required_argument, NULL, 'M'},
    {"on-complete", required_argument, NULL, 'M'},
    {"on-failure", required_argument, NULL, 'M'},
    {"complete-by", required_argument, NULL, 'M'},
    {0},
};

/* anywhere: also behind words, which are ids. */
static int
parse_options(struct ctl *ctl, struct event_flags *options, bool anywhere)
{
	const char *letters = "+S:a:i:m:H:t:T:";
	int c, i = 0;

	optind = 0; /* a new list of words */
	while ((c = getopt_long(ctl->argc, ctl->argv, letters + anywhere,
		    longer, &i)) != -1) {
		switch (c) {
		case 'M':
			json_object_object_add(options->members, longer[i].name,
			    json_object_new_string(optarg));
			break;
		case 'L':
			if (add_label(options, optarg) == -1)
				return -1;
			break;
		case 'f':
			options->file = optarg;
			break;
		case 'j':
			ctl->json = true;
			break;
		case 'w':
			options->watch = true;
			break;
		case 'S':
			options->server = optarg;
			break;
		case 'a':
			options->app = optarg;
			break;
		case 'i':
			options->id = optarg;
			break;
		case 'm':
			options->method = optarg;
			break;
		case 'H':
			if (options->headers == NULL)
				options->headers = json_object_new_array();
			json_object_array_add(
			    options->headers, json_object_new_string(optarg));
			break;
		case 't':
			options->delay = optarg;
			break;
		case 'T':
			options->expiry = optarg;
			break;
		default:
			return -1;
		}
	}
	ctl->argc -= optind;
	ctl->argv += optind;
	return 0;
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
	       options->method != NULL || options->delay != NULL ||
	       options->expiry != NULL || options->labels != NULL ||
	       options->headers != NULL ||
	       json_object_object_length(options->members) > 0;
}

static int
event_add(struct ctl *ctl, struct event_flags *options)
{
	struct json_object *event;
	struct buf url, body;
	int status;

	if (ctl->argc < 1 || ctl->argc > 2 ||
	    (options->delay != NULL && options->expiry != NULL) ||
	    (json_object_object_get_ex(options->members, "at-local", NULL) &&
		(options->delay != NULL || options->expiry != NULL)))
		return bad_usage();
	buf_init(&url, URL_MAX_BYTES);
	buf_init(&body, CTL_BODY_MAX);
	event = json_object_get(options->members);
	json_object_object_add(event, "application-id",
	    json_object_new_string(
		options->app != NULL ? options->app : "cassatactl"));
	if (options->id != NULL)
		json_object_object_add(
		    event, "event-id", json_object_new_string(options->id));
	json_object_object_add(
	    event, "url", json_object_new_string(ctl->argv[0]));
	if (options->method != NULL)
		json_object_object_add(
		    event, "method", json_object_new_string(options->method));
	if (options->headers != NULL)
		json_object_object_add(event, "request-headers",
		    json_object_get(options->headers));
	if (options->labels != NULL)
		json_object_object_add(
		    event, "labels", json_object_get(options->labels));
	status = ctl->argc == 2 ? ctl_body_read(ctl, ctl->argv[1], &body) : 0;
	if (status == 0 && add_expiry(event, options) == -1)
		status = ctl_fail(ctl,
		    "-t and -T take seconds, as 10 or 0.25, and -t also "
		    "30m, 2h or 7d");
	if (status == 0) {
		json_object_object_add(event, "event",
		    json_object_new_string_len(
			body.p == NULL ? "" : body.p, (int)body.len));
		ctl_http_begin_url(ctl, options->server, &url);
		buf_append_string(&url, "/cassata/add/");
		if (buf_append_char(&url, '\0') == -1)
			status = ctl_fail(ctl, "the server's URL is too long");
		else
			status = ctl_http_perform(ctl, "POST", url.p,
			    json_object_to_json_string_ext(
				event, JSON_C_TO_STRING_PLAIN));
	}
	json_object_put(event);
	buf_free(&url);
	buf_free(&body);
	return status;
}

static int
event_add_any(struct ctl *ctl, struct event_flags *options)
{
	/* Each of a file brings all that is its own. */
	if (options->watch ||
	    (options->file != NULL && (ctl->argc != 0 || is_of_new(options))))
		return bad_usage();
	return options->file == NULL
		   ? event_add(ctl, options)
		   : ctl_batch_add(ctl, options->server, options->file);
}

/* ---- those that are there ---- */

struct event_verb {
	const char *word;
	const char *method, *path; /* NULL: of its own */
	int (*run)(struct ctl *ctl, struct event_flags *options);
};

static int
ask_by_id(const struct ctl *ctl, const struct event_flags *options,
    const struct event_verb *verb, const char *id, struct buf *answer)
{
	struct buf url;
	int status;

	buf_init(&url, URL_MAX_BYTES);
	ctl_http_begin_url(ctl, options->server, &url);
	buf_append_string(&url, verb->path);
	(void)percent_encode(&url, slice_from_string(ctl->argv[0]));
	buf_append_char(&url, '/');
	(void)percent_encode(&url, slice_from_string(id));
	if (buf_append_char(&url, '\0') == 0)
		status = ctl_http_ask_about(ctl, ctl->argc > 2 ? id : NULL,
		    verb->method, url.p, NULL, answer);
	else {
		buf_init(answer, 0);
		status = ctl_fail(ctl, "the ids are too long");
	}
	buf_free(&url);
	return status;
}

/* Until it has ended, whenever it has changed. */
static int
watch_event(const struct ctl *ctl, const struct event_flags *options,
    const struct event_verb *verb)
{
	struct json_value event = {.type = JSON_NULL};
	struct buf answer, before;
	bool failed, ended;
	int status;

	buf_init(&before, 0);
	do {
		status = ask_by_id(ctl, options, verb, ctl->argv[1], &answer);
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

/* One after the other; those behind one that is refused, too, but none behind
 * one that there was no answer to. */
static int
event_by_ids(const struct ctl *ctl, const struct event_flags *options,
    const struct event_verb *verb)
{
	bool answered = true;
	int status = CTL_OK;

	for (int i = 1; i < ctl->argc && answered; i++) {
		struct buf answer;
		int code = ask_by_id(ctl, options, verb, ctl->argv[i], &answer);

		if (code == CTL_OK && i > 1 && ctl_http_is_table(ctl))
			(void)putchar('\n');
		if (code == CTL_OK)
			code = ctl_http_show(ctl, &answer);
		if (code != CTL_OK)
			status = code;
		answered = !answer.failed;
		buf_free(&answer);
	}
	return status;
}

/* ---- the verbs ---- */

static const struct event_verb verbs[] = {
    {"add", NULL, NULL, event_add_any},
    {"list", NULL, NULL, NULL},
    {"show", "GET", "/cassata/event/", NULL},
    {"delete", "DELETE", "/cassata/delete/", NULL},
    {"retry", "POST", "/cassata/retry/", NULL},
    {"run", "POST", "/cassata/run/", NULL},
    {"why", "GET", "/cassata/why/", NULL},
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static const struct event_verb *
event_verb_of(const struct ctl *ctl)
{
	for (size_t i = 0; ctl->argc > 0 && i < N_VERBS; i++)
		if (strcmp(ctl->argv[0], verbs[i].word) == 0)
			return &verbs[i];
	if (ctl->argc > 0)
		ctl_unknown_word(ctl, "command", ctl->argv[0], verbs, N_VERBS,
		    sizeof(verbs[0]));
	return NULL;
}

static int
run_event_verb(struct ctl *ctl, const struct event_verb *verb)
{
	struct event_flags options = {.members = json_object_new_object()};
	bool may_watch = strcmp(verb->word, "show") == 0;
	int status;

	if (parse_options(ctl, &options, verb->run == NULL) == -1)
		status = bad_usage();
	else if (verb->run != NULL)
		status = verb->run(ctl, &options);
	else if (ctl->argc < 2 || is_of_new(&options) || options.file != NULL ||
		 (options.watch && (!may_watch || ctl->argc != 2)))
		status = bad_usage();
	else
		status = options.watch ? watch_event(ctl, &options, verb)
				       : event_by_ids(ctl, &options, verb);
	json_object_put(options.members);
	json_object_put(options.headers);
	json_object_put(options.labels);
	return status;
}

int
ctl_event(struct ctl *ctl)
{
	const struct event_verb *verb;

	if (ctl->argc > 0 && strcmp(ctl->argv[0], "list") == 0)
		return ctl_list(ctl);
	if (ctl_wants_help(ctl)) {
		fputs(usage, stdout);
		return CTL_OK;
	}
	verb = event_verb_of(ctl);
	return verb == NULL ? bad_usage() : run_event_verb(ctl, verb);
}
