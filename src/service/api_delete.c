/* SPDX-License-Identifier: ISC */
#include "service/api_delete.h"

#include "base/check.h"
#include "http/http_conn.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

static void
run_cancel(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = store_cancel_event(store, &call->key,
	    &call->u.cancel.outcome, &call->u.cancel.state, &call->err);
}

static enum verdict
answer_cancelled(struct call *call)
{
	struct json_writer w;

	if (!call_store_ok(call))
		return ANSWERED;
	switch (call->u.cancel.outcome) {
	case CANCEL_UNKNOWN:
		return event_answer_unknown(call);
	case CANCEL_REFUSED:
		return event_answer_conflict(call, PROBLEM_WRONG_STATE,
		    call->u.cancel.state,
		    "an event that is under way cannot be deleted");
	case CANCEL_DELETED:
		break;
	default:
		check(false);
	}
	metric_add(call->service->child->score, METRIC_EVENTS_DELETED, 1);
	w = event_answer_begin(call, 200, EVENT_DELETED);
	json_string(&w, "event-status", event_state_name(call->u.cancel.state));
	event_answer_end(call, &w);
	return ANSWERED;
}

static void
cancelled(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	(void)answer_cancelled(call);
	http_conn_answered(call->x);
}

enum verdict
api_delete(struct call *call)
{
	const struct http_request *req = &call->x->req;

	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	/* A link or an image of any page is a GET. */
	if (slice_eq(req->method, SLICE_LITERAL("GET")) && browser_asks(req))
		return problem(call->x, 403, "a browser must use DELETE");
	if (!writes_begin(call))
		return ANSWERED;
	return call_submit(call, run_cancel, cancelled);
}
