/* SPDX-License-Identifier: ISC */
#include "worker/worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	STORE_RETRY_MS = 500,
	TIMER_MAX_MS = 3600000,
	WANT_INTERVAL_MS = 1000,
	RECEIVED_SLACK_BYTES = 64 * 1024,
	SHED_INTERVAL_MS = 250,
};

int64_t
worker_now_ms(const struct worker *w)
{
	return dbclock_now_ms(&w->clock, clock_wall_ms());
}

/* ---- what is in memory ---- */

static void
release(struct worker *w, struct delivery *d, int64_t due_ms)
{
	holdings_release(&w->holdings, d, due_ms, clock_mono_ms());
}

static bool
has_slot(const struct worker *w)
{
	return w->holdings.n_on_wire < (size_t)w->cfg->max_deliveries;
}

/* Since it was due, or was accepted: what was due long before that is not late.
 */
static int64_t
late_by_ms(const struct worker *w, const struct store_claim *claim)
{
	int64_t made_ms = event_row_made_ms(claim->row_id);
	int64_t since_ms = claim->due_ms > made_ms ? claim->due_ms : made_ms;
	int64_t now_ms = worker_now_ms(w);

	return now_ms > since_ms ? now_ms - since_ms : 0;
}

static void
start(struct worker *w, struct delivery *d)
{
	int64_t late_ms = late_by_ms(w, d->claim);

	metric_add(w->child->score, METRIC_LATENESS_MS, late_ms);
	holdings_sent(&w->holdings);
	metric_set(w->child->score, METRIC_DELIVERIES_IN_FLIGHT,
	    (int64_t)w->holdings.n_on_wire);
	d->wire = wire_enter(&w->wire, d->claim->row_id);
	/* Whatever ends us meanwhile: it was this. */
	if (w->child->alone)
		atomic_store(&w->child->score->note, d->claim->row_id);
	delivery_start(d);
}

bool
worker_holds(const struct worker *w, const struct delivery *d)
{
	return w->child->alone || (w->shards >> d->claim->shard & 1) != 0;
}

/* Beyond the end of our lease, until it is renewed, others may have it. */
bool
worker_may_send(void *arg, const struct delivery *d)
{
	const struct worker *w = arg;

	return d->epoch == w->epoch && shards_open(w) && !shards_leapt(w);
}

/* Whether it is to be begun here at all. */
static bool
stays(void *arg, struct delivery *d)
{
	const struct worker *w = arg;

	return !w->child->draining && worker_holds(w, d) &&
	       d->epoch == w->epoch;
}

static void
count_outcome(const struct worker *w, const struct delivery *d)
{
	static const enum metric metrics[] = {
	    [RESULT_COMPLETED] = METRIC_DELIVERED,
	    [RESULT_FAILED] = METRIC_GIVEN_UP,
	    [RESULT_RETRY] = METRIC_RETRIED,
	};

	if (d->result.kind != RESULT_RELEASED)
		metric_add(w->child->score, metrics[d->result.kind], 1);
}

/* Of the many that may fail together, one a second. */
static void
tell_want(struct worker *w, const struct delivery *d)
{
	int64_t mono_ms = clock_mono_ms();

	metric_add(w->child->score, METRIC_EVENTS_POSTPONED, 1);
	if (mono_ms < w->told_want_ms + WANT_INTERVAL_MS)
		return;
	w->told_want_ms = mono_ms;
	log_warnx("events wait for what is short here: %s", d->error);
}

/* ---- shares ---- */

static void
defer(
    struct worker *w, struct delivery *d, struct share *share, int64_t mono_ms)
{
	metric_add(w->child->score, METRIC_EVENTS_DEFERRED, 1);
	release(w, d, worker_now_ms(w) + share_defer_ms(share, mono_ms));
}

/* Starts it, unless its application or its host has enough. */
static void
admit(struct worker *w, struct delivery *d, int64_t mono_ms)
{
	struct share *full = NULL;

	if (!share_has_room(d->app))
		full = d->app;
	else if (!share_has_room(d->host))
		full = d->host;
	if (full == NULL) {
		share_take(d->app, mono_ms);
		share_take(d->host, mono_ms);
		start(w, d);
	} else if (share_wait(full, d, mono_ms)) {
		holdings_queued(&w->holdings, d);
	} else {
		defer(w, d, full, mono_ms);
	}
}

/* Those that wait for it, as far as it and the slots have room. */
static void
serve(struct worker *w, struct share *share, int64_t mono_ms)
{
	struct delivery *d;

	while (has_slot(w) && (d = share_next(share)) != NULL) {
		holdings_unqueued(&w->holdings);
		if (stays(w, d) && worker_may_send(w, d)) {
			admit(w, d, mono_ms);
			continue;
		}
		release(w, d, 0);
	}
	w->unserved |= !has_slot(w);
}

static void
visit(void *arg, struct share *share)
{
	struct worker *w = arg;
	int64_t mono_ms = clock_mono_ms();
	struct delivery *d;

	serve(w, share, mono_ms);
	while ((d = share_shed(share, mono_ms)) != NULL) {
		holdings_unqueued(&w->holdings);
		defer(w, d, share, mono_ms);
	}
}

/* Queues that nobody's end serves, or that have become too long. */
static void
look_after_queues(struct worker *w, int64_t mono_ms)
{
	if (w->holdings.n_queued == 0 || (!w->unserved && mono_ms < w->shed_ms))
		return;
	w->unserved = false;
	w->shed_ms = mono_ms + SHED_INTERVAL_MS;
	shares_visit(&w->apps, visit, w);
	shares_visit(&w->hosts, visit, w);
}

void
worker_ended(void *arg, struct delivery *d)
{
	struct worker *w = arg;
	int64_t mono_ms = clock_mono_ms();
	int64_t elapsed_ms = mono_ms - d->started_ms;

	wire_leave(&w->wire, d->wire);
	holdings_returned(&w->holdings);
	metric_set(w->child->score, METRIC_DELIVERIES_IN_FLIGHT,
	    (int64_t)w->holdings.n_on_wire);
	if (w->child->alone)
		atomic_store(&w->child->score->note, 0);
	if (d->result.kind == RESULT_RELEASED && d->busy != NULL) {
		metric_add(w->child->score, METRIC_EVENTS_DEFERRED, 1);
		d->result.due_ms =
		    worker_now_ms(w) + share_defer_ms(d->busy, mono_ms);
	}
	count_outcome(w, d);
	if (d->wants)
		tell_want(w, d);
	holdings_finish(&w->holdings, d, mono_ms);
	share_give(d->app, elapsed_ms, mono_ms);
	share_give(d->host, elapsed_ms, mono_ms);
	share_give(d->address, elapsed_ms, mono_ms);
	if (w->holdings.n_queued > 0) {
		serve(w, d->host, mono_ms);
		serve(w, d->app, mono_ms);
	}
}

/* One in the way of IPv6 is the same address. */
static struct slice
plain_ip(struct slice ip)
{
	static const char prefix[] = "::ffff:";
	size_t n = sizeof(prefix) - 1;

	if (ip.len > n && memcmp(ip.p, prefix, n) == 0 &&
	    memchr(ip.p, '.', ip.len) != NULL)
		return slice_of(ip.p + n, ip.len - n);
	return ip;
}

static bool
may_connect(void *arg, struct delivery *d, struct slice ip)
{
	struct worker *w = arg;
	struct share *address = share_get(&w->addresses, plain_ip(ip));
	int64_t mono_ms = clock_mono_ms();

	if (address == d->address) {
		share_put(&address);
		return true;
	}
	if (!share_has_room(address)) {
		share_put(&d->busy);
		d->busy = address;
		return false;
	}
	/* The one that was tried before it. */
	share_give(d->address, mono_ms - d->started_ms, mono_ms);
	share_put(&d->address);
	share_take(address, mono_ms);
	d->address = address;
	return true;
}

static void
begin(struct worker *w, struct delivery *d, int64_t mono_ms)
{
	const struct event *ev = &d->claim->event;

	d->app = share_get(&w->apps, ev->app);
	d->host = share_get(&w->hosts, share_host_of(ev->url));
	admit(w, d, mono_ms);
}

/*
 * Starts what is due, as far as slots reach. Beyond the end of our lease others
 * may have the events: then nothing starts until it is renewed.
 */
static void
dispatch(struct worker *w, int64_t mono_ms)
{
	while (has_slot(w) && shards_open(w) &&
	       holdings_next_due_ms(&w->holdings) <= worker_now_ms(w))
		begin(w, holdings_take_ready(&w->holdings), mono_ms);
}

static bool
stays_queued(void *arg, struct delivery *d)
{
	struct worker *w = arg;

	if (stays(w, d))
		return true;
	holdings_unqueued(&w->holdings);
	release(w, d, 0);
	return false;
}

static void
unqueue(void *arg, struct share *share)
{
	share_unqueue(share, stays_queued, arg);
}

void
worker_release_unbegun(struct worker *w)
{
	struct delivery_queue all = STAILQ_HEAD_INITIALIZER(all);
	struct delivery *d;

	if (w->holdings.n_queued > 0) {
		shares_visit(&w->apps, unqueue, w);
		shares_visit(&w->hosts, unqueue, w);
	}
	holdings_take_all_ready(&w->holdings, &all);
	while ((d = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, queue);
		if (!stays(w, d) || holdings_put_ready(&w->holdings, d) == -1)
			release(w, d, 0);
	}
}

/* ---- jobs of the datastore ---- */

void
worker_submit(struct worker *w, struct store_job *job)
{
	struct scoreboard_slot *score = w->child->score;
	int64_t mono_ms = clock_mono_ms();

	atomic_store(&score->tried_ms, mono_ms);
	if (atomic_load(&score->asking_ms) == 0)
		atomic_store(&score->asking_ms, mono_ms);
	w->busy = true;
	store_thread_submit(w->store, job);
}

bool
worker_store_failed(struct worker *w)
{
	int64_t mono_ms = clock_mono_ms();

	if (w->status == STORE_OK) {
		atomic_store(&w->child->score->asking_ms, 0);
		return false;
	}
	atomic_store(&w->child->score->tried_ms, mono_ms);
	metric_add(w->child->score, METRIC_STORE_FAILURES, 1);
	w->store_retry_ms = mono_ms + STORE_RETRY_MS;
	/* A commit whose answer was lost may have claimed events. */
	w->in_doubt = true;
	w->lease_due_ms = mono_ms;
	return true;
}

static void
purged(struct store_job *job)
{
	struct worker *w =
	    (struct worker *)((char *)job - offsetof(struct worker, purge.job));

	w->busy = false;
	w->status = w->purge.status;
	if (worker_store_failed(w))
		return;
	metric_add(w->child->score, METRIC_EVENTS_PURGED,
	    (int64_t)purge_done(&w->purge, clock_mono_ms()));
}

static int64_t
purge_in_ms(const struct worker *w, int64_t mono_ms)
{
	return w->child->draining
		   ? INT64_MAX
		   : purge_wait_ms(&w->purge, w->shards, mono_ms);
}

/* Nothing left to do but to give the leases back. */
static bool
may_leave(const struct worker *w)
{
	return w->child->draining && w->holdings.n == 0;
}

static void
submit_next(struct worker *w, int64_t mono_ms)
{
	if (w->busy || mono_ms < w->store_retry_ms)
		return;
	if (shards_due(w, mono_ms) || may_leave(w))
		shards_submit(w);
	else if (turn_wait_ms(w, mono_ms) == 0)
		turn_submit(w);
	else if (purge_in_ms(w, mono_ms) == 0)
		worker_submit(
		    w, purge_submit(&w->purge, w->shards, worker_now_ms(w)));
}

/* ---- the clock: one place that knows when to look again ---- */

static int64_t
min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
next_job_ms(const struct worker *w, int64_t mono_ms)
{
	int64_t wait_ms = w->lease_due_ms - mono_ms;

	if (w->busy)
		return INT64_MAX;
	if (mono_ms < w->store_retry_ms)
		return w->store_retry_ms - mono_ms;
	wait_ms = min_ms(wait_ms, turn_wait_ms(w, mono_ms));
	return min_ms(wait_ms, purge_in_ms(w, mono_ms));
}

static int64_t
next_shed_ms(const struct worker *w, int64_t mono_ms)
{
	return w->holdings.n_queued == 0 ? INT64_MAX : w->shed_ms - mono_ms;
}

static int64_t
next_start_ms(const struct worker *w)
{
	int64_t due_ms = holdings_next_due_ms(&w->holdings);

	/* A full house or a lapsed lease is not mended by waiting. */
	if (due_ms == INT64_MAX || !shards_open(w) || !has_slot(w))
		return INT64_MAX;
	return due_ms - worker_now_ms(w);
}

static void
tick(void *arg)
{
	struct worker *w = arg;
	int64_t mono_ms = clock_mono_ms();

	shards_check_clock(w);
	if (w->child->draining)
		worker_release_unbegun(w);
	else {
		look_after_queues(w, mono_ms);
		dispatch(w, mono_ms);
	}
	submit_next(w, mono_ms);
	loop_timer_set(
	    w->timer, min_ms(min_ms(TIMER_MAX_MS, next_shed_ms(w, mono_ms)),
			  min_ms(next_job_ms(w, mono_ms), next_start_ms(w))));
}

static void
on_timer(void *arg)
{
	(void)arg; /* tick runs before the loop sleeps again */
}

static void
on_wake(int fd, unsigned events, void *arg)
{
	char bytes[256];

	(void)events;
	(void)arg;
	/* Emptying it is all: tick looks at what was changed. */
	if (read(fd, bytes, sizeof(bytes)) == -1 && errno != EAGAIN)
		log_warn("wake-up descriptor");
}

/* ---- leaving ---- */

static void
on_drain_deadline(void *arg)
{
	struct worker *w = arg;
	struct delivery *d;

	if (clock_mono_ms() >= w->drain_until_ms) {
		log_warnx("left while the datastore is not available: "
			  "%zu results were not written",
		    w->holdings.n);
		/* Its thread may be in a call that takes longer than our master
		 * waits for us. */
		if (w->busy)
			_exit(EXIT_CHILD_OK);
		loop_stop(w->loop);
		return;
	}
	/* One that ends may take others out of the list. */
	while ((d = holdings_on_wire(&w->holdings)) != NULL)
		delivery_interrupt(d);
	loop_timer_set(w->drain_timer, w->drain_until_ms - clock_mono_ms());
}

/*
 * Claimed events that were not started go back; those on the wire get three
 * quarters of the time, most of the rest is for writing results: at its end our
 * master kills us.
 */
static void
drain(void *arg)
{
	struct worker *w = arg;
	int64_t timeout_ms = w->child->cfg->master.shutdown_timeout_ms;
	int64_t mono_ms = clock_mono_ms();

	w->lease_due_ms = mono_ms;
	w->drain_until_ms = mono_ms + timeout_ms * 7 / 8;
	loop_timer_set(w->drain_timer, timeout_ms * 3 / 4);
}

/* ---- birth and death ---- */

/* The most that one may have of so many. */
static unsigned
share_of(const struct worker *w, int n)
{
	unsigned share = (unsigned)n * w->cfg->max_share_percent / 100;

	return share == 0 ? 1 : share;
}

static int
open_parts(struct worker *w, struct err *err)
{
	const struct config_worker *cfg = w->cfg;
	struct transport_config transport = {
	    .max_transfers = cfg->max_deliveries,
	    .connect_timeout_ms = cfg->connect_timeout_ms,
	    .timeout_ms = cfg->delivery_timeout_ms,
	    .ca_file = cfg->ca_file,
	    .max_lookups = (size_t)cfg->max_lookups,
	    .lookup_share = share_of(w, cfg->max_lookups),
	    .max_header_bytes = (size_t)cfg->max_response_header_bytes,
	    /* Chunks of one byte have six, and records of TLS some, too. */
	    .max_received_bytes = (uint64_t)cfg->max_response_header_bytes +
				  (uint64_t)cfg->max_response_bytes * 8 +
				  RECEIVED_SLACK_BYTES,
	    .own_listeners = {w->child->own_listeners,
		w->child->n_own_listeners},
	    /* Alone we note more than what is parsed. */
	    .parsed_row_id = w->child->alone ? NULL : &w->child->score->note,
	};
	struct store_params params;
	struct store *store;

	w->timer = loop_timer_create(w->loop, on_timer, w);
	w->drain_timer = loop_timer_create(w->loop, on_drain_deadline, w);
	w->wake_io = loop_io_create(w->loop,
	    w->child->sb->wake_fds[w->child->slot][0], LOOP_READ, on_wake, w);
	if (w->timer == NULL || w->drain_timer == NULL || w->wake_io == NULL ||
	    turn_init(w) == -1)
		return err_set(err, "out of memory");
	w->transport = transport_create(w->loop, &transport, err);
	if (w->transport == NULL)
		return -1;
	child_store_params(w->child, &params);
	if (store_open(&params, &store, err) == -1)
		return -1;
	w->store = store_thread_create(store, w->loop, err);
	return w->store == NULL ? -1 : 0;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* 0 for no cap of their own: that of every share. */
static unsigned
cap_of(int own, unsigned share)
{
	return own == 0 ? share : least((unsigned)own, share);
}

static void
init_shares(struct worker *w)
{
	const struct config_worker *cfg = w->cfg;
	unsigned share = share_of(w, cfg->max_deliveries);

	shares_init(&w->apps, share, (unsigned)cfg->max_deliveries, false);
	shares_init(&w->hosts, cap_of(cfg->max_deliveries_per_host, share),
	    (unsigned)cfg->max_queued_per_host, true);
	shares_init(&w->addresses,
	    cap_of(cfg->max_deliveries_per_address, share), 0, false);
}

static int
worker_init(struct worker *w, struct child *child, struct err *err)
{
	const struct config_worker *cfg = &child->cfg->worker;

	*w = (struct worker){
	    .child = child,
	    .cfg = cfg,
	};
	holdings_init(&w->holdings);
	init_shares(w);
	if (child_init(child, drain, w, err) == -1)
		return -1;
	w->loop = child->loop;
	wire_init(&w->wire, child->score);
	shards_init(w);
	w->owner =
	    atomic_load(&scoreboard_place(child->sb, child->slot)->owner);
	if (open_parts(w, err) == -1)
		return -1;
	w->policy = (struct delivery_policy){
	    .transport = w->transport,
	    .retry = &cfg->retry,
	    .max_response_bytes = (size_t)cfg->max_response_bytes,
	    .response_bytes_kept = (size_t)cfg->response_bytes_kept,
	    .clock_offset_ms = &w->clock.offset_ms,
	    .may_send = worker_may_send,
	    .may_connect = may_connect,
	};
	purge_init(&w->purge, cfg->retention_ms, clock_mono_ms(), purged);
	loop_before_sleep(w->loop, tick, w);
	return 0;
}

static void
worker_fini(struct worker *w)
{
	struct delivery *d;

	store_thread_free(&w->store);
	while ((d = holdings_on_wire(&w->holdings)) != NULL) {
		transport_cancel(d->transfer);
		d->state = DELIVERY_FINISHED;
		holdings_returned(&w->holdings);
	}
	holdings_fini(&w->holdings);
	transport_free(&w->transport);
	shards_fini(w);
	turn_fini(w);
	loop_io_free(&w->wake_io);
	loop_timer_free(&w->timer);
	loop_timer_free(&w->drain_timer);
	child_fini(w->child);
}

int
worker_main(struct child *child)
{
	struct worker w;
	struct err err;
	int status;

	if (worker_init(&w, child, &err) == -1) {
		child_failed(child, err.text);
		return EXIT_CHILD_FAILED;
	}
	child_ready(child);
	status = loop_run(w.loop);
	if (status == -1)
		log_errorx("the event loop failed");
	worker_fini(&w);
	return status == -1 ? EXIT_CHILD_FAILED : EXIT_CHILD_OK;
}
