/* SPDX-License-Identifier: ISC */
#include "service/api_add.h"

#include "event/event_json.h"
#include "http/http_conn.h"
#include "service/body.h"
#include "service/event_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

enum { NO_ROOM_RETRY_S = 30 }; /* deletes and the purge make room */

static void
answer_refusal(struct call *call, int status, const char *detail)
{
	const struct store_add *add = &call->u.add.item.add;
	struct json_writer w;

	if (add->outcome == ADD_NO_ROOM) {
		(void)problem_for_now(call->x, status, detail, NO_ROOM_RETRY_S);
		return;
	}
	w = problem_begin(call->x, status, detail);
	if (add->outcome == ADD_CONFLICT)
		incoming_write_conflict(&w, add);
	(void)problem_end(call->x, &w);
}

static void
answer_add(struct call *call)
{
	const struct store_add *add = &call->u.add.item.add;
	struct json_writer w = {.out = &call->x->body};
	const char *refusal;
	int status;

	if (!call_store_ok(call))
		return;
	call_note_room(call, add->outcome);
	refusal = incoming_refusal(add, &status);
	if (refusal != NULL) {
		answer_refusal(call, status, refusal);
		return;
	}
	http_exchange_answer(call->x, status, "application/json");
	json_object(&w, NULL);
	incoming_write(&w, add);
	event_answer_end(call, &w);
	if (add->outcome != ADD_CREATED)
		return;
	/* In the place of the event's headers, which are no longer needed. */
	buf_reset(&call->x->arena);
	event_answer_location(call, call->id, &call->x->arena);
}

static void
item_done(
    struct intake_item *item, enum store_status status, const struct err *err)
{
	struct call *call = item->call;

	writes_end(call);
	call->status = status;
	if (status != STORE_OK)
		call->err = *err;
	answer_add(call);
	http_conn_answered(call->x);
}

static enum verdict
take_in(struct call *call)
{
	struct intake_item *item = &call->u.add.item;
	const char *reason;

	if (incoming_prepare(&call->u.add, &reason) == -1)
		return problem(call->x, PROBLEM_BUSY, reason);
	call->app = call->u.add.event.app;
	call->id = call->u.add.event.id;
	if (!writes_begin(call))
		return ANSWERED;
	item->call = call;
	item->turn = NULL;
	item->done = item_done;
	intake_add(&call->service->intake, item);
	return LATER;
}

enum verdict
api_add(struct call *call)
{
	struct http_exchange *x = call->x;
	struct slice body = x->req.body;
	struct field_errors errors;

	/* JSON is UTF-8 whatever its parameters say (RFC 8259, 8.1). */
	if (body_is_refused(x,
		body_has_type(&x->req, SLICE_LITERAL("application/json")),
		"Content-Type must be application/json"))
		return ANSWERED;
	/* Now: later a lack of it would look like a fault of the request. */
	if (buf_reserve(&x->arena,
		body.len < EVENT_SCRATCH_MAX ? body.len : EVENT_SCRATCH_MAX) ==
	    -1)
		return problem_no_memory(x);
	/* The body is in x->in, which is ours to write to. */
	switch (event_from_json(x->in.p + (body.p - x->in.p), body.len,
	    &call->service->context, &x->arena, &call->u.add.event, &call->err,
	    &errors)) {
	case EVENT_JSON_MALFORMED:
		return problem(x, 400, call->err.text);
	case EVENT_JSON_INVALID:
		return incoming_answer_errors(
		    x, "the event has bad fields", &errors);
	case EVENT_JSON_OK:
		break;
	}
	return take_in(call);
}
