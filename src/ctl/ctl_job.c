/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_job.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "ctl/ctl_answer.h"
#include "ctl/ctl_each.h"
#include "ctl/ctl_http.h"
#include "ctl/ctl_options.h"
#include "ctl/ctl_print.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_watch.h"
#include "ctl/progress.h"

#define JOBS "/cassata/jobs"

enum {
	JOB_LIST_MAX_BYTES = 64 * 1024 * 1024,
	WATCH_MS = 500,
};

static const char usage[] =
    "usage: cassatactl job start [-S url] [--status states] [--from time]\n"
    "                            [--to time] [--destination host]\n"
    "                            [--label name=value] [--rate n]\n"
    "                            [--by shift | --move-to time] [--dry-run]\n"
    "                            [--watch] [--json]\n"
    "                            application retry|run|delete|reschedule\n"
    "       cassatactl job list [-S url] [--watch] [--json] application\n"
    "       cassatactl job show [-S url] [--watch] [--json] application job "
    "...\n"
    "       cassatactl job pause [-S url] [--json] application job ...\n"
    "       cassatactl job resume [-S url] [--watch] [--json] application job "
    "...\n"
    "       cassatactl job cancel [-S url] [--json] application job ...\n"
    "       cassatactl job delete [-S url] [--json] application job ...\n";

struct job_call {
	const struct ctl *ctl;
	const char *status, *from, *to, *destination, *rate, *by, *move_to;
	bool dry_run;
	bool of_start;              /* one of start alone was given */
	struct json_object *labels; /* or NULL */
	struct buf url;
	struct buf answer;     /* the last one */
	struct json_value job; /* what it is */
};

/* ---- calls ---- */

static const char job_columns[] = "job,state,verb,matched,done,skipped";

static void
print_job(const struct ctl *ctl, const struct json_value *job, bool first)
{
	if (ctl->json) {
		ctl_answer_print_json(job);
		return;
	}
	if (first)
		ctl_table_titles(job_columns);
	ctl_table_row(job, job_columns);
}

static int
show_answer(const struct ctl *ctl, struct buf *answer, bool first)
{
	struct json_value job;
	int status = ctl_answer_read(ctl, "job", answer, &job);

	if (status == CTL_OK)
		print_job(ctl, &job, first);
	return status;
}

/* Of the application, or of one of its jobs. */
static int
make_job_url(struct job_call *call, const char *id, const char *tail)
{
	buf_free(&call->url);
	return ctl_http_url(
	    call->ctl, &call->url, JOBS, call->ctl->argv[0], id, tail);
}

/* call->job, and what it points into. */
static int
ask_jobs(struct job_call *call, const char *method, const char *body)
{
	int status;

	buf_free(&call->answer);
	status =
	    ctl_http_ask(call->ctl, method, call->url.p, body, &call->answer);
	return status == CTL_OK ? ctl_answer_read(call->ctl, "job",
				      &call->answer, &call->job)
				: status;
}

static int64_t
count_in(const struct job_call *call, const char *name)
{
	return ctl_member_count(&call->job, name);
}

/* Of a time in seconds, whose fraction is of no interest. */
static int64_t
seconds_in(const struct job_call *call, const char *name)
{
	struct json_value value;
	uint64_t seconds;
	size_t len = 0;

	if (!ctl_member(&call->job, name, &value) || value.type != JSON_NUMBER)
		return 0;
	while (len < value.raw.len && value.raw.p[len] != '.')
		len++;
	return slice_to_u64(slice_of(value.raw.p, len), INT32_MAX, &seconds) ==
		       0
		   ? (int64_t)seconds
		   : 0;
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
show_job(struct progress *progress, const struct job_call *call,
    struct sample now, struct sample before)
{
	struct json_value counted;
	int64_t matched = count_in(call, "matched");
	char bar[PROGRESS_BAR], end[PROGRESS_END];

	if (!ctl_member(&call->job, "counted", &counted)) {
		progress_show(
		    progress, "counting: %" PRId64 " events", matched);
		return;
	}
	progress_bar(now.n, matched, bar);
	progress_end(seconds_in(call, "eta"), end);
	progress_show(progress,
	    "%s %" PRId64 " of %" PRId64 " events, %" PRId64 "/s%s", bar, now.n,
	    matched, per_second(before, now), end);
}

static bool
job_has_ended(const struct job_call *call)
{
	struct json_value ended;

	return ctl_member(&call->job, "ended", &ended);
}

static int
watch_job(struct job_call *call)
{
	struct progress progress;
	struct sample before = {clock_mono_ms(), 0};
	struct json_value state;
	int status = CTL_OK;

	progress_init(&progress);
	while (status == CTL_OK && !job_has_ended(call)) {
		struct sample now = {clock_mono_ms(),
		    count_in(call, "done") + count_in(call, "skipped")};

		if (!ctl_member(&call->job, "state", &state)) {
			status = ctl_fail(call->ctl, "the answer is no job");
			break;
		}
		if (progress_is_due(&progress)) {
			show_job(&progress, call, now, before);
			before = now;
		}
		(void)poll(NULL, 0, WATCH_MS);
		status = ask_jobs(call, "GET", NULL);
	}
	progress_clear(&progress);
	return status;
}

/* Of a job that was asked for: its line, or its end. */
static int
tell_job(struct job_call *call)
{
	bool watched = call->ctl->watch;
	int status = watched ? watch_job(call) : CTL_OK;

	if (status != CTL_OK)
		return status;
	print_job(call->ctl, &call->job, true);
	return !watched || ctl_member_is(&call->job, "state", "done")
		   ? CTL_OK
		   : CTL_FAILED;
}

/* ---- the verbs ---- */

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
	struct json_object *body;
	struct json_value job;
	int status;

	status = make_job_url(call, NULL, "");
	if (status != CTL_OK)
		return status;
	body = document_of(call, call->ctl->argv[1]);
	status = ask_jobs(call, "POST",
	    json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN));
	json_object_put(body);
	if (status == CTL_OK && !ctl_member(&call->job, "job", &job))
		status = ctl_fail(call->ctl, "the answer is no job");
	if (status == CTL_OK) {
		call->url.p[call->url.len - 1] = '/'; /* it was the NUL */
		(void)ctl_answer_encode(&call->url, &job);
		if (buf_append_char(&call->url, '\0') == -1)
			status = ctl_fail(call->ctl, "the answer is no job");
	}
	return status == CTL_OK ? tell_job(call) : status;
}

/* As JSON they come to all, since they are one document. */
static int
print_jobs(const struct job_call *call, struct buf *all)
{
	struct json_value jobs, job;
	const char *at = NULL;

	if (!ctl_member(&call->job, "jobs", &jobs) || jobs.type != JSON_ARRAY)
		return ctl_fail(call->ctl, "the answer is no list of jobs");
	while (json_next_element(&jobs, &at, &job)) {
		if (!call->ctl->json) {
			ctl_table_row(&job, job_columns);
			continue;
		}
		if (all->len > 0)
			buf_append_char(all, ',');
		buf_append_slice(all, job.raw);
	}
	return all->failed ? ctl_fail(call->ctl, "the list is too long")
			   : CTL_OK;
}

/* 0 at the end. */
static int64_t
next_page_of_jobs(const struct job_call *call)
{
	struct json_value next;
	uint64_t n;

	return ctl_member(&call->job, "next", &next) &&
		       next.type == JSON_STRING &&
		       slice_to_u64(slice_of(next.raw.p + 1, next.raw.len - 2),
			   INT64_MAX, &n) == 0
		   ? (int64_t)n
		   : 0;
}

/* A page of the list, of numbers below *before, which is then the lowest of
 * them, or 0 at the end. */
static int
ask_page_of_jobs(struct job_call *call, struct buf *all, int64_t *before)
{
	bool first = *before == INT64_MAX;
	char query[64];
	int64_t next;
	int status;

	(void)snprintf(query, sizeof(query), "?after=%" PRId64, *before);
	status = make_job_url(call, NULL, query);
	if (status == CTL_OK)
		status = ask_jobs(call, "GET", NULL);
	if (status != CTL_OK)
		return status;
	if (first && !call->ctl->json)
		ctl_table_titles(job_columns);
	/* It comes to an end, whatever a server says. */
	next = next_page_of_jobs(call);
	*before = next < *before ? next : 0;
	return print_jobs(call, all);
}

static int
list_once(void *arg)
{
	struct job_call *call = arg;
	int64_t before = INT64_MAX;
	struct buf all;
	int status;

	buf_init(&all, JOB_LIST_MAX_BYTES);
	do
		status = ask_page_of_jobs(call, &all, &before);
	while (status == CTL_OK && before > 0);
	if (status == CTL_OK && call->ctl->json) {
		printf("{\"jobs\":[");
		(void)ctl_print(stdout, buf_slice(&all), false);
		puts("]}");
	}
	buf_free(&all);
	return status;
}

static int
list_jobs_of(struct job_call *call)
{
	return ctl_watch_each_second(call->ctl, list_once, call);
}

/* ---- the command line ---- */

static const struct job_verb_word {
	const char *word, *method, *order;
	int n_words;
	bool may_watch;
	int (*run)(struct job_call *call); /* NULL: one of jobs by ids */
} job_words[] = {
    {"start", NULL, NULL, 2, true, start_job},
    {"list", NULL, NULL, 1, true, list_jobs_of},
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
    {"label", required_argument, NULL, 9},
    CTL_OPTION_WATCH,
    CTL_OPTION_JSON,
    {0},
};

static void
take_label_word(struct job_call *call, const char *text)
{
	if (call->labels == NULL)
		call->labels = json_object_new_array();
	json_object_array_add(call->labels, json_object_new_string(text));
}

static int
take_job_option(void *arg, int c, const char *name)
{
	struct job_call *call = arg;
	const char **const texts[] = {NULL, &call->status, &call->from,
	    &call->to, &call->destination, &call->rate, &call->by,
	    &call->move_to};

	(void)name;
	call->of_start = true;
	if (c >= 1 && c <= 7)
		*texts[c] = optarg;
	else if (c == 8)
		call->dry_run = true;
	else if (c == 9)
		take_label_word(call, optarg);
	else
		return -1;
	return 0;
}

enum { N_JOB_WORDS = sizeof(job_words) / sizeof(job_words[0]) };

/* An application, and one job or more. */
static int
jobs_by_ids(struct job_call *call, const struct job_verb_word *word)
{
	const struct ctl *ctl = call->ctl;
	const struct ctl_each each = {
	    .method = word->method,
	    .path = JOBS,
	    .app = ctl->argv[0],
	    .tail = word->order,
	    .show = show_answer,
	};
	int status;

	if (!ctl->watch)
		return ctl_each(ctl, &each, ctl->argv + 1, ctl->argc - 1);
	status = make_job_url(call, ctl->argv[1], word->order);
	if (status == CTL_OK)
		status = ask_jobs(call, word->method, NULL);
	if (status == CTL_OK)
		status = make_job_url(call, ctl->argv[1], "");
	return status == CTL_OK ? tell_job(call) : status;
}

/* With one of the words of a verb, what it may have. */
static bool
makes_sense(const struct job_call *call, const struct job_verb_word *word)
{
	const struct ctl *ctl = call->ctl;
	bool several = word->run == NULL && !ctl->watch;

	return (several ? ctl->argc >= word->n_words
			: ctl->argc == word->n_words) &&
	       (!call->of_start || word->run == start_job) &&
	       (!ctl->watch || word->may_watch);
}

int
ctl_job(struct ctl *ctl)
{
	struct job_call call = {.ctl = ctl};
	const struct job_verb_word *word;
	int status;

	if (ctl_wants_help(ctl))
		return ctl_show_usage(usage);
	word = ctl_take_verb(ctl, job_words, N_JOB_WORDS, sizeof(*job_words));
	if (word == NULL ||
	    ctl_options(ctl, "S:", job_options, take_job_option, &call) == -1 ||
	    !makes_sense(&call, word))
		status = ctl_refuse_usage(usage);
	else
		status = word->run != NULL ? word->run(&call)
					   : jobs_by_ids(&call, word);
	buf_free(&call.url);
	buf_free(&call.answer);
	json_object_put(call.labels);
	return status;
}
