/* SPDX-License-Identifier: ISC */
#include "worker/worker.h"

#include <stdlib.h>

#include "base/clock.h"

enum {
	/* Results wait a moment for others, so that a commit carries many. */
	RESULT_DELAY_MS = 10,
	RESULTS_ENOUGH = 100,
	/* Claimed events in memory, in multiples of the slots. */
	HOLD_FACTOR = 2,
	ALONE_IDLE_POLLS = 6,
};

static struct worker *
worker_of(struct store_job *job)
{
	return (
	    struct worker *)((char *)job - offsetof(struct worker, turn_job));
}

/* On the datastore's thread. */
static void
run(struct store *store, struct store_job *job)
{
	struct worker *w = worker_of(job);

	w->status = store_settle_and_claim(
	    store, &w->claim_request, &w->claim_reply, &w->err);
}

/* Never later than what was planned since the last look. */
static void
wake_at(struct worker *w, int64_t due_ms)
{
	_Atomic int64_t *at_ms = &w->child->score->wake_at_ms;

	if (due_ms < atomic_load(at_ms))
		atomic_store(at_ms, due_ms);
}

/*
 * We claim the row of a delivery that we had begun before we lapsed, as the
 * same attempt: then that is its delivery, and to the datastore the result is,
 * too.
 */
static bool
adopt(struct worker *w, struct store_claim *claim)
{
	struct delivery *d =
	    holdings_find(&w->holdings, claim->row_id, claim->attempt);

	if (d == NULL)
		return false;
	d->epoch = w->epoch;
	store_claim_free(claim);
	return true;
}

static void
take_claims(struct worker *w)
{
	bool older = holdings_has_older(&w->holdings, w->epoch);

	for (size_t i = 0; i < w->claim_reply.n_claims; i++) {
		struct store_claim *claim = w->claim_request.claims[i];
		struct delivery *d;

		if (older && adopt(w, claim))
			continue;
		d = delivery_create(claim, &w->policy, worker_ended, w);
		if (d != NULL && holdings_hold(&w->holdings, d, w->epoch) == 0)
			continue;
		/* Without memory the row stays ours in the datastore, and
		 * comes back as a stray. */
		w->in_doubt = true;
		if (d == NULL)
			store_claim_free(claim);
		delivery_free(d);
	}
	metric_add(w->child->score, METRIC_EVENTS_CLAIMED,
	    (int64_t)w->claim_reply.n_claims);
}

/* The event waits again: who holds its shard must know when to look. */
static void
announce(struct worker *w, const struct delivery *d)
{
	if (d->claim == NULL) /* a stray: whose shard is not known here */
		scoreboard_look_again(w->child->sb);
	else if (worker_holds(w, d))
		wake_at(w, d->result.due_ms);
	else
		scoreboard_event_added(
		    w->child->sb, d->claim->shard, d->result.due_ms);
}

static void
forget_written(struct worker *w)
{
	struct delivery *d;

	while ((d = STAILQ_FIRST(&w->writing)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->writing, queue);
		if (d->result.kind == RESULT_RETRY ||
		    d->result.kind == RESULT_RELEASED)
			announce(w, d);
		holdings_written(&w->holdings, d);
	}
}

/* Who was started on demand goes when nothing has come for a while. */
static void
leave_when_idle(struct worker *w)
{
	int64_t mono_ms = clock_mono_ms();

	if (w->claim_reply.n_claims > 0)
		w->idle_ms = 0;
	else if (w->idle_ms == 0)
		w->idle_ms = mono_ms;
	else if (mono_ms - w->idle_ms >=
		 ALONE_IDLE_POLLS * w->cfg->polling_interval_ms)
		child_leave(w->child);
}

static void
done(struct store_job *job)
{
	struct worker *w = worker_of(job);

	w->busy = false;
	if (worker_store_failed(w)) {
		holdings_put_finished(&w->holdings, &w->writing);
		wake_at(w, 0);
		return;
	}
	metric_add(w->child->score, METRIC_TURN_COMMITS, 1);
	metric_add(w->child->score, METRIC_RESULTS_STALE,
	    (int64_t)w->claim_reply.n_stale);
	forget_written(w);
	if (w->claim_request.claim_max == 0)
		return;
	take_claims(w);
	if (w->child->alone)
		leave_when_idle(w);
	wake_at(w, w->claim_reply.more ? 0 : w->claim_reply.next_due_ms);
	if (w->claim_reply.cut)
		batch_cut(&w->batch, w->claim_reply.n_claims);
	else
		batch_claimed(
		    &w->batch, w->claim_reply.n_claims, w->claim_reply.more);
	if ((w->claim_request.shards & ~w->claim_reply.owned) != 0)
		w->lease_due_ms = clock_mono_ms();
}

int
turn_init(struct worker *w)
{
	w->turn_job.run = run;
	w->turn_job.done = done;
	STAILQ_INIT(&w->writing);
	batch_init(
	    &w->batch, (size_t)w->cfg->claim_min, (size_t)w->cfg->claim_max);
	w->claim_request.claims =
	    calloc((size_t)w->cfg->claim_max, sizeof(struct store_claim *));
	return w->claim_request.claims == NULL ? -1 : 0;
}

void
turn_fini(struct worker *w)
{
	free(w->claim_request.claims);
	free(w->written);
}

/* Alone there is one event at a time, to the written result. */
static size_t
claim_want(const struct worker *w)
{
	size_t waiting = w->holdings.ready.len + w->holdings.n_queued;

	if (w->child->alone)
		return !w->child->draining && w->holdings.n == 0 ? 1 : 0;
	if (w->child->draining || w->shards == 0 ||
	    w->holdings.n_bytes >= (size_t)w->cfg->max_event_memory_bytes)
		return 0;
	return batch_want(&w->batch, waiting + w->holdings.n_on_wire,
	    HOLD_FACTOR * (size_t)w->cfg->max_deliveries, waiting);
}

/* Half of claimAhead early, so that a claim takes the events of the other half
 * along. */
static int64_t
claim_wait_ms(const struct worker *w, int64_t mono_ms)
{
	int64_t poll_ms = w->poll_due_ms - mono_ms;
	int64_t due_ms = scoreboard_wake_at_ms(w->child->sb, w->child->slot);
	int64_t wait_ms = INT64_MAX;

	if (claim_want(w) == 0)
		return INT64_MAX;
	if (due_ms != INT64_MAX)
		wait_ms =
		    due_ms - w->cfg->claim_ahead_ms / 2 - worker_now_ms(w);
	if (poll_ms < wait_ms)
		wait_ms = poll_ms;
	return wait_ms > 0 ? wait_ms : 0;
}

static int64_t
result_wait_ms(const struct worker *w, int64_t mono_ms)
{
	int64_t wait_ms = w->holdings.oldest_ms + RESULT_DELAY_MS - mono_ms;

	if (w->holdings.n_finished == 0)
		return INT64_MAX;
	if (w->holdings.n_finished >= RESULTS_ENOUGH || w->child->draining)
		return 0;
	return wait_ms > 0 ? wait_ms : 0;
}

int64_t
turn_wait_ms(const struct worker *w, int64_t mono_ms)
{
	int64_t claim_ms = claim_wait_ms(w, mono_ms);
	int64_t result_ms = result_wait_ms(w, mono_ms);

	return claim_ms < result_ms ? claim_ms : result_ms;
}

/* The finished ones, as an array. What finds no memory waits for the next. */
static void
collect_results(struct worker *w)
{
	struct delivery *d;
	size_t n = 0;

	if (w->holdings.n_finished > w->cap_written) {
		struct store_result *written = reallocarray(
		    w->written, w->holdings.n_finished, sizeof(*written));

		if (written != NULL) {
			w->written = written;
			w->cap_written = w->holdings.n_finished;
		}
	}
	while (n < w->cap_written &&
	       (d = holdings_take_finished(&w->holdings)) != NULL) {
		STAILQ_INSERT_TAIL(&w->writing, d, queue);
		w->written[n++] = d->result;
	}
	w->claim_request.results = w->written;
	w->claim_request.n_results = n;
}

void
turn_submit(struct worker *w)
{
	struct scoreboard_slot *score = w->child->score;
	int64_t mono_ms = clock_mono_ms();
	bool claim = claim_wait_ms(w, mono_ms) == 0;

	collect_results(w);
	w->claim_request.owner = w->owner;
	w->claim_request.alone = w->child->alone;
	w->claim_request.shards = w->shards;
	w->claim_request.claim_max = claim ? claim_want(w) : 0;
	w->claim_request.claim_bytes =
	    claim ? (size_t)w->cfg->max_event_memory_bytes - w->holdings.n_bytes
		  : 0;
	w->claim_request.horizon_ms = worker_now_ms(w) + w->cfg->claim_ahead_ms;
	if (claim) {
		/* From here on services wake us for any event, since the claim
		 * may just miss it. */
		atomic_store(&score->look, atomic_load(&score->look) + 1);
		atomic_store(&score->wake_at_ms, INT64_MAX);
		w->poll_due_ms = mono_ms + w->cfg->polling_interval_ms;
	}
	worker_submit(w, &w->turn_job);
}
