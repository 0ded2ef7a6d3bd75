/* SPDX-License-Identifier: ISC */
#include "service/api_add.h"

#include <string.h>

#include "base/clock.h"
#include "base/percent.h"
#include "event/event_json.h"
#include "http/http_conn.h"
#include "service/event_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

enum { NO_ROOM_RETRY_S = 30 }; /* deletes and the purge make room */

/* Without its parameters: JSON is UTF-8 whatever they say (RFC 8259, 8.1). */
static bool
is_json_type(struct slice type)
{
	const char *semicolon =
	    type.len == 0 ? NULL : memchr(type.p, ';', type.len);

	if (semicolon != NULL)
		type =
		    slice_trim(slice_of(type.p, (size_t)(semicolon - type.p)));
	return slice_ieq(type, SLICE_LITERAL("application/json"));
}

static enum verdict
answer_bad_fields(struct http_exchange *x, const struct field_errors *errors)
{
	struct json_writer w =
	    problem_begin(x, 422, "the event has bad fields");

	json_array(&w, "errors");
	for (size_t i = 0; i < errors->len; i++) {
		json_object(&w, NULL);
		json_string(&w, "pointer", errors->list[i].pointer);
		json_string(&w, "detail", errors->list[i].detail);
		json_end_object(&w);
	}
	json_end_array(&w);
	return problem_end(x, &w);
}

static void
set_location(struct call *call)
{
	struct buf *arena = &call->x->arena;

	/* In the place of the event's headers, which are no longer needed. */
	buf_reset(arena);
	buf_append_string(arena, "/cassata/status/");
	percent_encode(arena, call->app);
	buf_append_char(arena, '/');
	percent_encode(arena, call->id);
	if (!arena->failed)
		http_exchange_field(call->x, "Location", buf_slice(arena));
}

static void
answer_add(struct call *call)
{
	const struct store_add *add = &call->u.add.item.add;
	bool created = add->outcome == ADD_CREATED;
	struct json_writer w;

	if (!call_store_ok(call))
		return;
	call_note_room(call, add->outcome);
	if (add->outcome == ADD_NO_ROOM) {
		(void)problem_for_now(call->x, 507,
		    "the datastore has no room for more events",
		    NO_ROOM_RETRY_S);
		return;
	}
	if (add->outcome == ADD_TOO_LARGE) {
		(void)problem(call->x, 413,
		    "the database server takes no event of this size");
		return;
	}
	if (add->outcome == ADD_CONFLICT) {
		(void)event_answer_conflict(call, add->state,
		    "an event with these ids and other content exists");
		return;
	}
	w = event_answer_begin(
	    call, created ? 201 : 200, created ? EVENT_PENDING : add->state);
	json_seconds(&w, "expiry", add->expiry_ms);
	event_answer_end(call, &w);
	if (created)
		set_location(call);
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

static int
make_id(struct call *call)
{
	char *made = call->u.add.made_id;

	if (uuid_make_v7(clock_wall_ms(), made) == -1)
		return -1;
	call->u.add.event.id = slice_from_string(made);
	return 0;
}

static enum verdict
take_in(struct call *call)
{
	struct intake_item *item = &call->u.add.item;

	if (call->u.add.event.id.p == NULL && make_id(call) == -1)
		return problem(call->x, 503, "no random bytes for an id");
	call->app = call->u.add.event.app;
	call->id = call->u.add.event.id;
	event_resolve(&call->u.add.event, clock_wall_ms());
	item->add.event = &call->u.add.event;
	if (event_key_make(call->app, call->id, &item->add.key) == -1 ||
	    event_fingerprint(item->add.event, item->add.fingerprint) == -1)
		return problem(call->x, 503, "out of memory");
	if (!writes_begin(call))
		return ANSWERED;
	item->call = call;
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

	if (body.len == 0)
		return problem(x, 400, "the request has no body");
	/* A web page may send other types to any server, unasked. */
	if (!is_json_type(x->req.content_type))
		return problem(x, 415, "Content-Type must be application/json");
	if (x->req.encoded) { /* RFC 9110, 15.5.16 */
		(void)problem(x, 415, "the body must have no Content-Encoding");
		http_exchange_field(
		    x, "Accept-Encoding", SLICE_LITERAL("identity"));
		return ANSWERED;
	}
	/* Now: later a lack of it would look like a fault of the request. */
	if (buf_reserve(&x->arena, body.len < EVENT_SCRATCH_MAX
				       ? body.len
				       : EVENT_SCRATCH_MAX) == -1)
		return problem_no_memory(x);
	/* The body is in x->in, which is ours to write to. */
	switch (event_from_json(x->in.p + (body.p - x->in.p), body.len,
	    &call->service->child->cfg->service.retry_limits, &x->arena, &call->u.add.event, &call->err, &errors)) {
	case EVENT_JSON_MALFORMED:
		return problem(x, 400, call->err.text);
	case EVENT_JSON_INVALID:
		return answer_bad_fields(x, &errors);
	case EVENT_JSON_OK:
		break;
	}
	return take_in(call);
}
