/* SPDX-License-Identifier: ISC */
#include "service/api_change.h"

#include <sys/random.h>

#include "base/clock.h"
#include "board/placement.h"
#include "board/shardboard.h"
#include "http/http_conn.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

/* It is due now: like a new one it goes to whose worker can be woken. */
static int
choose_shard(struct call *call)
{
	struct child *child = call->service->child;
	const struct config_worker *cfg = &child->cfg->worker;
	struct store_change *change = &call->u.change;
	struct placement placement;
	uint32_t lot;

	if (getrandom(&lot, sizeof(lot), 0) == -1)
		return err_errno(&call->err, "getrandom");
	placement_read(&placement, child->sb,
	    cfg->polling_interval_ms + cfg->claim_ahead_ms);
	change->now_ms = clock_wall_ms();
	change->shard = placement_shard(&placement, change->now_ms, lot);
	return 0;
}

/* On the datastore's thread. */
static void
run_change(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = STORE_UNAVAILABLE;
	if (choose_shard(call) == 0)
		call->status =
		    store_change_event(store, &call->u.change, &call->err);
}

static const char *
why_not(const struct store_change *change)
{
	if (change->outcome == CHANGE_WORN_OUT)
		return "it has had too many attempts";
	return change->verb == CHANGE_RUN
		   ? "only an event that waits can be run"
		   : "only an event that has ended can be retried";
}

static void
answer_changed(struct call *call)
{
	const struct store_change *change = &call->u.change;
	struct json_writer w;

	if (!call_store_ok(call))
		return;
	if (change->outcome == CHANGE_UNKNOWN) {
		(void)event_answer_unknown(call);
		return;
	}
	if (change->outcome != CHANGE_MADE) {
		(void)event_answer_conflict(
		    call, change->state, why_not(change));
		return;
	}
	/* Workers first: answering takes longer than waking. */
	shardboard_event_added(
	    call->service->child->sb, change->shard, change->due_ms);
	w = event_answer_begin(call, 200, change->state);
	json_seconds(&w, "expiry", change->expiry_ms);
	json_seconds(&w, "next-attempt", change->due_ms);
	event_answer_end(call, &w);
}

static void
changed(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	answer_changed(call);
	http_conn_answered(call->x);
}

static enum verdict
begin_change(struct call *call, enum change_verb verb)
{
	const struct http_request *req = &call->x->req;

	if (!event_answer_take_ids(call))
		return event_answer_unknown(call);
	/* A form of any page may send a POST. */
	if (browser_asks(req) && !browser_was_asked(req))
		return problem(call->x, 415,
		    "a browser must send Content-Type: application/json");
	if (req->body.len > 0)
		return problem(call->x, 400, "this request takes no body");
	if (!writes_begin(call))
		return ANSWERED;
	call->u.change = (struct store_change){.key = call->key, .verb = verb};
	return call_submit(call, run_change, changed);
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
