/* SPDX-License-Identifier: ISC */
#include "service/api_ack.h"

#include <sys/random.h>

#include "base/clock.h"
#include "board/shardboard.h"
#include "http/http_conn.h"
#include "service/browser.h"
#include "service/event_answer.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

/* On the datastore's thread. */
static void
run_ack(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct store_ack *ack = &call->u.ack;

	ack->now_ms = clock_event_ms();
	/* Without it retries are only less spread. */
	(void)!getrandom(&ack->random, sizeof(ack->random), GRND_NONBLOCK);
	call->status = store_ack_event(store, ack, &call->err);
}

static enum verdict
answer_no_such_token(struct call *call)
{
	return problem(call->x, PROBLEM_UNKNOWN_EVENT,
	    "no attempt has this token, or its event is gone");
}

static void
answer_acked(struct call *call)
{
	const struct store_ack *ack = &call->u.ack;
	struct json_writer w;

	if (!call_store_ok(call))
		return;
	if (ack->outcome == ACK_UNKNOWN) {
		(void)answer_no_such_token(call);
		return;
	}
	call->app = ack->record->event.app;
	call->id = ack->record->event.id;
	if (ack->outcome == ACK_OVER) {
		(void)event_answer_conflict(call, PROBLEM_ATTEMPT_OVER,
		    ack->state,
		    "this attempt is over: it ended otherwise, or another one "
		    "has followed");
		return;
	}
	/* The event again, or who is told of its end. */
	if (ack->wakes)
		shardboard_event_added(
		    call->service->child->sb, ack->shard, ack->due_ms);
	w = event_answer_begin(call, 200, ack->state);
	if (ack->state == EVENT_SERVICE_UNAVAILABLE)
		json_seconds(&w, "next-attempt", ack->due_ms);
	event_answer_end(call, &w);
}

static void
acked(struct store_job *job)
{
	struct call *call = call_of_job(job);

	writes_end(call);
	answer_acked(call);
	store_record_free(call->u.ack.record);
	call->u.ack.record = NULL;
	http_conn_answered(call->x);
}

static enum verdict
begin_ack(struct call *call, bool nack)
{
	const struct http_request *req = &call->x->req;
	const struct config_worker *cfg = &call->service->cfg->worker;

	call->u.ack = (struct store_ack){
	    .nack = nack,
	    .retry = &cfg->retry,
	    .said = req->body,
	    .log_bytes = (size_t)cfg->response_bytes_kept,
	    .callback_bytes = (size_t)cfg->callback_bytes,
	};
	if (!ack_token_read(call->params[0], &call->u.ack.token))
		return answer_no_such_token(call);
	if (browser_is_refused(call->x))
		return ANSWERED;
	if (!writes_begin(call))
		return ANSWERED;
	return call_submit(call, run_ack, acked);
}

enum verdict
api_ack(struct call *call)
{
	return begin_ack(call, false);
}

enum verdict
api_nack(struct call *call)
{
	return begin_ack(call, true);
}
