/* SPDX-License-Identifier: ISC */
#include "service/api_ops.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "board/metrics.h"
#include "http/http_conn.h"
#include "service/counts.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* server: of several of the datastore, from 1; 0 tells nothing. */
static enum verdict
answer_ok(struct http_exchange *x, unsigned server)
{
	struct json_writer w = {.out = &x->body};

	http_exchange_answer(x, 200, "application/json");
	json_object(&w, NULL);
	json_string(&w, "status", "ok");
	if (server != 0)
		json_number(&w, "datastore-host", server);
	json_end_object(&w);
	buf_append_char(&x->body, '\n');
	return ANSWERED;
}

enum verdict
api_livez(struct call *call)
{
	return answer_ok(call->x, 0);
}

static void
run_ping(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);

	call->status = store_ping(store, &call->err);
}

static void
pinged(struct store_job *job)
{
	struct call *call = call_of_job(job);

	check(call->service->n_pings-- > 0);
	/* Why not is not for everybody: it tells of users, hosts and paths. So
	 * the place in the list, and not the host. */
	if (call_note_store(call))
		(void)answer_ok(
		    call->x, store_thread_server(call->service->store));
	else
		(void)problem(call->x, PROBLEM_DATASTORE_AWAY,
		    "the datastore cannot be reached");
	http_conn_answered(call->x);
}

enum verdict
api_readyz(struct call *call)
{
	struct service *service = call->service;

	/* A child that drains after a reload has successors which are ready. */
	if (atomic_load(&service->child->sb->shared->master.stopping))
		return problem(call->x, PROBLEM_DRAINING, "draining");
	if (atomic_load(&service->child->sb->shared->master.frozen))
		return writes_refuse(call->x);
	/* The reserve is not for waiting: one does. */
	if (call->x->reserve && service->n_pings > 0)
		return problem(call->x, PROBLEM_DATASTORE_AWAY,
		    "the datastore has yet to answer");
	service->n_pings++;
	return call_submit(call, run_ping, pinged);
}

/*
 * Making their text takes ten times as long as sending it: 50 times a second is
 * enough for all, but for a few at once.
 */
enum { METRICS_PAUSE_MS = 20, METRICS_AT_ONCE = 20 };

static void
make_metrics(struct service *service)
{
	int64_t now_ms = clock_mono_ms();
	int64_t ahead_ms = service->metrics_due_ms - now_ms;

	if (service->metrics.len > 0 &&
	    ahead_ms >= (int64_t)METRICS_PAUSE_MS * METRICS_AT_ONCE)
		return;
	service->metrics_due_ms =
	    now_ms + (ahead_ms > 0 ? ahead_ms : 0) + METRICS_PAUSE_MS;
	counts_publish(service);
	buf_reset(&service->metrics);
	(void)metrics_render(service->child->sb, &service->metrics);
}

enum verdict
api_metrics(struct call *call)
{
	struct service *service = call->service;
	struct buf *body = &call->x->body;

	make_metrics(service);
	http_exchange_answer(call->x, 200, METRICS_TYPE);
	buf_append_slice(body, buf_slice(&service->metrics));
	body->failed |= service->metrics.failed;
	return ANSWERED;
}
