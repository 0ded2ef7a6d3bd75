/* SPDX-License-Identifier: ISC */
#include "service/api_event.h"

#include "base/check.h"
#include "http/http_conn.h"
#include "service/event_answer.h"
#include "service/event_member.h"
#include "service/pause_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "store/pauses.h"

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

/* Those that it is of. */
static void
write_pauses(struct json_writer *w, const struct store_pauses *pauses,
    const struct event *ev)
{
	const struct store_pause *pause = pauses_match(pauses, 0, ev);

	if (pause == NULL)
		return;
	json_array(w, "paused");
	for (; pause != NULL; pause = pauses_match(pauses,
				  (size_t)(pause - pauses->list) + 1, ev))
		pause_answer_write(w, pause);
	json_end_array(w);
}

static void
answer_found(struct call *call)
{
	struct store_record *record = call->u.find.record;
	char tag[STORE_TAG_BYTES];
	struct json_writer w;

	if (!call_store_ok(call)) {
		store_record_free(record);
		return;
	}
	if (record == NULL) {
		(void)event_answer_unknown(call);
		return;
	}
	w = event_answer_begin(call, 200, record->state);
	for (unsigned m = MEMBER_STATUS + 1; m < EVENT_MEMBERS; m++)
		if (m < MEMBER_URL || call->u.find.what == FIND_WHOLE)
			event_member_write(&w, (enum event_member)m, record);
	if (call->u.find.pauses != NULL)
		write_pauses(&w, call->u.find.pauses, &record->event);
	if (call->u.find.what == FIND_WHOLE)
		write_attempts(&w, record);
	event_answer_end(call, &w);
	if (call->u.find.what == FIND_WHOLE &&
	    store_record_tag(record, tag) == 0)
		http_exchange_field(call->x, "ETag", slice_from_string(tag));
	store_record_free(record);
	pause_answer_free(&call->u.find.pauses);
}

static bool
waits(const struct store_record *record)
{
	return record->state == EVENT_PENDING ||
	       record->state == EVENT_SERVICE_UNAVAILABLE;
}

static void
run_find(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->u.find.record = NULL;
	call->u.find.pauses = NULL;
	call->status = store_find_event(store, &call->key, call->u.find.what,
	    &call->u.find.record, &call->err);
	if (call->status == STORE_OK && call->u.find.what == FIND_WHOLE &&
	    call->u.find.record != NULL && waits(call->u.find.record))
		call->status =
		    pause_answer_read(store, &call->u.find.pauses, &call->err);
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

/* When it drains, nobody waits for what may be read for none: those whose turn
 * it is. */
static void
refuse_ended(struct service *service)
{
	struct call *call;

	while (atomic_load(&service->leaving) &&
	       (call = STAILQ_FIRST(&service->documents)) != NULL &&
	       http_conn_has_ended(call->x)) {
		STAILQ_REMOVE_HEAD(&service->documents, entry);
		(void)problem_for_now(call->x, PROBLEM_BUSY,
		    "the server stops or reloads: ask again", PROBLEM_RETRY_S);
		http_conn_answered(call->x);
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
	refuse_ended(service);
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
