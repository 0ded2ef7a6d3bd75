/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_PROBLEM_H
#define CASSATA_SERVICE_PROBLEM_H

#include "base/json_write.h"
#include "http/http_exchange.h"

/* RFC 9457: what an answer is when it is not what was asked for. */

/*
 * What clients tell apart that have one status: may stand wherever a status
 * does here. doc/openapi.yaml and doc/api.md list their types. All others are
 * "about:blank", which says no more than the status (RFC 9457, 4.2.1).
 */
enum problem_kind {
	PROBLEM_FIRST = 1000, /* no status */
	PROBLEM_UNKNOWN_EVENT = PROBLEM_FIRST,
	PROBLEM_UNKNOWN_SCHEDULE,
	PROBLEM_CONFLICT,
	PROBLEM_WRONG_STATE,
	PROBLEM_WORN_OUT,
	PROBLEM_ATTEMPT_OVER,
	PROBLEM_INVALID_EVENT,
	PROBLEM_TOO_LATE,
	PROBLEM_UNKNOWN_JOB,
	PROBLEM_TOO_MANY_JOBS,
	PROBLEM_TOO_MANY_SCHEDULES,
	PROBLEM_JOB_ENDED,
	PROBLEM_NOT_PAUSED,
	PROBLEM_CLOCK_STANDS,
	PROBLEM_DAMAGED,
	PROBLEM_DATASTORE_AWAY,
	PROBLEM_FROZEN,
	PROBLEM_BUSY,
	PROBLEM_DRAINING,
	PROBLEM_END,
};

/* The status of a kind, or of a status itself. */
int problem_status(int status);

/* The type of a kind, or of a status itself. */
const char *problem_type(int status);

/* When a lack that passes by itself may have passed. */
enum { PROBLEM_RETRY_S = 2 };

/* Makes the answer of x one; detail is for the client: copied, escaped. */
enum verdict problem(struct http_exchange *x, int status, const char *detail);

/* One that passes: with Retry-After. */
enum verdict problem_for_now(struct http_exchange *x, int status,
    const char *detail, unsigned retry_after_s);

/* 503: no memory for it; somebody who does not read makes some. */
enum verdict problem_no_memory(struct http_exchange *x);

/* Its members, wherever they go. */
void problem_write(struct json_writer *w, int status, const char *detail);

/* One with more members, written between the two. */
struct json_writer problem_begin(
    struct http_exchange *x, int status, const char *detail);
enum verdict problem_end(struct http_exchange *x, struct json_writer *w);

#endif
