/* SPDX-License-Identifier: ISC */
#include "worker/worker.h"

#include <errno.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "board/shardboard.h"
#include "proc/child.h"
#include "worker/claims.h"
#include "worker/dispatch.h"
#include "worker/given_up.h"
#include "worker/jobs.h"
#include "worker/leases.h"
#include "worker/newest.h"
#include "worker/pauses.h"
#include "worker/purge.h"
#include "worker/transport.h"

enum {
	STORE_RETRY_MS = 500,
	TIMER_MAX_MS = 3600000,
	RECEIVED_SLACK_BYTES = 64 * 1024,
};

/*
 * A worker child. One that is alone (child->alone) takes no shards, but one
 * event at a time of those that may have been the end of a worker, and has
 * nothing else on the wire: what ends it is that event.
 *
 * Here its parts meet: what the answer of the datastore to one of them brought
 * is handed to the next. One call is under way at a time, so that what we hold
 * and what the datastore knows of us can be compared. The steps of jobs, which
 * are of no event that is held, have a connection of their own: no claim waits
 * for them.
 */
struct worker {
	struct child *child;
	struct loop_io *wake_io;
	struct loop_timer *timer, *drain_timer;
	struct store_thread *store;
	struct store_thread *jobs_store; /* NULL until there are jobs */
	struct transport *transport;
	struct delivery_policy policy;
	struct given_up given_up;
	struct dbclock clock;
	struct leases leases;
	struct claims claims;
	struct newest newest;
	struct pauses pauses;
	struct purge purge;
	struct jobs jobs;
	struct holdings holdings;
	struct dispatch dispatch;
	bool busy;              /* a call is under way */
	bool left;              /* and none is to follow */
	int64_t store_retry_ms; /* monotonic: none before, after a failure */
	int64_t drain_until_ms; /* monotonic */
	unsigned n_failed_in_drain; /* calls in a row */
};

/* A member has no parentheses. NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define worker_of(job, part) container_of(job, struct worker, part.job)

/* ---- calls of the datastore ---- */

static void
ask_datastore(struct worker *w, struct store_job *job)
{
	struct scoreboard_slot *score = w->child->score;
	int64_t mono_ms = clock_mono_ms();

	check(!w->busy);
	atomic_store(&score->tried_ms, mono_ms);
	if (atomic_load(&score->asking_ms) == 0)
		atomic_store(&score->asking_ms, mono_ms);
	w->busy = true;
	store_thread_submit(w->store, job);
}

/* What a step under way has changed is told first. */
static void
leave_after_step(struct worker *w)
{
	w->left = true;
	if (!w->jobs.under_way)
		loop_stop(w->child->loop);
}

/* What would be lost: leases and what was not begun others find without us. */
static bool
owes_results(const struct worker *w)
{
	const struct delivery *d;

	TAILQ_FOREACH(d, &w->holdings.all, entry) {
		if (d->state == DELIVERY_ON_WIRE ||
		    (d->state == DELIVERY_FINISHED &&
			d->result.kind != RESULT_RELEASED))
			return true;
	}
	return false;
}

/* In a drain: one failure may be a deadlock, after two in a row there is
 * nothing to wait for. */
static void
leave_without_datastore(struct worker *w, enum store_status status)
{
	if (!w->child->draining || status != STORE_UNAVAILABLE ||
	    ++w->n_failed_in_drain < 2 || owes_results(w))
		return;
	log_info("left while the datastore is not available: no result was to "
		 "be written");
	leave_after_step(w);
}

/*
 * Whether a call went well. If not the next one waits, and compares what we
 * hold with what the datastore knows before anything else.
 */
static bool
went_well(struct worker *w, const struct store_job *job,
    enum store_status status, const struct err *err)
{
	int64_t mono_ms = clock_mono_ms();

	check(w->busy);
	w->busy = false;
	atomic_store(&w->child->score->server, store_thread_server(w->store));
	if (status == STORE_OK) {
		atomic_store(&w->child->score->asking_ms, 0);
		scoreboard_tell_trouble(w->child->score, "");
		w->n_failed_in_drain = 0;
		return true;
	}
	scoreboard_tell_trouble(w->child->score, err->text);
	atomic_store(&w->child->score->tried_ms, mono_ms);
	metric_add(w->child->score, METRIC_STORE_FAILURES, 1);
	w->store_retry_ms =
	    mono_ms + (store_thread_goes_on(w->store) ? 0 : STORE_RETRY_MS);
	leases_failed(&w->leases, job == &w->leases.job);
	leave_without_datastore(w, status);
	return false;
}

/* They are given back; without memory the next look finds them again. */
static void
take_strays(struct worker *w, const struct lease_change *change)
{
	for (size_t i = 0; i < change->n_strays; i++) {
		struct delivery *d = delivery_create_stray(change->strays[i]);

		if (d == NULL) {
			leases_doubt(&w->leases);
			return;
		}
		holdings_hold_stray(
		    &w->holdings, d, w->leases.epoch, clock_mono_ms());
	}
}

/* The death of a worker was their last attempt, and none of ours. */
static void
tell_given_up_by_death(struct worker *w)
{
	const struct lease_reply *reply = &w->leases.reply;
	size_t n = reply->n_given_up < STORE_GIVEN_UP_MAX ? reply->n_given_up
							  : STORE_GIVEN_UP_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct store_given_up *event = &reply->given_up[i];

		given_up_tell(&w->given_up,
		    slice_of(event->app, event->app_len),
		    slice_of(event->id, event->id_len), event->attempts, 0,
		    SLICE_LITERAL("interrupted"));
	}
	given_up_count(&w->given_up, reply->n_given_up - n);
}

static void
leased(struct store_job *job)
{
	struct worker *w = worker_of(job, leases);
	struct lease_change change;

	if (!went_well(w, job, w->leases.status, &w->leases.err))
		return;
	change = leases_done(&w->leases);
	if (change.gained != 0)
		worker_pauses_gained(&w->pauses);
	if (change.lapsed || change.lost != 0)
		dispatch_release_unbegun(&w->dispatch);
	take_strays(w, &change);
	tell_given_up_by_death(w);
	if (change.left)
		leave_after_step(w);
}

static void
claimed(struct store_job *job)
{
	struct worker *w = worker_of(job, claims);
	struct claims_change change;

	(void)went_well(w, job, w->claims.status, &w->claims.err);
	change = claims_done(&w->claims, clock_mono_ms());
	jobs_hurry(&w->jobs);
	if (change.in_doubt)
		leases_doubt(&w->leases);
	if (change.lost)
		leases_hurry(&w->leases);
	if (change.idle)
		child_leave(w->child);
}

static void
heeded_pauses(struct store_job *job)
{
	struct worker *w = worker_of(job, pauses);

	if (went_well(w, job, w->pauses.status, &w->pauses.err) &&
	    worker_pauses_done(&w->pauses, clock_mono_ms()))
		dispatch_release_unbegun(&w->dispatch);
}

static void
found_newest(struct store_job *job)
{
	struct worker *w = worker_of(job, newest);

	if (went_well(w, job, w->newest.status, &w->newest.err) &&
	    newest_done(&w->newest, clock_mono_ms()))
		worker_pauses_doubt(&w->pauses);
}

static void
purged(struct store_job *job)
{
	struct worker *w = worker_of(job, purge);

	if (went_well(w, job, w->purge.status, &w->purge.err))
		metric_add(w->child->score, METRIC_EVENTS_PURGED,
		    (int64_t)purge_done(&w->purge, clock_mono_ms()));
}

static void
tell_step(struct worker *w)
{
	const struct job_step *step = &w->jobs.step;
	size_t n = jobs_done(&w->jobs, clock_mono_ms());

	if (step->job.spec.verb == JOB_DELETE)
		metric_add(w->child->score, METRIC_EVENTS_DELETED,
		    (int64_t)step->n_done);
	for (size_t i = 0; i < n; i++)
		shardboard_event_added(
		    w->child->sb, step->news[i].shard, step->news[i].due_ms);
}

/* Whether the datastore is there the other connection tells. */
static void
step_failed(struct worker *w)
{
	metric_add(w->child->score, METRIC_STORE_FAILURES, 1);
	if (w->jobs.status != STORE_UNAVAILABLE)
		log_warnx("step of a job: %s", w->jobs.err.text);
	jobs_failed(&w->jobs, clock_mono_ms());
}

/* A look or a step: of the one or the other connection. */
static void
jobs_called(struct store_job *job)
{
	struct worker *w = worker_of(job, jobs);

	if (w->jobs.steps && w->jobs.status == STORE_OK)
		tell_step(w);
	else if (w->jobs.steps)
		step_failed(w);
	else if (went_well(w, job, w->jobs.status, &w->jobs.err))
		(void)jobs_done(&w->jobs, clock_mono_ms());
	else
		jobs_failed(&w->jobs, clock_mono_ms());
	if (w->left)
		leave_after_step(w);
}

/* ---- what is next, and when ---- */

/* Who leaves has nothing left to do but to give the leases back. */
static int64_t
lease_in_ms(struct worker *w, int64_t mono_ms)
{
	if (w->child->draining && w->holdings.n == 0)
		return 0;
	return leases_wait_ms(&w->leases, mono_ms);
}

static struct store_job *
next_lease(struct worker *w, int64_t mono_ms)
{
	const int64_t *known;
	size_t n_known;

	(void)mono_ms;
	return holdings_ids(&w->holdings, &known, &n_known) == -1
		   ? NULL
		   : leases_submit(&w->leases, known, n_known);
}

static int64_t
pauses_in_ms(struct worker *w, int64_t mono_ms)
{
	return worker_pauses_wait_ms(&w->pauses, mono_ms);
}

static struct store_job *
next_pauses(struct worker *w, int64_t mono_ms)
{
	return worker_pauses_submit(&w->pauses, mono_ms);
}

/* Nothing is claimed before it is known of what there are pauses. */
static int64_t
claim_in_ms(struct worker *w, int64_t mono_ms)
{
	return w->pauses.known ? claims_wait_ms(&w->claims, mono_ms)
			       : INT64_MAX;
}

static struct store_job *
next_claim(struct worker *w, int64_t mono_ms)
{
	return claims_submit(&w->claims, mono_ms);
}

static int64_t
newest_in_ms(struct worker *w, int64_t mono_ms)
{
	return newest_wait_ms(&w->newest, mono_ms);
}

static struct store_job *
next_newest(struct worker *w, int64_t mono_ms)
{
	return newest_submit(&w->newest, mono_ms);
}

static int64_t
purge_in_ms(struct worker *w, int64_t mono_ms)
{
	return w->child->draining
		   ? INT64_MAX
		   : purge_wait_ms(&w->purge, w->leases.shards, mono_ms);
}

static struct store_job *
next_purge(struct worker *w, int64_t mono_ms)
{
	(void)mono_ms;
	return purge_submit(&w->purge, w->leases.shards,
	    dbclock_now_ms(&w->clock, clock_event_ms()));
}

/* Who holds as much as it can makes no claim for what is due. */
static int64_t
jobs_in_ms(struct worker *w, int64_t mono_ms)
{
	if (shardboard_wake_at_ms(w->child->sb, w->child->slot) <=
	    dbclock_now_ms(&w->clock, clock_event_ms()))
		jobs_hurry(&w->jobs);
	return w->child->draining
		   ? INT64_MAX
		   : jobs_wait_ms(&w->jobs, w->leases.shards, mono_ms);
}

static struct store_job *
next_jobs(struct worker *w, int64_t mono_ms)
{
	return jobs_submit(
	    &w->jobs, mono_ms, dbclock_now_ms(&w->clock, clock_event_ms()));
}

/* What the datastore is asked for, the first that is due before the others: in
 * how many milliseconds, and with which call (NULL when memory is short). */
static const struct {
	int64_t (*in_ms)(struct worker *w, int64_t mono_ms);
	struct store_job *(*next)(struct worker *w, int64_t mono_ms);
} parts[] = {
    {lease_in_ms, next_lease},
    {pauses_in_ms, next_pauses},
    {claim_in_ms, next_claim},
    {newest_in_ms, next_newest},
    {purge_in_ms, next_purge},
    {jobs_in_ms, next_jobs},
};

/* Asks for the first that is due. Returns when to look again. */
static int64_t
ask_next(struct worker *w, int64_t mono_ms)
{
	int64_t wait_ms = INT64_MAX;

	if (w->busy || w->left)
		return INT64_MAX;
	if (mono_ms < w->store_retry_ms)
		return w->store_retry_ms - mono_ms;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int64_t in_ms = parts[i].in_ms(w, mono_ms);
		struct store_job *job;

		if (in_ms > 0) {
			wait_ms = clock_sooner_ms(wait_ms, in_ms);
			continue;
		}
		job = parts[i].next(w, mono_ms);
		if (job != NULL) {
			ask_datastore(w, job);
			return INT64_MAX;
		}
		wait_ms = clock_sooner_ms(wait_ms, STORE_RETRY_MS);
	}
	return wait_ms;
}

static int
connect_store(struct worker *w, struct store_thread **thread, struct err *err)
{
	struct store_params params;
	struct store *store;

	child_store_params(w->child, &params);
	if (store_open(&params, &store, err) == -1)
		return -1;
	*thread = store_thread_create(store, w->child->loop, err);
	if (*thread != NULL)
		return 0;
	store_close(&store);
	return -1;
}

/*
 * Begins the step of a job that is due. Returns when to look again. The
 * connection stays once it is there: to close it may take as long as whatever
 * it waits for, and so long nothing would be delivered.
 */
static int64_t
step_jobs(struct worker *w, int64_t mono_ms)
{
	int64_t in_ms = jobs_step_wait_ms(&w->jobs, mono_ms);
	struct store_job *job;
	struct err err;

	if (w->child->draining)
		return INT64_MAX;
	if (in_ms > 0)
		return in_ms;
	job = jobs_submit_step(
	    &w->jobs, mono_ms, dbclock_now_ms(&w->clock, clock_event_ms()));
	if (w->jobs_store == NULL &&
	    connect_store(w, &w->jobs_store, &err) == -1) {
		log_warnx("no connection for jobs: %s", err.text);
		jobs_failed(&w->jobs, mono_ms);
		return jobs_step_wait_ms(&w->jobs, mono_ms);
	}
	store_thread_submit(w->jobs_store, job);
	return INT64_MAX;
}

static void
tick(void *arg)
{
	struct worker *w = arg;
	int64_t mono_ms = clock_mono_ms();
	int64_t wait_ms;

	leases_check_clock(&w->leases);
	wait_ms = dispatch_run(&w->dispatch, mono_ms);
	wait_ms = clock_sooner_ms(wait_ms, ask_next(w, mono_ms));
	wait_ms = clock_sooner_ms(wait_ms, step_jobs(w, mono_ms));
	loop_timer_set(w->timer, clock_sooner_ms(wait_ms, TIMER_MAX_MS));
	child_show(w->child, "%d shards, %zu in flight",
	    __builtin_popcountll(w->leases.shards), w->holdings.n_on_wire);
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
		if (w->busy || w->jobs.under_way)
			_exit(EXIT_CHILD_OK);
		loop_stop(w->child->loop);
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

	claims_drain(&w->claims);
	leases_hurry(&w->leases);
	w->drain_until_ms = mono_ms + timeout_ms * 7 / 8;
	loop_timer_set(w->drain_timer, timeout_ms * 3 / 4);
}

/* ---- birth and death ---- */

static int
open_parts(struct worker *w, struct err *err)
{
	const struct config_worker *cfg = &w->child->cfg->worker;
	struct loop *loop = w->child->loop;
	struct transport_config transport = {
	    .max_transfers = cfg->max_deliveries,
	    .connect_timeout_ms = cfg->connect_timeout_ms,
	    .timeout_ms = cfg->delivery_timeout_ms,
	    .ca_file = cfg->ca_file,
	    .max_lookups = (size_t)cfg->max_lookups,
	    .lookup_share = dispatch_share_of(cfg, cfg->max_lookups),
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

	w->timer = loop_timer_create(loop, on_timer, w);
	w->drain_timer = loop_timer_create(loop, on_drain_deadline, w);
	w->wake_io = loop_io_create(loop,
	    w->child->sb->wake_fds[w->child->slot][0], LOOP_READ, on_wake, w);
	if (w->timer == NULL || w->drain_timer == NULL || w->wake_io == NULL)
		return err_set(err, "out of memory");
	w->transport = transport_create(loop, &transport, err);
	if (w->transport == NULL)
		return -1;
	return connect_store(w, &w->store, err);
}

static struct delivery_policy
policy_of(struct worker *w)
{
	const struct config_worker *cfg = &w->child->cfg->worker;

	return (struct delivery_policy){
	    .transport = w->transport,
	    .retry = &cfg->retry,
	    .max_response_bytes = (size_t)cfg->max_response_bytes,
	    .response_bytes_kept = (size_t)cfg->response_bytes_kept,
	    .callback_bytes = (size_t)cfg->callback_bytes,
	    .log_success = cfg->log_success,
	    .public_url = w->child->cfg->service.public_url,
	    .clock = &w->clock,
	    .given_up = &w->given_up,
	    .arg = &w->dispatch,
	    .ended = dispatch_ended,
	    .may_send = dispatch_may_send,
	    .may_connect = dispatch_may_connect,
	};
}

static int
worker_init(struct worker *w, struct child *child, struct err *err)
{
	*w = (struct worker){.child = child};
	if (child_init(child, drain, w, err) == -1)
		return -1;
	holdings_init(&w->holdings);
	dispatch_init(&w->dispatch, child, &w->holdings, &w->leases, &w->clock);
	newest_init(&w->newest, child, &w->clock, found_newest);
	worker_pauses_init(
	    &w->pauses, child, &w->leases, &w->clock, heeded_pauses);
	w->dispatch.pauses = &w->pauses.list;
	jobs_init(&w->jobs, child->cfg->worker.retention_ms, clock_mono_ms(),
	    jobs_called);
	if (leases_init(&w->leases, child, &w->clock, leased) == -1 ||
	    given_up_init(&w->given_up, child->loop,
		child->cfg->log.max_failures_per_second) == -1 ||
	    claims_init(&w->claims, child, &w->holdings, &w->leases, &w->clock,
		&w->policy, claimed) == -1)
		return err_set(err, "out of memory");
	w->claims.pauses = &w->pauses.list;
	purge_init(&w->purge, child->cfg->worker.retention_ms, clock_mono_ms(),
	    w->claims.request.zones, purged);
	if (open_parts(w, err) == -1)
		return -1;
	w->policy = policy_of(w);
	loop_before_sleep(child->loop, tick, w);
	return 0;
}

static void
worker_fini(struct worker *w)
{
	struct delivery *d;

	store_thread_free(&w->jobs_store);
	store_thread_free(&w->store);
	while ((d = holdings_on_wire(&w->holdings)) != NULL) {
		transport_cancel(d->transfer);
		d->state = DELIVERY_FINISHED;
		holdings_returned(&w->holdings);
	}
	holdings_fini(&w->holdings);
	transport_free(&w->transport);
	leases_fini(&w->leases);
	claims_fini(&w->claims);
	worker_pauses_fini(&w->pauses);
	given_up_fini(&w->given_up);
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
	status = loop_run(child->loop);
	if (status == -1)
		log_errorx("the event loop failed");
	worker_fini(&w);
	return status == -1 ? EXIT_CHILD_FAILED : EXIT_CHILD_OK;
}
