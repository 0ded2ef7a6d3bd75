/* SPDX-License-Identifier: ISC */
#include "service/call.h"

#include <sys/random.h>

#include "base/container_of.h"
#include "board/placement.h"
#include "service/problem.h"
#include "service/state.h"

struct call *
call_begin(struct service *service, struct http_exchange *x)
{
	struct call *call = x->call;

	call->service = service;
	call->x = x;
	call->app = call->id = slice_of(NULL, 0);
	return call;
}

struct call *
call_of_job(struct store_job *job)
{
	return container_of(job, struct call, job);
}

enum verdict
call_submit(struct call *call, void (*run)(struct store *, struct store_job *),
    void (*done)(struct store_job *))
{
	call->job.run = run;
	call->job.done = done;
	store_thread_submit(call->service->store, &call->job);
	return LATER;
}

int
call_draw_shard(struct call *call, int64_t due_ms, unsigned *shard)
{
	struct child *child = call->service->child;
	const struct config_worker *cfg = &child->cfg->worker;
	struct placement placement;
	uint32_t lot;

	if (getrandom(&lot, sizeof(lot), 0) == -1)
		return err_errno(&call->err, "getrandom");
	placement_read(&placement, child->sb,
	    cfg->polling_interval_ms + cfg->claim_ahead_ms);
	*shard = placement_shard(&placement, due_ms, lot);
	return 0;
}

/* The trouble of a datastore that answers. */
static const char *
without_room(const struct service *service)
{
	return service->is_full ? "it has no room for more events" : "";
}

bool
call_note_store(struct call *call)
{
	struct service *service = call->service;
	/* It answers, and well, of a row that is damaged, too. */
	bool ok = call->status == STORE_OK || call->status == STORE_DAMAGED;

	atomic_store(&service->child->score->server,
	    store_thread_server(service->store));
	if (!ok || service->in_trouble)
		scoreboard_tell_trouble(service->child->score,
		    ok ? without_room(service) : call->err.text);
	service->in_trouble = !ok;
	return call->status == STORE_OK;
}

void
call_note_room(struct call *call, enum add_outcome outcome)
{
	struct service *service = call->service;
	bool full = outcome == ADD_NO_ROOM;

	/* An event that was there already tells nothing. */
	if ((!full && outcome != ADD_CREATED) || service->is_full == full)
		return;
	service->is_full = full;
	scoreboard_tell_trouble(service->child->score, without_room(service));
}

bool
call_store_ok(struct call *call)
{
	if (call_note_store(call))
		return true;
	if (call->status == STORE_DAMAGED) {
		(void)problem(call->x, PROBLEM_DAMAGED, call->err.text);
		return false;
	}
	metric_add(call->service->child->score, METRIC_STORE_FAILURES, 1);
	if (call->status == STORE_UNAVAILABLE)
		problem_for_now(call->x, PROBLEM_DATASTORE_AWAY,
		    "the datastore is not available", PROBLEM_RETRY_S);
	else
		problem(call->x, 500, "the datastore refused; see the log");
	return false;
}
