/* SPDX-License-Identifier: ISC */
#include "worker/dispatch.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/url.h"
#include "board/full.h"
#include "store/pauses.h"
#include "store/row_id.h"

enum {
	WANT_INTERVAL_MS = 1000,
	SHED_INTERVAL_MS = 250,
	FULL_INTERVAL_MS = 250,
};

/* 0 for no cap of their own: that of every share. */
static unsigned
cap_of(int own, unsigned share)
{
	return own == 0 || (unsigned)own > share ? share : (unsigned)own;
}

unsigned
dispatch_share_of(const struct config_worker *cfg, int n)
{
	unsigned share = (unsigned)n * cfg->max_share_percent / 100;

	return share == 0 ? 1 : share;
}

/* What the configuration gives one host in place of maxDeliveriesPerHost. */
static unsigned
host_cap(const void *arg, struct slice name)
{
	const struct config_worker *cfg = arg;

	for (size_t i = 0; i < cfg->n_host_limits; i++) {
		const struct config_host_limit *limit = &cfg->host_limits[i];

		if (slice_ieq(slice_from_string(limit->host), name))
			return cap_of((int)limit->max_deliveries,
			    dispatch_share_of(cfg, cfg->max_deliveries));
	}
	return 0;
}

void
dispatch_init(struct dispatch *p, const struct child *child,
    struct holdings *holdings, const struct leases *leases,
    const struct dbclock *clock)
{
	const struct config_worker *cfg = &child->cfg->worker;
	unsigned share = dispatch_share_of(cfg, cfg->max_deliveries);

	*p = (struct dispatch){
	    .child = child,
	    .holdings = holdings,
	    .leases = leases,
	    .clock = clock,
	    .start = delivery_start,
	};
	shares_init(&p->apps, share, (unsigned)cfg->max_deliveries, false);
	shares_init(&p->hosts, cap_of(cfg->max_deliveries_per_host, share),
	    (unsigned)cfg->max_queued_per_host, true);
	p->hosts.cap_of = host_cap;
	p->hosts.arg = cfg;
	shares_init(&p->addresses,
	    cap_of(cfg->max_deliveries_per_address, share), 0, false);
	wire_init(&p->wire, child->score);
}

static int64_t
event_now_ms(const struct dispatch *p)
{
	return dbclock_now_ms(p->clock, clock_event_ms());
}

static void
release(struct dispatch *p, struct delivery *d, int64_t due_ms)
{
	holdings_release(p->holdings, d, due_ms, clock_mono_ms());
}

static bool
has_slot(const struct dispatch *p)
{
	return p->holdings->n_on_wire <
	       (size_t)p->child->cfg->worker.max_deliveries;
}

/* Since it was due, or was accepted: what was due long before that is not late.
 */
static int64_t
late_by_ms(const struct dispatch *p, const struct store_claim *claim)
{
	int64_t made_ms = row_id_made_ms(claim->row_id);
	int64_t since_ms = claim->due_ms > made_ms ? claim->due_ms : made_ms;
	int64_t now_ms = event_now_ms(p);

	return now_ms > since_ms ? now_ms - since_ms : 0;
}

static void
put_on_wire(struct dispatch *p, struct delivery *d)
{
	int64_t late_ms = late_by_ms(p, d->claim);

	metric_add(p->child->score, METRIC_LATENESS_MS, late_ms);
	holdings_sent(p->holdings);
	metric_set(p->child->score, METRIC_DELIVERIES_IN_FLIGHT,
	    (int64_t)p->holdings->n_on_wire);
	d->wire = wire_enter(&p->wire, d->claim->row_id);
	/* Whatever ends us meanwhile: it was this. */
	if (p->child->alone)
		atomic_store(&p->child->score->note, d->claim->row_id);
	p->start(d);
}

bool
dispatch_may_send(void *arg, const struct delivery *d)
{
	const struct dispatch *p = arg;

	return leases_let_send(p->leases, d->epoch);
}

/* Whether it is to be begun here at all. */
static bool
stays(void *arg, struct delivery *d)
{
	const struct dispatch *p = arg;

	return !p->child->draining && leases_hold(p->leases, d->claim->shard) &&
	       d->epoch == p->leases->epoch &&
	       (p->pauses == NULL ||
		   pauses_match(p->pauses, 0, &d->claim->event) == NULL);
}

static void
count_outcome(const struct dispatch *p, const struct delivery *d)
{
	static const enum metric metrics[] = {
	    [RESULT_COMPLETED] = METRIC_DELIVERED,
	    [RESULT_FAILED] = METRIC_GIVEN_UP,
	    [RESULT_RETRY] = METRIC_RETRIED,
	    [RESULT_LAPSED] = METRIC_GIVEN_UP,
	};

	if (d->result.kind != RESULT_RELEASED)
		metric_add(p->child->score, metrics[d->result.kind], 1);
}

/* Of the many that may fail together, one a second. */
static void
tell_want(struct dispatch *p, const struct delivery *d)
{
	int64_t mono_ms = clock_mono_ms();

	metric_add(p->child->score, METRIC_EVENTS_POSTPONED, 1);
	if (mono_ms < p->want_ms + WANT_INTERVAL_MS)
		return;
	p->want_ms = mono_ms;
	log_warnx("events wait for what is short here: %s", d->error);
}

/* ---- shares ---- */

static void
defer(struct dispatch *p, struct delivery *d, struct share *share,
    int64_t mono_ms)
{
	metric_add(p->child->score, METRIC_EVENTS_DEFERRED, 1);
	release(p, d, event_now_ms(p) + share_defer_ms(share, mono_ms));
}

/* NULL for NULL. */
static struct delivery *
delivery_of(struct share_entry *entry)
{
	return entry == NULL
		   ? NULL
		   : (struct delivery *)((char *)entry -
					 offsetof(struct delivery, waiting));
}

/* Starts it, unless its application or its host has enough. */
static void
admit(struct dispatch *p, struct delivery *d, int64_t mono_ms)
{
	struct share *full = NULL;

	if (!share_has_room(d->app))
		full = d->app;
	else if (!share_has_room(d->host))
		full = d->host;
	if (full == NULL) {
		share_take(d->app, mono_ms);
		share_take(d->host, mono_ms);
		put_on_wire(p, d);
		return;
	}
	p->full_changed = true;
	if (share_wait(full, &d->waiting, mono_ms)) {
		holdings_queued(p->holdings, d);
	} else {
		defer(p, d, full, mono_ms);
	}
}

static void
tell_full(struct dispatch *p, enum full_kind kind, struct slice name,
    unsigned cap, unsigned n)
{
	full_tell(p->child->score, p->n_full++, kind, name,
	    &(struct full){.slots = cap, .waiting = n});
}

static void
tell_full_app(void *arg, struct slice name, unsigned cap, unsigned n)
{
	tell_full(arg, FULL_APP, name, cap, n);
}

static void
tell_full_host(void *arg, struct slice name, unsigned cap, unsigned n)
{
	tell_full(arg, FULL_HOST, name, cap, n);
}

/* Milliseconds until there is more to tell, or INT64_MAX. What has become free
 * again is told, too. */
static int64_t
show_full(struct dispatch *p, int64_t mono_ms)
{
	if (!p->full_changed)
		return INT64_MAX;
	if (mono_ms < p->full_ms)
		return p->full_ms - mono_ms;
	p->full_ms = mono_ms + FULL_INTERVAL_MS;
	p->n_full = 0;
	shares_full(&p->apps, tell_full_app, p);
	shares_full(&p->hosts, tell_full_host, p);
	full_tell_end(p->child->score, p->n_full);
	p->full_changed = false;
	return INT64_MAX;
}

/*
 * Those that wait for it, as far as it and the slots have room. One may end at
 * its start: then those that wait for its share are served later, not within
 * this, or a queue that finds no memory would take as much of the stack.
 */
static void
serve(struct dispatch *p, struct share *share, int64_t mono_ms)
{
	struct delivery *d;

	if (p->serving) {
		p->unserved = true;
		return;
	}
	p->serving = true;
	while (has_slot(p) && (d = delivery_of(share_next(share))) != NULL) {
		holdings_unqueued(p->holdings);
		if (stays(p, d) && dispatch_may_send(p, d)) {
			admit(p, d, mono_ms);
			continue;
		}
		release(p, d, 0);
	}
	p->serving = false;
	p->unserved |= !has_slot(p);
}

static void
visit(void *arg, struct share *share)
{
	struct dispatch *p = arg;
	int64_t mono_ms = clock_mono_ms();
	struct delivery *d;

	serve(p, share, mono_ms);
	while ((d = delivery_of(share_shed(share, mono_ms))) != NULL) {
		holdings_unqueued(p->holdings);
		defer(p, d, share, mono_ms);
	}
}

/* Queues that nobody's end serves, or that have become too long. */
static void
look_after_queues(struct dispatch *p, int64_t mono_ms)
{
	if (p->holdings->n_queued == 0 ||
	    (!p->unserved && mono_ms < p->shed_ms))
		return;
	p->unserved = false;
	p->shed_ms = mono_ms + SHED_INTERVAL_MS;
	shares_visit(&p->apps, visit, p);
	shares_visit(&p->hosts, visit, p);
}

void
dispatch_ended(void *arg, struct delivery *d)
{
	struct dispatch *p = arg;
	int64_t mono_ms = clock_mono_ms();
	int64_t elapsed_ms = mono_ms - d->started_ms;

	wire_leave(&p->wire, d->wire);
	holdings_returned(p->holdings);
	metric_set(p->child->score, METRIC_DELIVERIES_IN_FLIGHT,
	    (int64_t)p->holdings->n_on_wire);
	if (p->child->alone)
		atomic_store(&p->child->score->note, 0);
	if (d->result.kind == RESULT_RELEASED && d->busy != NULL) {
		metric_add(p->child->score, METRIC_EVENTS_DEFERRED, 1);
		d->result.due_ms =
		    event_now_ms(p) + share_defer_ms(d->busy, mono_ms);
	}
	count_outcome(p, d);
	if (d->wants)
		tell_want(p, d);
	holdings_finish(p->holdings, d, mono_ms);
	p->full_changed |= p->n_full > 0;
	share_give(d->app, elapsed_ms, mono_ms);
	share_give(d->host, elapsed_ms, mono_ms);
	share_give(d->address, elapsed_ms, mono_ms);
	if (p->holdings->n_queued > 0) {
		serve(p, d->host, mono_ms);
		serve(p, d->app, mono_ms);
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

bool
dispatch_may_connect(void *arg, struct delivery *d, struct slice ip)
{
	struct dispatch *p = arg;
	struct share *address = share_get(&p->addresses, plain_ip(ip));
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
begin_one(struct dispatch *p, struct delivery *d, int64_t mono_ms)
{
	const struct event *ev = &d->claim->event;

	d->app = share_get(&p->apps, ev->app);
	d->host = share_get(&p->hosts, url_host_name(ev->url));
	admit(p, d, mono_ms);
}

/*
 * Starts what is due, as far as slots reach. Beyond the end of our lease others
 * may have the events: then nothing starts until it is renewed.
 */
static void
begin_due(struct dispatch *p, int64_t mono_ms)
{
	while (has_slot(p) && leases_are_open(p->leases) &&
	       holdings_next_due_ms(p->holdings) <= event_now_ms(p))
		begin_one(p, holdings_take_ready(p->holdings), mono_ms);
}

static bool
stays_queued(void *arg, struct share_entry *entry)
{
	struct dispatch *p = arg;
	struct delivery *d = delivery_of(entry);

	if (stays(p, d))
		return true;
	holdings_unqueued(p->holdings);
	release(p, d, 0);
	return false;
}

static void
unqueue(void *arg, struct share *share)
{
	share_unqueue(share, stays_queued, arg);
}

void
dispatch_release_unbegun(struct dispatch *p)
{
	struct delivery_queue all = STAILQ_HEAD_INITIALIZER(all);
	struct delivery *d;

	if (p->holdings->n_queued > 0) {
		shares_visit(&p->apps, unqueue, p);
		shares_visit(&p->hosts, unqueue, p);
	}
	holdings_take_all_ready(p->holdings, &all);
	while ((d = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, queue);
		if (!stays(p, d) || holdings_put_ready(p->holdings, d) == -1)
			release(p, d, 0);
	}
}

static int64_t
next_start_ms(const struct dispatch *p)
{
	int64_t due_ms = holdings_next_due_ms(p->holdings);

	/* A full house or a lapsed lease is not mended by waiting. */
	if (due_ms == INT64_MAX || !leases_are_open(p->leases) || !has_slot(p))
		return INT64_MAX;
	return due_ms > event_now_ms(p) ? due_ms - event_now_ms(p) : 0;
}

static int64_t
next_serve_ms(const struct dispatch *p, int64_t mono_ms)
{
	if (p->holdings->n_queued == 0)
		return INT64_MAX;
	if ((p->unserved && has_slot(p)) || p->shed_ms <= mono_ms)
		return 0;
	return p->shed_ms - mono_ms;
}

int64_t
dispatch_run(struct dispatch *p, int64_t mono_ms)
{
	int64_t serve_ms, start_ms, full_ms;

	if (p->child->draining) {
		dispatch_release_unbegun(p);
		return INT64_MAX;
	}
	look_after_queues(p, mono_ms);
	begin_due(p, mono_ms);
	serve_ms = next_serve_ms(p, mono_ms);
	full_ms = show_full(p, mono_ms);
	start_ms = next_start_ms(p);
	return clock_sooner_ms(clock_sooner_ms(serve_ms, start_ms), full_ms);
}
