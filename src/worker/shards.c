/* SPDX-License-Identifier: ISC */
#include "worker/worker.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	SHORT_RENEW_MS = 1000,
	AWAY_SLACK_MS = 2000,
	LOOK_GAP_MS = 50, /* between looks since others changed something */
	SWEEP_MS = 60000,
};

static struct worker *
worker_of(struct store_job *job)
{
	return (
	    struct worker *)((char *)job - offsetof(struct worker, lease_job));
}

/* On the datastore's thread. */
static void
run(struct store *store, struct store_job *job)
{
	struct worker *w = worker_of(job);

	w->status =
	    store_lease(store, &w->lease_request, &w->lease_reply, &w->err);
}

/* Tells the services of this host for which shards to wake us. */
static void
publish(struct worker *w, uint64_t shards)
{
	atomic_store(&w->child->score->shards, shards);
	metric_set(
	    w->child->score, METRIC_SHARDS_HELD, __builtin_popcountll(shards));
}

/* What was begun there is finished; the rest is for who holds them next. */
static void
lose(struct worker *w, uint64_t lost)
{
	int n_taken = __builtin_popcountll(lost & ~w->lease_reply.dropped);

	if (n_taken > 0)
		log_warnx("lost the lease of %d shards", n_taken);
	worker_release_unbegun(w);
}

/*
 * Were our shards another's for a while, though they are ours again? Then what
 * we had claimed there was put back, and has been delivered or deleted since.
 * Our clock knows what a datastore whose clock was stepped does not.
 */
static void
note_lapse(struct worker *w, bool first)
{
	if (!w->lapsed && w->lease_sent_ms < w->lease_until_ms)
		return;
	w->lapsed = false;
	w->epoch++;
	if (!first)
		log_warnx("the lease had ended: gives back what was not begun");
	worker_release_unbegun(w);
}

static void
take_strays(struct worker *w)
{
	for (size_t i = 0; i < w->lease_reply.n_strays; i++) {
		struct delivery *d =
		    delivery_create_stray(w->lease_reply.strays[i]);

		if (d == NULL)
			return; /* the next turn finds it again */
		holdings_hold_stray(&w->holdings, d, w->epoch, clock_mono_ms());
	}
	if (w->lease_reply.n_strays > 0)
		log_info("put %zu events back whose claim was in doubt",
		    w->lease_reply.n_strays);
	w->in_doubt = w->lease_reply.n_strays == STORE_STRAYS_MAX;
	if (w->in_doubt)
		w->lease_due_ms = clock_mono_ms();
}

/* One that was started in an outage knows from the others when that began. */
static void
inherit_clock(struct worker *w)
{
	int64_t mono_ms, offset_ms;

	if (dbclock_is_known(&w->clock))
		return;
	scoreboard_last_turn(w->child->sb, &mono_ms, &offset_ms);
	if (mono_ms != 0)
		dbclock_inherit(&w->clock, mono_ms + offset_ms, mono_ms);
}

static void
note_clock(struct worker *w)
{
	struct scoreboard_slot *score = w->child->score;
	struct clock_reading now = clock_read();
	struct dbclock_news news = dbclock_answered(&w->clock, &now,
	    w->lease_reply.now_ms, w->lease_reply.clock_offset_ms);

	if (news.step_ms != 0)
		log_warnx("the datastore's clock was stepped by %lld ms",
		    (long long)news.step_ms);
	if (news.is_base) {
		atomic_store(&score->turn_offset_ms,
		    w->lease_reply.now_ms - now.mono_ms);
		atomic_store(&score->turn_mono_ms, now.mono_ms);
	}
	if (news.spoilt)
		w->lease_due_ms = now.mono_ms;
	if (news.is_skewed)
		log_warnx("the datastore's clock is %lld ms ahead of ours",
		    (long long)w->clock.offset_ms);
}

/* Who has less than its share looks often: others may set some free. */
static int64_t
renew_ms(const struct worker *w)
{
	unsigned n_living =
	    w->lease_reply.n_living == 0 ? 1 : w->lease_reply.n_living;
	unsigned n_held = (unsigned)__builtin_popcountll(w->shards);
	int64_t third_ms = w->cfg->lease_ms / 3;

	return !w->child->alone && n_held < EVENT_SHARDS / n_living &&
		       third_ms > SHORT_RENEW_MS
		   ? SHORT_RENEW_MS
		   : third_ms;
}

static void
done(struct store_job *job)
{
	struct worker *w = worker_of(job);
	uint64_t gained, lost;
	bool first = w->lease_until_ms == INT64_MIN;

	w->busy = false;
	w->lapsed = w->lapsed || w->lease_reply.lapsed;
	if (worker_store_failed(w))
		return;
	gained = w->lease_reply.shards & ~w->shards;
	lost = w->shards & ~w->lease_reply.shards;
	w->shards = w->lease_reply.shards;
	note_lapse(w, first);
	w->lease_until_ms = w->lease_sent_ms + w->cfg->lease_ms;
	w->lease_due_ms = w->lease_sent_ms + renew_ms(w);
	note_clock(w);
	publish(w, w->shards);
	atomic_store(
	    &w->child->score->sees_quarantine, w->lease_reply.quarantined);
	if (lost != 0)
		lose(w, lost);
	take_strays(w);
	if (w->lease_reply.buried && w->lease_reply.n_interrupted > 0)
		scoreboard_look_again(w->child->sb);
	if (gained != 0 || w->lease_reply.n_interrupted > 0)
		atomic_store(&w->child->score->wake_at_ms, 0);
	if (w->lease_reply.n_interrupted > 0) {
		metric_add(w->child->score, METRIC_EVENTS_INTERRUPTED,
		    (int64_t)w->lease_reply.n_interrupted);
		log_warnx("put %zu events back whose worker was lost",
		    w->lease_reply.n_interrupted);
	}
	/* Others may now find theirs: our arrival, or shards set free. */
	if (first || lost != 0)
		scoreboard_membership_changed(w->child->sb);
	if (w->lease_request.leaving && !w->lease_request.in_doubt &&
	    w->n_known == 0)
		loop_stop(w->loop);
}

/* Makes room for n more rows; false when memory is short. */
static bool
grow_dead_wire(struct worker *w, size_t n)
{
	int64_t *wire;

	if (w->cap_dead_wire - w->n_dead_wire >= n)
		return true;
	wire = reallocarray(w->dead_wire, w->n_dead_wire + n, sizeof(*wire));
	if (wire == NULL)
		return false;
	w->dead_wire = wire;
	w->cap_dead_wire = w->n_dead_wire + n;
	return true;
}

/* false when the master has put another there meanwhile. Without memory the
 * rows are not known. */
static bool
read_death(struct worker *w, const struct scoreboard_death *death,
    struct store_death *copy)
{
	int n_wire = atomic_load(&death->n_wire);

	copy->culprit = atomic_load(&death->culprit);
	copy->wire_known = n_wire >= 0 && n_wire <= SCOREBOARD_WIRE &&
			   grow_dead_wire(w, (size_t)n_wire);
	copy->n_wire = copy->wire_known ? (size_t)n_wire : 0;
	for (size_t i = 0; i < copy->n_wire; i++)
		w->dead_wire[w->n_dead_wire + i] = atomic_load(&death->wire[i]);
	if (atomic_load(&death->owner) != copy->owner)
		return false;
	w->n_dead_wire += copy->n_wire;
	return true;
}

static size_t
list_dead(struct worker *w)
{
	const struct scoreboard_master *master = &w->child->sb->shared->master;
	uint64_t n_dead = atomic_load(&master->n_dead);
	const int64_t *wire;
	size_t n = 0;

	if (n_dead > SCOREBOARD_DEAD)
		n_dead = SCOREBOARD_DEAD;
	w->n_dead_wire = 0;
	for (uint64_t i = 0; i < n_dead; i++) {
		struct store_death *death = &w->dead[n];

		*death = (struct store_death){
		    .owner = atomic_load(&master->dead[i].owner)};
		/* Whatever another master has told: we live. */
		if (death->owner != 0 && death->owner != w->owner &&
		    read_death(w, &master->dead[i], death))
			n++;
	}
	/* Only now they stay where they are. */
	wire = w->dead_wire;
	for (size_t i = 0; i < n; i++) {
		w->dead[i].wire = wire;
		wire += w->dead[i].n_wire;
	}
	return n;
}

/* Whether a time of another's slot is one at all, and not in the future. */
static bool
is_past(int64_t ms, int64_t mono_ms)
{
	return ms > 0 && ms <= mono_ms;
}

/*
 * Workers of this host that could not renew in time and still try to. One that
 * is stopped tries no more.
 */
static size_t
list_away(struct worker *w, int64_t mono_ms)
{
	const struct config_datastore *store = &w->child->cfg->datastore;
	const struct scoreboard *sb = w->child->sb;
	int64_t patience_ms =
	    store->connect_timeout_ms + store->timeout_ms + AWAY_SLACK_MS;
	size_t n = 0;

	for (int i = 0;
	     (i = scoreboard_next_used(sb, i)) < SCOREBOARD_WORKER_SLOTS; i++) {
		const struct scoreboard_slot *slot = scoreboard_slot(sb, i);
		uint64_t owner = atomic_load(&scoreboard_place(sb, i)->owner);
		int64_t asking_ms = atomic_load(&slot->asking_ms);
		int64_t tried_ms = atomic_load(&slot->tried_ms);

		if (i != w->child->slot && owner != 0 &&
		    is_past(asking_ms, mono_ms) && is_past(tried_ms, mono_ms) &&
		    mono_ms - asking_ms >= w->cfg->lease_ms / 3 &&
		    mono_ms - tried_ms < patience_ms)
			w->away[n++] = owner;
	}
	return n;
}

void
shards_init(struct worker *w)
{
	const struct config_datastore *store = &w->child->cfg->datastore;
	struct clock_reading now = clock_read();

	w->lease_job.run = run;
	w->lease_job.done = done;
	w->lease_until_ms = INT64_MIN;
	w->lease_due_ms = 0;
	dbclock_init(&w->clock, w->cfg->lease_ms,
	    store->connect_timeout_ms + store->timeout_ms, &now);
}

bool
shards_open(const struct worker *w)
{
	return !w->lapsed && clock_mono_ms() < w->lease_until_ms &&
	       dbclock_is_sure(&w->clock);
}

bool
shards_leapt(const struct worker *w)
{
	struct clock_reading now = clock_read();

	return dbclock_leapt(&w->clock, &now);
}

void
shards_check_clock(struct worker *w)
{
	struct clock_reading now = clock_read();

	if (dbclock_check_step(&w->clock, &now))
		w->lease_due_ms = now.mono_ms;
}

void
shards_fini(struct worker *w)
{
	publish(w, 0);
	free(w->dead_wire);
	w->dead_wire = NULL;
}

bool
shards_due(struct worker *w, int64_t mono_ms)
{
	uint64_t membership = scoreboard_membership(w->child->sb);
	int64_t look_ms = w->lease_sent_ms + LOOK_GAP_MS;

	if (membership != w->membership) {
		w->membership = membership;
		/* One that never stops to tell of changes keeps nobody busy. */
		if (look_ms < w->lease_due_ms)
			w->lease_due_ms = look_ms;
	}
	return mono_ms >= w->lease_due_ms;
}

void
shards_submit(struct worker *w)
{
	struct clock_reading now = clock_read();
	int64_t mono_ms = now.mono_ms;

	if (holdings_ids(&w->holdings, &w->known, &w->n_known) == -1)
		return; /* again on the next turn of the loop */
	if (mono_ms >= w->sweep_ms && !w->child->draining) {
		w->in_doubt = true;
		w->sweep_ms = mono_ms + SWEEP_MS;
	}
	inherit_clock(w);
	w->lease_request = (struct lease_request){
	    .owner = w->owner,
	    .lease_ms = w->cfg->lease_ms,
	    .leaving = w->child->draining,
	    .alone = w->child->alone,
	    .in_doubt = w->in_doubt,
	    .dead = w->dead,
	    .n_dead = list_dead(w),
	    .away = w->away,
	    .n_away = list_away(w, mono_ms),
	    .max_attempts = w->cfg->retry.max_retries + 1,
	    .expected_now_ms = dbclock_ask(&w->clock, &now),
	    .known = w->known,
	    .n_known = w->n_known,
	};
	w->lease_sent_ms = mono_ms;
	worker_submit(w, &w->lease_job);
}
