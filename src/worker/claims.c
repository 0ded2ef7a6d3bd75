/* SPDX-License-Identifier: ISC */
#include "worker/claims.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "board/placement.h"
#include "board/shardboard.h"
#include "worker/given_up.h"

enum {
	/* Results wait a moment for others, so that a commit carries many. */
	RESULT_DELAY_MS = 10,
	RESULTS_ENOUGH = 100,
	/* Claimed events in memory, in multiples of the slots. */
	HOLD_FACTOR = 2,
	ALONE_IDLE_POLLS = 6,
	REFUSED_RETRY_MS = 10000,
	/* Calls with so many went well: no part was refused of late. */
	RESULTS_SOUND = 512,
};

/* On the datastore's thread. */
static void
claims_run(struct store *store, struct store_job *job)
{
	struct claims *c = container_of(job, struct claims, job);

	c->status =
	    store_settle_and_claim(store, &c->request, &c->reply, &c->err);
}

static const struct config_worker *
config_of(const struct claims *c)
{
	return &c->child->cfg->worker;
}

int
claims_init(struct claims *c, struct child *child, struct holdings *holdings,
    const struct leases *leases, const struct dbclock *clock,
    const struct delivery_policy *policy, void (*done)(struct store_job *job))
{
	const struct config_worker *cfg = &child->cfg->worker;

	*c = (struct claims){
	    .child = child,
	    .holdings = holdings,
	    .leases = leases,
	    .clock = clock,
	    .policy = policy,
	    .results_max = SIZE_MAX,
	    .job = {.run = claims_run, .done = done},
	};
	STAILQ_INIT(&c->writing);
	STAILQ_INIT(&c->refused);
	claim_size_init(
	    &c->size, (size_t)cfg->claim_min, (size_t)cfg->claim_max);
	c->request.claims =
	    calloc((size_t)cfg->claim_max, sizeof(struct store_claim *));
	c->request.zones = zones_create(zones_directory());
	return c->request.claims == NULL || c->request.zones == NULL ? -1 : 0;
}

void
claims_fini(struct claims *c)
{
	free(c->request.claims);
	zones_free(&c->request.zones);
	free(c->results);
}

/* ---- when ---- */

/* Alone there is one event at a time, to the written result. */
static size_t
claim_want(const struct claims *c)
{
	const struct holdings *h = c->holdings;
	const struct config_worker *cfg = config_of(c);
	size_t waiting = h->ready.len + h->n_queued;

	if (c->child->alone)
		return !c->child->draining && h->n == c->n_refused ? 1 : 0;
	if (c->child->draining || c->leases->shards == 0 ||
	    h->n_bytes >= (size_t)cfg->max_event_memory_bytes)
		return 0;
	return claim_size_want(&c->size, waiting + h->n_on_wire,
	    HOLD_FACTOR * (size_t)cfg->max_deliveries, waiting);
}

static int64_t
not_before(int64_t ms)
{
	return ms > 0 ? ms : 0;
}

/* Half of claimAhead early, so that a claim takes the events of the other half
 * along. */
static int64_t
claim_wait_ms(const struct claims *c, int64_t mono_ms)
{
	int64_t due_ms = shardboard_wake_at_ms(c->child->sb, c->child->slot);
	int64_t wait_ms = INT64_MAX;

	if (claim_want(c) == 0)
		return INT64_MAX;
	if (due_ms != INT64_MAX)
		wait_ms = due_ms - config_of(c)->claim_ahead_ms / 2 -
			  dbclock_now_ms(c->clock, clock_event_ms());
	return not_before(clock_sooner_ms(wait_ms, c->poll_due_ms - mono_ms));
}

/* As long again where a claim is due by then, whose commit takes them along. */
static int64_t
result_wait_ms(const struct claims *c, int64_t mono_ms)
{
	const struct holdings *h = c->holdings;
	int64_t wait_ms = h->oldest_ms + RESULT_DELAY_MS - mono_ms;
	int64_t claim_ms;

	if (h->n_finished == 0)
		return INT64_MAX;
	if (h->n_finished >= RESULTS_ENOUGH || c->child->draining)
		return 0;
	claim_ms = claim_wait_ms(c, mono_ms);
	return not_before(
	    claim_ms > wait_ms && claim_ms <= wait_ms + RESULT_DELAY_MS
		? claim_ms
		: wait_ms);
}

static int64_t
refused_wait_ms(const struct claims *c, int64_t mono_ms)
{
	return c->n_refused == 0 ? INT64_MAX
				 : not_before(c->refused_due_ms - mono_ms);
}

int64_t
claims_wait_ms(const struct claims *c, int64_t mono_ms)
{
	return clock_sooner_ms(claim_wait_ms(c, mono_ms),
	    clock_sooner_ms(
		result_wait_ms(c, mono_ms), refused_wait_ms(c, mono_ms)));
}

/* ---- the call ---- */

/* Room for n results, or for as many as there is memory for. */
static void
reserve(struct claims *c, size_t n)
{
	struct store_result *results;

	if (n <= c->cap_results)
		return;
	results = reallocarray(c->results, n, sizeof(*results));
	if (results == NULL)
		return;
	c->results = results;
	c->cap_results = n;
}

static void
put_aside(struct claims *c, struct delivery *d, int64_t mono_ms)
{
	STAILQ_INSERT_TAIL(&c->refused, d, queue);
	if (c->n_refused++ == 0)
		c->refused_due_ms = mono_ms + REFUSED_RETRY_MS;
}

static void
add_result(struct claims *c, struct delivery *d, int64_t mono_ms)
{
	if (delivery_tell(d) == -1) {
		put_aside(c, d, mono_ms);
		log_errorx("no memory to tell of the end of event row %lld: "
			   "its result is written later",
		    (long long)d->result.row_id);
		return;
	}
	STAILQ_INSERT_TAIL(&c->writing, d, queue);
	c->results[c->request.n_results++] = d->result;
}

/* The finished ones, as far as they go together. */
static void
collect_results(struct claims *c, int64_t mono_ms)
{
	struct delivery *d;
	size_t max;

	reserve(c, c->holdings->n_finished);
	max = c->cap_results < c->results_max ? c->cap_results : c->results_max;
	while (c->request.n_results < max &&
	       (d = holdings_take_finished(c->holdings)) != NULL)
		add_result(c, d, mono_ms);
}

/* The one that was put aside first, alone. */
static void
collect_refused(struct claims *c, int64_t mono_ms)
{
	struct delivery *d = STAILQ_FIRST(&c->refused);

	reserve(c, 1);
	if (c->cap_results == 0)
		return;
	check(d != NULL && c->n_refused > 0);
	STAILQ_REMOVE_HEAD(&c->refused, queue);
	c->n_refused--;
	c->refused_due_ms = mono_ms + REFUSED_RETRY_MS;
	add_result(c, d, mono_ms);
}

static void
prepare_claim(struct claims *c, int64_t mono_ms)
{
	struct scoreboard_slot *score = c->child->score;
	const struct config_worker *cfg = config_of(c);

	c->request.claim_max = claim_want(c);
	c->request.backlog = c->size.backlog;
	c->request.pauses =
	    c->pauses == NULL || c->pauses->n == 0 ? NULL : c->pauses;
	c->request.claim_bytes =
	    (size_t)cfg->max_event_memory_bytes > c->holdings->n_bytes
		? (size_t)cfg->max_event_memory_bytes - c->holdings->n_bytes
		: 0;
	/* From here on services wake us for any event, since the claim may just
	 * miss it. */
	atomic_store(&score->look, atomic_load(&score->look) + 1);
	atomic_store(&score->wake_at_ms, INT64_MAX);
	c->poll_due_ms = mono_ms + cfg->polling_interval_ms;
}

struct store_job *
claims_submit(struct claims *c, int64_t mono_ms)
{
	bool claim = claim_wait_ms(c, mono_ms) == 0;
	bool settle = c->holdings->n_finished > 0;
	bool together = c->results_max == SIZE_MAX && !c->apart;

	check(STAILQ_EMPTY(&c->writing));
	c->request.owner = c->leases->owner;
	c->request.alone = c->child->alone;
	c->request.shards = c->leases->shards;
	c->request.n_results = c->request.claim_max = c->request.claim_bytes =
	    0;
	c->request.now_ms = dbclock_now_ms(c->clock, clock_event_ms());
	c->request.horizon_ms =
	    c->request.now_ms + config_of(c)->claim_ahead_ms;
	c->request.soon_ms = placement_soon_ms(
	    c->request.horizon_ms, config_of(c)->polling_interval_ms);
	c->asking_refused = refused_wait_ms(c, mono_ms) == 0;
	if (c->asking_refused) {
		collect_refused(c, mono_ms);
		claim = settle = false;
	} else if (claim && settle && !together) {
		/* In turn. */
		settle = !c->settled;
		claim = !settle;
	}
	if (settle)
		collect_results(c, mono_ms);
	if (claim)
		prepare_claim(c, mono_ms);
	c->settled = settle;
	c->request.results = c->results;
	return &c->job;
}

/* ---- what was written ---- */

/* Never later than what was planned since the last look. */
static void
wake_at(struct claims *c, int64_t due_ms)
{
	_Atomic int64_t *at_ms = &c->child->score->wake_at_ms;

	if (due_ms < atomic_load(at_ms))
		atomic_store(at_ms, due_ms);
}

/* Whether an event of the shard of the delivery waits: itself, or its callback.
 */
static bool
leaves_waiting(const struct store_result *result, int64_t *due_ms)
{
	bool waits =
	    result->kind == RESULT_RETRY || result->kind == RESULT_RELEASED;

	*due_ms = waits ? result->due_ms : result->at_ms;
	return waits || result->callback != NULL;
}

/* Who holds its shard must know when to look. */
static void
announce(struct claims *c, const struct delivery *d, int64_t due_ms)
{
	if (d->claim == NULL) { /* a stray: whose shard is not known here */
		shardboard_look_again(c->child->sb);
		return;
	}
	if (leases_hold(c->leases, d->claim->shard))
		wake_at(c, due_ms);
	/* Who is alone looks at nothing but what is in quarantine. */
	if (!leases_hold(c->leases, d->claim->shard) || c->child->alone)
		shardboard_event_added(c->child->sb, d->claim->shard, due_ms);
}

static void
tell_if_given_up(const struct claims *c, const struct delivery *d)
{
	const struct store_result *result = &d->result;

	bool lapsed = result->kind == RESULT_LAPSED;

	if ((lapsed || result->kind == RESULT_FAILED) &&
	    c->policy->given_up != NULL)
		given_up_tell(c->policy->given_up, d->claim->event.app,
		    d->claim->event.id, result->attempt - lapsed, result->code,
		    result->error);
}

static void
forget_written(struct claims *c)
{
	struct delivery *d;
	int64_t due_ms;

	while ((d = STAILQ_FIRST(&c->writing)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->writing, queue);
		if (leaves_waiting(&d->result, &due_ms))
			announce(c, d, due_ms);
		tell_if_given_up(c, d);
		holdings_written(c->holdings, d);
	}
}

/* ---- what was refused ---- */

static void
set_aside(struct claims *c, int64_t mono_ms)
{
	struct delivery *d = STAILQ_FIRST(&c->writing);

	check(d != NULL);
	STAILQ_REMOVE_HEAD(&c->writing, queue);
	put_aside(c, d, mono_ms);
	log_errorx("the datastore refuses a result of event row %lld: %s",
	    (long long)d->result.row_id, c->err.text);
}

/* Which part of the call was it? */
static void
note_refusal(struct claims *c, int64_t mono_ms)
{
	size_t n = c->request.n_results;

	if (c->request.claim_max > 0)
		c->apart = true;
	if (n > 0 && c->request.claim_max > 0)
		c->results_max = n;
	else if (n > 1)
		c->results_max = n / 2;
	else if (n == 1)
		set_aside(c, mono_ms);
}

static void
note_success(struct claims *c, int64_t mono_ms)
{
	if (c->request.claim_max > 0)
		c->apart = false;
	if (c->asking_refused && c->request.n_results > 0)
		c->refused_due_ms = mono_ms;
	if (c->request.n_results == 0 || c->results_max == SIZE_MAX)
		return;
	c->results_max =
	    c->results_max < RESULTS_SOUND ? c->results_max * 2 : SIZE_MAX;
}

void
claims_drain(struct claims *c)
{
	struct delivery *d;

	if (c->n_refused > 0)
		log_warnx("%zu results that could not be written are lost: "
			  "their events are delivered again",
		    c->n_refused);
	while ((d = STAILQ_FIRST(&c->refused)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->refused, queue);
		c->n_refused--;
		holdings_written(c->holdings, d);
	}
	check(c->n_refused == 0);
}

/* ---- what was claimed ---- */

/*
 * We claim the row of a delivery that we had begun before we lapsed, as the
 * same attempt: then that is its delivery, and to the datastore the result is,
 * too. What a client has changed meanwhile is another one, and the result of
 * the first is of no row.
 */
static bool
adopt(struct claims *c, struct store_claim *claim)
{
	struct delivery *d =
	    holdings_find(c->holdings, claim->row_id, claim->attempt);

	if (d == NULL)
		return false;
	if (!event_is_same(&d->claim->event, &claim->event)) {
		d->result.row_id = 0;
		return false;
	}
	d->epoch = c->leases->epoch;
	store_claim_free(claim);
	return true;
}

/* false when memory is short: the row stays ours in the datastore, and comes
 * back as a stray. */
static bool
hold_claim(struct claims *c, struct store_claim *claim)
{
	struct delivery *d = delivery_create(claim, c->policy);

	if (d == NULL) {
		store_claim_free(claim);
		return false;
	}
	if (holdings_hold(c->holdings, d, c->leases->epoch) == 0)
		return true;
	delivery_free(d);
	return false;
}

static bool
take_claims(struct claims *c)
{
	bool older = holdings_has_older(c->holdings, c->leases->epoch);
	bool all = true;

	for (size_t i = 0; i < c->reply.n_claims; i++) {
		struct store_claim *claim = c->request.claims[i];

		if (!(older && adopt(c, claim)) && !hold_claim(c, claim))
			all = false;
	}
	metric_add(
	    c->child->score, METRIC_EVENTS_CLAIMED, (int64_t)c->reply.n_claims);
	metric_add(
	    c->child->score, METRIC_EVENTS_PARKED, (int64_t)c->reply.n_parked);
	metric_add(c->child->score, METRIC_EVENTS_DAMAGED,
	    (int64_t)c->reply.n_damaged);
	return all;
}

/* Who was started on demand goes when nothing has come for a while. */
static bool
is_idle(struct claims *c, int64_t mono_ms)
{
	if (!c->child->alone)
		return false;
	if (c->reply.n_claims > 0)
		c->idle_ms = 0;
	else if (c->idle_ms == 0)
		c->idle_ms = mono_ms;
	else
		return mono_ms - c->idle_ms >=
		       ALONE_IDLE_POLLS * config_of(c)->polling_interval_ms;
	return false;
}

struct claims_change
claims_done(struct claims *c, int64_t mono_ms)
{
	const struct claim_reply *reply = &c->reply;
	/* A result that came too late may be that of a claim whose answer was
	 * lost: a later one of its row may be ours. */
	struct claims_change change = {.in_doubt = reply->n_stale > 0};
	size_t n_seen;

	if (c->status == STORE_BROKEN)
		note_refusal(c, mono_ms);
	if (c->child->draining)
		claims_drain(c);
	if (c->status != STORE_OK) {
		holdings_put_finished(c->holdings, &c->writing);
		wake_at(c, 0);
		return (struct claims_change){.in_doubt = true};
	}
	n_seen = reply->n_claims + reply->n_parked + reply->n_damaged;
	check(n_seen <= c->request.claim_max);
	note_success(c, mono_ms);
	metric_add(c->child->score, METRIC_TURN_COMMITS, 1);
	metric_add(
	    c->child->score, METRIC_RESULTS_STALE, (int64_t)reply->n_stale);
	forget_written(c);
	if (c->request.claim_max == 0)
		return change;
	if (!take_claims(c))
		change.in_doubt = true;
	damaged_tell(&c->damaged, reply, mono_ms);
	change.idle = is_idle(c, mono_ms);
	wake_at(c, reply->more ? 0 : reply->next_due_ms);
	if (reply->cut)
		claim_size_cut(&c->size, n_seen);
	else
		claim_size_claimed(&c->size, n_seen, reply->more);
	change.lost = (c->request.shards & ~reply->owned) != 0;
	return change;
}
