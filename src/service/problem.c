/* SPDX-License-Identifier: ISC */
#include "service/problem.h"

#include <stdio.h>

#include "base/check.h"
#include "http/http_conn.h"

#define URN "urn:cassata:problem:"

static const struct {
	int status;
	const char *type;
} kinds[PROBLEM_END - PROBLEM_FIRST] = {
    [PROBLEM_UNKNOWN_EVENT - PROBLEM_FIRST] = {404, URN "unknown-event"},
    [PROBLEM_UNKNOWN_SCHEDULE - PROBLEM_FIRST] = {404, URN "unknown-schedule"},
    [PROBLEM_CONFLICT - PROBLEM_FIRST] = {409, URN "conflict"},
    [PROBLEM_WRONG_STATE - PROBLEM_FIRST] = {409, URN "wrong-state"},
    [PROBLEM_WORN_OUT - PROBLEM_FIRST] = {409, URN "worn-out"},
    [PROBLEM_ATTEMPT_OVER - PROBLEM_FIRST] = {410, URN "attempt-over"},
    [PROBLEM_INVALID_EVENT - PROBLEM_FIRST] = {422, URN "invalid-event"},
    [PROBLEM_TOO_LATE - PROBLEM_FIRST] = {422, URN "too-late"},
    [PROBLEM_UNKNOWN_JOB - PROBLEM_FIRST] = {404, URN "unknown-job"},
    [PROBLEM_TOO_MANY_JOBS - PROBLEM_FIRST] = {409, URN "too-many-jobs"},
    [PROBLEM_TOO_MANY_SCHEDULES -
	PROBLEM_FIRST] = {409, URN "too-many-schedules"},
    [PROBLEM_JOB_ENDED - PROBLEM_FIRST] = {409, URN "job-ended"},
    [PROBLEM_NOT_PAUSED - PROBLEM_FIRST] = {404, URN "not-paused"},
    [PROBLEM_CLOCK_STANDS - PROBLEM_FIRST] = {409, URN "clock-stands"},
    [PROBLEM_DAMAGED - PROBLEM_FIRST] = {500, URN "damaged"},
    [PROBLEM_DATASTORE_AWAY - PROBLEM_FIRST] = {503, URN "datastore-away"},
    [PROBLEM_FROZEN - PROBLEM_FIRST] = {503, URN "frozen"},
    [PROBLEM_BUSY - PROBLEM_FIRST] = {503, URN "busy"},
    [PROBLEM_DRAINING - PROBLEM_FIRST] = {503, URN "draining"},
};

int
problem_status(int status)
{
	check(status < PROBLEM_END);
	return status < PROBLEM_FIRST ? status
				      : kinds[status - PROBLEM_FIRST].status;
}

const char *
problem_type(int status)
{
	check(status < PROBLEM_END);
	return status < PROBLEM_FIRST ? "about:blank"
				      : kinds[status - PROBLEM_FIRST].type;
}

void
problem_write(struct json_writer *w, int status, const char *detail)
{
	json_string(w, "type", problem_type(status));
	json_string(w, "title", http_reason(problem_status(status)));
	json_number(w, "status", problem_status(status));
	json_string(w, "detail", detail);
}

struct json_writer
problem_begin(struct http_exchange *x, int status, const char *detail)
{
	struct json_writer w = {.out = &x->body};

	http_exchange_answer(
	    x, problem_status(status), "application/problem+json");
	json_object(&w, NULL);
	problem_write(&w, status, detail);
	return w;
}

enum verdict
problem_end(struct http_exchange *x, struct json_writer *w)
{
	json_end_object(w);
	buf_append_char(&x->body, '\n');
	return ANSWERED;
}

enum verdict
problem(struct http_exchange *x, int status, const char *detail)
{
	struct json_writer w = problem_begin(x, status, detail);

	return problem_end(x, &w);
}

enum verdict
problem_for_now(struct http_exchange *x, int status, const char *detail,
    unsigned retry_after_s)
{
	char seconds[16];
	int len = snprintf(seconds, sizeof(seconds), "%u", retry_after_s);

	(void)problem(x, status, detail);
	http_exchange_field(x, "Retry-After", slice_of(seconds, (size_t)len));
	return ANSWERED;
}

enum verdict
problem_no_memory(struct http_exchange *x)
{
	(void)http_conns_free_memory(x->conn->conns); /* for the next time */
	return problem_for_now(x, PROBLEM_BUSY,
	    "too much memory is held by unanswered requests", PROBLEM_RETRY_S);
}
