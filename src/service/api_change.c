/* SPDX-License-Identifier: ISC */
#include "service/api_change.h"

#include "base/check.h"
#include "base/clock.h"
#include "board/shardboard.h"
#include "event/event_json.h"
#include "event/event_local.h"
#include "http/http_conn.h"
#include "service/body.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/if_match.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

/* On the datastore's thread. */
static void
run_change(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct store_change *change = &call->u.change.change;
	int64_t due_ms = clock_event_ms();

	change->now_ms = due_ms;
	if (change->verb == CHANGE_PATCH)
		due_ms = event_due_ms(&change->patch->values);
	call->status = STORE_UNAVAILABLE;
	if (call_draw_shard(call, due_ms, &change->shard) == 0)
		call->status = store_change_event(store, change, &call->err);
}

static const char *
why_not(const struct store_change *change)
{
	return change->verb == CHANGE_RETRY
		   ? "only an event that has ended can be retried"
		   : "only an event that waits can be run or changed";
}

/* Of its next attempt. */
static int64_t
next_attempt_ms(const struct store_change *change)
{
	return change->state == EVENT_PENDING
		   ? event_local_attempt_ms(change->due_ms, change->expiry_ms)
		   : change->due_ms;
}

static void
answer_changed(struct call *call)
{
	const struct store_change *change = &call->u.change.change;
	struct json_writer w;

	if (!call_store_ok(call))
		return;
	switch (change->outcome) {
	case CHANGE_UNKNOWN:
		(void)event_answer_unknown(call);
		return;
	case CHANGE_REFUSED:
		(void)event_answer_conflict(
		    call, PROBLEM_WRONG_STATE, change->state, why_not(change));
		return;
	case CHANGE_WORN_OUT:
		(void)event_answer_conflict(call, PROBLEM_WORN_OUT,
		    change->state, "it has had too many attempts");
		return;
	case CHANGE_OTHER:
		(void)problem(call->x, 412,
		    "the event is another one than If-Match says");
		return;
	case CHANGE_TOO_LARGE:
		(void)problem(call->x, 413, "the event would become too large");
		return;
	case CHANGE_TOO_LATE:
		(void)problem(call->x, PROBLEM_TOO_LATE,
		    "the time is after the event's not-after");
		return;
	case CHANGE_LABELS:
		(void)problem(
		    call->x, 422, "the event would have more than 8 labels");
		return;
	case CHANGE_MADE:
		break;
	default:
		check(false);
	}
	/* Workers first: answering takes longer than waking. */
	shardboard_event_added(
	    call->service->child->sb, change->shard, change->due_ms);
	w = event_answer_begin(call, 200, change->state);
	json_seconds(&w, "expiry", change->expiry_ms);
	json_seconds(&w, "next-attempt", next_attempt_ms(change));
	event_answer_end(call, &w);
	if (change->verb == CHANGE_PATCH)
		http_exchange_field(
		    call->x, "ETag", slice_from_string(change->tag));
}

static void
changed(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	buf_free(&call->u.change.if_match);
	answer_changed(call);
	http_conn_answered(call->x);
}

/* With the key of the call, and the patch that is there. */
static enum verdict
submit_change(struct call *call, enum change_verb verb)
{
	call->u.change.change = (struct store_change){
	    .key = call->key,
	    .verb = verb,
	    .patch = &call->u.change.patch,
	    .body_max = (size_t)call->service->cfg->service.max_body_bytes,
	};
	if (if_match_take(call->x, &call->u.change.if_match,
		&call->u.change.change.if_match) == -1) {
		buf_free(&call->u.change.if_match);
		return problem_no_memory(call->x);
	}
	if (!writes_begin(call)) {
		buf_free(&call->u.change.if_match);
		return ANSWERED;
	}
	return call_submit(call, run_change, changed);
}

static enum verdict
begin_change(struct call *call, enum change_verb verb)
{
	const struct http_request *req = &call->x->req;

	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	if (browser_is_refused(call->x))
		return ANSWERED;
	if (req->body.len > 0)
		return problem(call->x, 400, "this request takes no body");
	return submit_change(call, verb);
}

enum verdict
api_run(struct call *call)
{
	return begin_change(call, CHANGE_RUN);
}

enum verdict
api_retry(struct call *call)
{
	return begin_change(call, CHANGE_RETRY);
}

enum verdict
api_patch(struct call *call)
{
	static const struct slice merge_patch =
	    SLICE_INIT("application/merge-patch+json");
	struct http_exchange *x = call->x;
	struct event_patch *patch = &call->u.change.patch;
	struct field_errors errors;
	struct slice body = x->req.body;
	bool known = body_has_type(&x->req, merge_patch) ||
		     body_has_type(&x->req, SLICE_LITERAL("application/json"));

	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	if (body_is_refused(x, known,
		"Content-Type must be application/merge-patch+json")) {
		if (!known)
			http_exchange_field(x, "Accept-Patch", merge_patch);
		return ANSWERED;
	}
	/* Now: later a lack of it would look like a fault of the request. */
	if (buf_reserve(&x->body, body.len < EVENT_HEADER_BYTES_MAX
				      ? body.len
				      : EVENT_HEADER_BYTES_MAX) == -1)
		return problem_no_memory(x);
	/* The answer comes after what is kept in its place; the ids are in the
	 * arena. */
	switch (event_patch_from_json(x->in.p + (body.p - x->in.p), body.len,
	    &call->service->context, &x->body, patch, &call->err, &errors)) {
	case EVENT_JSON_MALFORMED:
		return problem(x, 400, call->err.text);
	case EVENT_JSON_INVALID:
		return incoming_answer_errors(
		    x, "the event has bad fields", &errors);
	case EVENT_JSON_OK:
		break;
	}
	if (patch->has_time)
		event_resolve(&patch->values, clock_event_ms());
	return submit_change(call, CHANGE_PATCH);
}
