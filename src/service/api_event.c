/* SPDX-License-Identifier: ISC */
#include "service/api_event.h"

#include <string.h>

#include "base/check.h"
#include "event/event_options.h"
#include "http/http_conn.h"
#include "service/event_answer.h"
#include "service/state.h"

static void
write_progress(struct json_writer *w, const struct store_record *record)
{
	json_seconds(w, "expiry", record->event.expiry_ms);
	json_seconds(w, "created", record->created_ms);
	json_number(w, "attempts", record->attempts);
	if (record->first_attempt_ms != 0)
		json_seconds(w, "first-attempt", record->first_attempt_ms);
	if (record->state == EVENT_PENDING ||
	    record->state == EVENT_SERVICE_UNAVAILABLE)
		json_seconds(w, "next-attempt", record->due_ms);
	if (record->state == EVENT_COMPLETED || record->state == EVENT_FAILED)
		json_seconds(w, "finished", record->due_ms);
	if (record->last_code != 0)
		json_number(w, "last-response-code", record->last_code);
	if (record->last_error.len > 0)
		json_text(w, "last-error", record->last_error);
}

/* Each header line, with its LF, as an element. */
static void
write_header_lines(struct json_writer *w, struct slice lines)
{
	const char *lf;

	json_array(w, "request-headers");
	while (
	    lines.len > 0 && (lf = memchr(lines.p, '\n', lines.len)) != NULL) {
		size_t len = (size_t)(lf - lines.p);

		json_text(w, NULL, slice_of(lines.p, len));
		lines = slice_of(lf + 1, lines.len - len - 1);
	}
	json_end_array(w);
}

/* What is damaged is not shown; the worker says it. */
static void
write_more(struct json_writer *w, struct slice text)
{
	struct event_options options;
	struct err ignored;

	if (event_options_parse(text, &options, &ignored) == -1)
		return;
	if (options.not_after_ms != 0)
		json_seconds(w, "not-after", options.not_after_ms);
	event_retry_write(w, "retry", &options.retry);
}

static void
write_request(struct json_writer *w, const struct event *ev)
{
	json_text(w, "url", ev->url);
	json_text(w, "method", ev->method);
	write_header_lines(w, ev->headers);
	write_more(w, ev->options);
	if (ev->body_is_text)
		json_text(w, "event", ev->body);
	else
		json_raw(w, "event", ev->body);
}

static void
write_attempts(struct json_writer *w, const struct store_record *record)
{
	json_array(w, "attempt-log");
	for (size_t i = 0; i < record->n_log; i++) {
		const struct store_attempt *attempt = &record->log[i];

		json_object(w, NULL);
		json_number(w, "attempt", attempt->number);
		json_seconds(w, "time", attempt->at_ms);
		if (attempt->code != 0)
			json_number(w, "response-code", attempt->code);
		if (attempt->error.len > 0)
			json_text(w, "error", attempt->error);
		if (attempt->response.len > 0)
			json_text(w, "response-body", attempt->response);
		json_end_object(w);
	}
	json_end_array(w);
}

static void
answer_found(struct call *call)
{
	struct store_record *record = call->u.find.record;
	struct json_writer w;

	if (!call_store_ok(call))
		return;
	if (record == NULL) {
		(void)event_answer_unknown(call);
		return;
	}
	w = event_answer_begin(call, 200, record->state);
	write_progress(&w, record);
	if (call->u.find.what == FIND_WHOLE) {
		write_request(&w, &record->event);
		write_attempts(&w, record);
	}
	event_answer_end(call, &w);
	store_record_free(record);
}

static void
run_find(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->u.find.record = NULL;
	call->status = store_find_event(store, &call->key, call->u.find.what,
	    &call->u.find.record, &call->err);
}

static void
status_found(struct store_job *job)
{
	struct call *call = call_of_job(job);

	answer_found(call);
	http_conn_answered(call->x);
}

enum verdict
api_status(struct call *call)
{
	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	call->u.find.what = FIND_STATUS;
	return call_submit(call, run_find, status_found);
}

/*
 * Whole events at a time: one is read while another one is answered. They are
 * in no budget, and large ones take long to be written.
 */
enum { DOCUMENTS_MAX = 2 };

static void document_found(struct store_job *job);

static void
read_documents(struct service *service)
{
	struct call *call;

	while (service->n_documents < DOCUMENTS_MAX &&
	       (call = STAILQ_FIRST(&service->documents)) != NULL) {
		STAILQ_REMOVE_HEAD(&service->documents, entry);
		service->n_documents++;
		(void)call_submit(call, run_find, document_found);
	}
}

static void
document_found(struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct service *service = call->service;

	answer_found(call);
	http_conn_answered(call->x);
	check(service->n_documents-- > 0);
	read_documents(service);
}

enum verdict
api_event(struct call *call)
{
	struct service *service = call->service;

	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	call->u.find.what = FIND_WHOLE;
	STAILQ_INSERT_TAIL(&service->documents, call, entry);
	read_documents(service);
	return LATER;
}
