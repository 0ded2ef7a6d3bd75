/* SPDX-License-Identifier: ISC */
#include "service/problem.h"

#include <stdio.h>

#include "http/http_conn.h"

void
problem_write(struct json_writer *w, int status, const char *detail)
{
	json_string(w, "type", "about:blank");
	json_string(w, "title", http_reason(status));
	json_number(w, "status", status);
	json_string(w, "detail", detail);
}

struct json_writer
problem_begin(struct http_exchange *x, int status, const char *detail)
{
	struct json_writer w = {.out = &x->body};

	http_exchange_answer(x, status, "application/problem+json");
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
	return problem_for_now(x, 503,
	    "too much memory is held by unanswered requests", PROBLEM_RETRY_S);
}
