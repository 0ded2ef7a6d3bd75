/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_job.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/percent.h"
#include "ctl/ctl_find.h"
#include "ctl/ctl_http.h"
#include "ctl/progress.h"

enum {
	JOB_URL_MAX_BYTES = 64 * 1024,
	WATCH_MS = 500,
	BAR_WIDTH = 20,
};

static const char usage[] =
    "usage: cassatactl job start [-S url] [--status states] [--from time]\n"
    "                            [--to time] [--destination host]\n"
    "                            [--label name=value] [--rate n]\n"
    "                            [--by shift | --move-to time] [--dry-run]\n"
    "                            [--watch] [--json]\n"
    "                            application retry|run|delete|reschedule\n"
    "       cassatactl job list [-S url] [--json] application\n"
    "       cassatactl job show [-S url] [--watch] [--json] application job\n"
    "       cassatactl job pause [-S url] [--json] application job\n"
    "       cassatactl job resume [-S url] [--watch] [--json] application job\n"
    "       cassatactl job cancel [-S url] [--json] application job\n"
    "       cassatactl job delete [-S url] [--json] application job\n";

struct job_call {
	const struct ctl *ctl;
	const char *server; /* or NULL */
	const char *status, *from, *to, *destination, *rate, *by, *move_to;
	bool dry_run, watch, json;
	struct json_object *labels; /* or NULL */
	struct buf url;
};

/* ---- a job, as it is told ---- */

static int64_t
count_in(struct json_object *job, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(job, name, &value)
		   ? json_object_get_int64(value)
		   : 0;
}

static bool
job_has_ended(struct json_object *job)
{
	return json_object_object_get_ex(job, "ended", NULL);
}

/* What a server says is not believed to be plain. */
static void
print_text(const char *text, int width)
{
	size_t n = ctl_http_print(stdout, slice_from_string(text), false);

	printf("%*s", (int)n < width ? width - (int)n + 2 : 2, "");
}

static void
print_titles_of_jobs(void)
{
	printf("%-36s  %-9s  %-10s  %10s  %10s  %10s\n", "job", "state", "verb",
	    "matched", "done", "skipped");
}

static void
print_job(struct json_object *job)
{
	print_text(ctl_text_of(job, "job"), 36);
	print_text(ctl_text_of(job, "state"), 9);
	print_text(ctl_text_of(job, "verb"), 10);
	printf("%10" PRId64 "  %10" PRId64 "  %10" PRId64 "\n",
	    count_in(job, "matched"), count_in(job, "done"),
	    count_in(job, "skipped"));
}

/* ---- calls ---- */

/* The answer as an object, to be put, or as it is on standard output; NULL
 * where it is none. */
static int
ask_jobs(const struct job_call *call, const char *method, const char *body,
    struct json_object **answer)
{
	struct buf text;
	int status = ctl_http_ask(call->ctl, method, call->url.p, body, &text);

	*answer = NULL;
	if (status == CTL_OK && buf_append_char(&text, '\0') == 0)
		*answer = json_tokener_parse(text.p);
	if (status == CTL_OK && !json_object_is_type(*answer, json_type_object))
		status = ctl_fail(call->ctl, "the answer is no job");
	buf_free(&text);
	return status;
}

static void
print_job_json(struct json_object *object)
{
	ctl_http_print(stdout,
	    slice_from_string(json_object_to_json_string_ext(object,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)),
	    false);
	(void)putchar('\n');
}

static void
print_answer_of(const struct job_call *call, struct json_object *job)
{
	if (!call->json) {
		print_titles_of_jobs();
		print_job(job);
		return;
	}
	print_job_json(job);
}

/* ---- watching ---- */

struct sample {
	int64_t mono_ms, n; /* events that it has come to */
};

static int64_t
per_second(struct sample before, struct sample now)
{
	int64_t ms = now.mono_ms - before.mono_ms;

	return ms > 0 ? (now.n - before.n) * 1000 / ms : 0;
}

static void
show_end(struct json_object *job, char text[32])
{
	struct tm tm;
	time_t at = (time_t)count_in(job, "eta");

	(void)snprintf(text, 32, "%s", "");
	if (at > 0 && localtime_r(&at, &tm) != NULL)
		(void)strftime(text, 32, ", ends at %H:%M:%S", &tm);
}

static void
show_job(struct progress *progress, struct json_object *job, struct sample now,
    struct sample before)
{
	static const char full[] = "####################",
			  empty[] = "....................";
	int64_t matched = count_in(job, "matched");
	int64_t part = matched > 0 ? now.n * BAR_WIDTH / matched : 0;
	char end[32];

	if (part > BAR_WIDTH)
		part = BAR_WIDTH;
	if (count_in(job, "counted") == 0) {
		progress_show(
		    progress, "counting: %" PRId64 " events", matched);
		return;
	}
	show_end(job, end);
	progress_show(progress,
	    "[%.*s%.*s] %" PRId64 " of %" PRId64 " events, %" PRId64 "/s%s",
	    (int)part, full, (int)(BAR_WIDTH - part), empty, now.n, matched,
	    per_second(before, now), end);
}

/* Until it has ended; *job is what it is then. */
static int
watch_job(const struct job_call *call, struct json_object **job)
{
	struct progress progress;
	struct sample before = {clock_mono_ms(), 0};
	int status = CTL_OK;

	progress_init(&progress);
	while (status == CTL_OK && !job_has_ended(*job)) {
		struct sample now = {clock_mono_ms(),
		    count_in(*job, "done") + count_in(*job, "skipped")};

		if (progress_is_due(&progress)) {
			show_job(&progress, *job, now, before);
			before = now;
		}
		(void)poll(NULL, 0, WATCH_MS);
		json_object_put(*job);
		status = ask_jobs(call, "GET", NULL, job);
	}
	progress_clear(&progress);
	return status;
}

/* Of a job that was asked for: its line, or its end. */
static int
tell_job(const struct job_call *call, struct json_object **job)
{
	bool watched = call->watch;
	int status = watched ? watch_job(call, job) : CTL_OK;

	if (status != CTL_OK)
		return status;
	print_answer_of(call, *job);
	return !watched || strcmp(ctl_text_of(*job, "state"), "done") == 0
		   ? CTL_OK
		   : CTL_FAILED;
}

/* ---- the verbs ---- */

static void
begin_path(struct job_call *call)
{
	ctl_http_begin_url(call->ctl, call->server, &call->url);
	buf_append_string(&call->url, "/cassata/jobs/");
	(void)percent_encode(&call->url, slice_from_string(call->ctl->argv[0]));
}

static int
end_path(struct job_call *call, const char *id, const char *order)
{
	if (id != NULL) {
		buf_append_char(&call->url, '/');
		(void)percent_encode(&call->url, slice_from_string(id));
	}
	buf_append_string(&call->url, order);
	return buf_append_char(&call->url, '\0') == 0
		   ? CTL_OK
		   : ctl_fail(call->ctl, "the ids are too long");
}

/* Seconds as a number, all else as text: the server reads it. */
static struct json_object *
moment_of(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	return end != text && *end == '\0'
		   ? json_object_new_double_s(seconds, text)
		   : json_object_new_string(text);
}

static struct json_object *
states_of(const char *text)
{
	struct json_object *states = json_object_new_array();

	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		json_object_array_add(
		    states, json_object_new_string_len(text, (int)len));
		text += len + (text[len] == ',');
	}
	return states;
}

static struct json_object *
filter_of(const struct job_call *call)
{
	struct json_object *filter = json_object_new_object();

	if (call->status != NULL)
		json_object_object_add(
		    filter, "status", states_of(call->status));
	if (call->from != NULL)
		json_object_object_add(filter, "from", moment_of(call->from));
	if (call->to != NULL)
		json_object_object_add(filter, "to", moment_of(call->to));
	if (call->destination != NULL)
		json_object_object_add(filter, "destination",
		    json_object_new_string(call->destination));
	if (call->labels != NULL)
		json_object_object_add(
		    filter, "label", json_object_get(call->labels));
	return filter;
}

static struct json_object *
document_of(const struct job_call *call, const char *verb)
{
	struct json_object *job = json_object_new_object();

	json_object_object_add(job, "verb", json_object_new_string(verb));
	json_object_object_add(job, "filter", filter_of(call));
	if (call->rate != NULL)
		json_object_object_add(job, "rate", moment_of(call->rate));
	if (call->by != NULL)
		json_object_object_add(
		    job, "by", json_object_new_string(call->by));
	if (call->move_to != NULL)
		json_object_object_add(job, "to", moment_of(call->move_to));
	if (call->dry_run)
		json_object_object_add(
		    job, "dry-run", json_object_new_boolean(true));
	return job;
}

static int
start_job(struct job_call *call)
{
	struct json_object *body, *job;
	int status;

	begin_path(call);
	status = end_path(call, NULL, "");
	if (status != CTL_OK)
		return status;
	body = document_of(call, call->ctl->argv[1]);
	status = ask_jobs(call, "POST",
	    json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN), &job);
	json_object_put(body);
	if (status == CTL_OK) {
		call->url.len--; /* the NUL */
		status = end_path(call, ctl_text_of(job, "job"), "");
	}
	if (status == CTL_OK)
		status = tell_job(call, &job);
	json_object_put(job);
	return status;
}

/* A page of the list, of numbers below *before: its jobs come to all, and
 * *before is the lowest of them, or 0 at the end. */
static int
ask_page_of_jobs(
    struct job_call *call, struct json_object *all, int64_t *before)
{
	struct json_object *answer = NULL, *jobs, *member;
	int64_t next = 0;
	char query[64];
	int status;

	(void)snprintf(query, sizeof(query), "?after=%" PRId64, *before);
	buf_reset(&call->url);
	begin_path(call);
	status = end_path(call, NULL, query);
	if (status == CTL_OK)
		status = ask_jobs(call, "GET", NULL, &answer);
	if (status == CTL_OK &&
	    (!json_object_object_get_ex(answer, "jobs", &jobs) ||
		!json_object_is_type(jobs, json_type_array)))
		status = ctl_fail(call->ctl, "the answer is no list of jobs");
	for (size_t i = 0;
	     status == CTL_OK && i < json_object_array_length(jobs); i++)
		json_object_array_add(
		    all, json_object_get(json_object_array_get_idx(jobs, i)));
	if (json_object_object_get_ex(answer, "next", &member))
		next = json_object_get_int64(member);
	/* It comes to an end, whatever a server says. */
	*before = next < *before ? next : 0;
	json_object_put(answer);
	return status;
}

static void
print_jobs(const struct job_call *call, struct json_object *all)
{
	struct json_object *list;

	if (call->json) {
		list = json_object_new_object();
		json_object_object_add(list, "jobs", json_object_get(all));
		print_job_json(list);
		json_object_put(list);
		return;
	}
	print_titles_of_jobs();
	for (size_t i = 0; i < json_object_array_length(all); i++)
		print_job(json_object_array_get_idx(all, i));
}

static int
list_jobs_of(struct job_call *call)
{
	struct json_object *all = json_object_new_array();
	int64_t before = INT64_MAX;
	int status;

	do
		status = ask_page_of_jobs(call, all, &before);
	while (status == CTL_OK && before > 0);
	if (status == CTL_OK)
		print_jobs(call, all);
	json_object_put(all);
	return status;
}

/* One of a job that is there. */
static int
order_job_of(struct job_call *call, const char *method, const char *order)
{
	struct json_object *job;
	size_t len;
	int status;

	begin_path(call);
	len = call->url.len;
	status = end_path(call, call->ctl->argv[1], order);
	if (status != CTL_OK)
		return status;
	status = ask_jobs(call, method, NULL, &job);
	call->url.len = len;
	if (status == CTL_OK)
		status = end_path(call, call->ctl->argv[1], "");
	if (status == CTL_OK)
		status = tell_job(call, &job);
	json_object_put(job);
	return status;
}

/* ---- the command line ---- */

static const struct job_verb_word {
	const char *word, *method, *order;
	int n_words;
	bool may_watch;
	int (*run)(struct job_call *call); /* NULL: order_job_of */
} job_words[] = {
    {"start", NULL, NULL, 2, true, start_job},
    {"list", NULL, NULL, 1, false, list_jobs_of},
    {"show", "GET", "", 2, true, NULL},
    {"pause", "POST", "/pause", 2, false, NULL},
    {"resume", "POST", "/resume", 2, true, NULL},
    {"cancel", "POST", "/cancel", 2, false, NULL},
    {"delete", "DELETE", "", 2, false, NULL},
};

/* The letters of the filters are nobody's to give. */
static const struct option job_options[] = {
    {"status", required_argument, NULL, 1},
    {"from", required_argument, NULL, 2},
    {"to", required_argument, NULL, 3},
    {"destination", required_argument, NULL, 4},
    {"rate", required_argument, NULL, 5},
    {"by", required_argument, NULL, 6},
    {"move-to", required_argument, NULL, 7},
    {"dry-run", no_argument, NULL, 8},
    {"watch", no_argument, NULL, 9},
    {"json", no_argument, NULL, 10},
    {"label", required_argument, NULL, 11},
    {0},
};

static void
take_label_word(struct job_call *call, const char *text)
{
	if (call->labels == NULL)
		call->labels = json_object_new_array();
	json_object_array_add(call->labels, json_object_new_string(text));
}

/* Returns whether one of start alone was given, or -1. */
static int
take_job_options(struct job_call *call, struct ctl *ctl)
{
	const char **const texts[] = {NULL, &call->status, &call->from,
	    &call->to, &call->destination, &call->rate, &call->by,
	    &call->move_to};
	bool *const flags[] = {&call->dry_run, &call->watch, &call->json};
	int c, of_start = 0;

	optind = 0; /* a new list of words */
	while ((c = getopt_long(
		    ctl->argc, ctl->argv, "S:", job_options, NULL)) != -1) {
		if (c == 'S')
			call->server = optarg;
		else if (c >= 1 && c <= 7)
			*texts[c] = optarg;
		else if (c >= 8 && c <= 10)
			*flags[c - 8] = true;
		else if (c == 11)
			take_label_word(call, optarg);
		else
			return -1;
		of_start |= (c >= 1 && c <= 8) || c == 11;
	}
	ctl->argc -= optind;
	ctl->argv += optind;
	return of_start;
}

static const struct job_verb_word *
find_job_word(const struct ctl *ctl)
{
	const char *word = ctl->argc > 0 ? ctl->argv[0] : "";

	for (size_t i = 0; i < sizeof(job_words) / sizeof(job_words[0]); i++)
		if (strcmp(word, job_words[i].word) == 0)
			return &job_words[i];
	return NULL;
}

int
ctl_job(struct ctl *ctl)
{
	struct job_call call = {.ctl = ctl, .json = ctl->json};
	const struct job_verb_word *word = find_job_word(ctl);
	int of_start = word == NULL ? -1 : take_job_options(&call, ctl);
	int status;

	if (of_start == -1 || ctl->argc != word->n_words ||
	    (of_start && word->run != start_job) ||
	    (call.watch && !word->may_watch)) {
		fputs(usage, stderr);
		json_object_put(call.labels);
		return CTL_USAGE;
	}
	buf_init(&call.url, JOB_URL_MAX_BYTES);
	status = word->run != NULL
		     ? word->run(&call)
		     : order_job_of(&call, word->method, word->order);
	buf_free(&call.url);
	json_object_put(call.labels);
	return status;
}
