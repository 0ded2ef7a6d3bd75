/* SPDX-License-Identifier: ISC */
#include "worker/leases.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "board/shardboard.h"

enum {
	RENEWALS = 5,     /* in the length of a lease */
	LOOKS = 6,        /* or so many, of which every other one renews */
	MARGIN_PART = 16, /* of it, in which nothing is begun any more */
	SHORT_RENEW_MS = 1000,
	STRANGERS_MS = 600000, /* after the last one of another host */
	AWAY_SLACK_MS = 2000,
	LOOK_GAP_MS = 50, /* between looks since others changed something */
	SWEEP_MS = 60000,
};

/* On the datastore's thread. */
static void
lease_run(struct store *store, struct store_job *job)
{
	struct leases *l = container_of(job, struct leases, job);

	l->status = store_lease(store, &l->request, &l->reply, &l->err);
}

/* Unless it is set: as long as nobody but our master's workers would look for
 * us, who learn of our death at once, long and with few renewals. */
static int64_t
wanted_lease_ms(const struct leases *l)
{
	int64_t set_ms = l->child->cfg->worker.lease_ms;

	if (set_ms != 0)
		return set_ms;
	return l->has_strangers ? CONFIG_LEASE_MS : CONFIG_LEASE_ALONE_MS;
}

/* Among strangers a call is a look for those who are lost, too, and on a server
 * that costs less than a renewal. */
static bool
looks_between(const struct leases *l)
{
	return l->has_strangers &&
	       l->child->cfg->datastore.place.kind == SQL_MYSQL;
}

/* Whether the next call need not renew: the last one did, and so long. */
static bool
may_look(const struct leases *l)
{
	return looks_between(l) && l->reply.renewed && !l->request.look &&
	       !l->in_doubt && !l->child->draining &&
	       l->request.lease_ms == wanted_lease_ms(l);
}

/* Of the last request: nothing is begun beyond it. */
static int64_t
end_of_request_ms(const struct leases *l)
{
	int64_t lease_ms = l->request.lease_ms;

	return l->sent_ms + lease_ms - lease_ms / MARGIN_PART;
}

/* What a call of the datastore takes at most. */
static int64_t
call_ms(const struct child *child)
{
	const struct config_datastore *store = &child->cfg->datastore;

	return store->connect_timeout_ms + store->timeout_ms;
}

int
leases_init(struct leases *l, const struct child *child, struct dbclock *clock,
    void (*done)(struct store_job *job))
{
	struct clock_reading now = clock_read();

	*l = (struct leases){
	    .child = child,
	    .clock = clock,
	    .owner =
		atomic_load(&scoreboard_place(child->sb, child->slot)->owner),
	    .until_ms = INT64_MIN,
	    .has_strangers = true,
	    .job = {.run = lease_run, .done = done},
	};
	dbclock_init(clock, &now);
	l->others = calloc(1, sizeof(*l->others));
	return l->others == NULL ? -1 : 0;
}

/* Tells the services of this host for which shards to wake us. */
static void
publish(const struct leases *l, uint64_t shards)
{
	atomic_store(&l->child->score->held_until_ms, l->until_ms);
	atomic_store(&l->child->score->shards, shards);
	metric_set(
	    l->child->score, METRIC_SHARDS_HELD, __builtin_popcountll(shards));
}

void
leases_fini(struct leases *l)
{
	publish(l, 0);
	free(l->dead_wire);
	l->dead_wire = NULL;
	free(l->others);
	l->others = NULL;
}

/* ---- what is held ---- */

bool
leases_hold(const struct leases *l, unsigned shard)
{
	check(shard < EVENT_SHARDS);
	return l->child->alone || (l->shards >> shard & 1) != 0;
}

/* Beyond the end of our lease, until it is renewed, others may have them. */
bool
leases_are_open(const struct leases *l)
{
	return !l->lapsed && clock_mono_ms() < l->until_ms &&
	       dbclock_is_sure(l->clock);
}

bool
leases_let_send(const struct leases *l, uint64_t epoch)
{
	struct clock_reading now = clock_read();

	return epoch == l->epoch && leases_are_open(l) &&
	       !dbclock_leapt(l->clock, &now);
}

void
leases_check_clock(struct leases *l)
{
	struct clock_reading now = clock_read();
	int64_t step_ms = dbclock_check_step(l->clock, &now);

	if (step_ms == 0)
		return;
	log_warnx("the clock of this host was stepped by %lld ms",
	    (long long)step_ms);
	l->due_ms = now.mono_ms;
}

/* ---- what is known of others ---- */

/* Makes room for n more rows; false when memory is short. */
static bool
grow_dead_wire(struct leases *l, size_t n)
{
	int64_t *wire;

	if (l->cap_dead_wire - l->n_dead_wire >= n)
		return true;
	wire = reallocarray(l->dead_wire, l->n_dead_wire + n, sizeof(*wire));
	if (wire == NULL)
		return false;
	l->dead_wire = wire;
	l->cap_dead_wire = l->n_dead_wire + n;
	return true;
}

/* false when the master has put another there meanwhile. Without memory the
 * rows are not known. */
static bool
read_death(struct leases *l, const struct scoreboard_death *death,
    struct store_death *copy)
{
	int n_wire = atomic_load(&death->n_wire);

	copy->culprit = atomic_load(&death->culprit);
	copy->wire_known = n_wire >= 0 && n_wire <= SCOREBOARD_WIRE &&
			   grow_dead_wire(l, (size_t)n_wire);
	copy->n_wire = copy->wire_known ? (size_t)n_wire : 0;
	for (size_t i = 0; i < copy->n_wire; i++)
		l->dead_wire[l->n_dead_wire + i] = atomic_load(&death->wire[i]);
	if (atomic_load(&death->owner) != copy->owner)
		return false;
	l->n_dead_wire += copy->n_wire;
	return true;
}

static size_t
list_dead(struct leases *l)
{
	const struct scoreboard_master *master = &l->child->sb->shared->master;
	uint64_t n_dead = atomic_load(&master->n_dead);
	const int64_t *wire;
	size_t n = 0;

	l->n_dead_listed = n_dead;
	if (n_dead > SCOREBOARD_DEAD)
		n_dead = SCOREBOARD_DEAD;
	l->n_dead_wire = 0;
	for (uint64_t i = 0; i < n_dead; i++) {
		struct store_death *death = &l->dead[n];

		*death = (struct store_death){
		    .owner = atomic_load(&master->dead[i].owner)};
		/* Whatever another master has told: we live. */
		if (death->owner != 0 && death->owner != l->owner &&
		    read_death(l, &master->dead[i], death))
			n++;
	}
	/* Only now they stay where they are. */
	wire = l->dead_wire;
	for (size_t i = 0; i < n; i++) {
		l->dead[i].wire = wire;
		wire += l->dead[i].n_wire;
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
 * Workers of this host that have not renewed for a while, and still try to. One
 * that is stopped tries no more; one that has tried for longer than a lease and
 * what it would have to finish when it is stopped will not succeed.
 */
static size_t
list_away(struct leases *l, int64_t mono_ms)
{
	const struct scoreboard *sb = l->child->sb;
	int64_t patience_ms = call_ms(l->child) + AWAY_SLACK_MS;
	int64_t hope_ms =
	    wanted_lease_ms(l) + l->child->cfg->master.shutdown_timeout_ms;
	size_t n = 0;

	for (int i = 0;
	     (i = scoreboard_next_used(sb, i)) < SCOREBOARD_WORKER_SLOTS; i++) {
		const struct scoreboard_slot *slot = scoreboard_slot(sb, i);
		uint64_t owner = atomic_load(&scoreboard_place(sb, i)->owner);
		int64_t asking_ms = atomic_load(&slot->asking_ms);
		int64_t tried_ms = atomic_load(&slot->tried_ms);

		if (i != l->child->slot && owner != 0 &&
		    is_past(asking_ms, mono_ms) && is_past(tried_ms, mono_ms) &&
		    mono_ms - tried_ms < patience_ms &&
		    mono_ms - asking_ms < hope_ms &&
		    liveness_is_quiet(&l->others->seen, owner, &l->away[n]))
			n++;
	}
	return n;
}

/* ---- calls ---- */

void
leases_hurry(struct leases *l)
{
	l->due_ms = clock_mono_ms();
}

void
leases_doubt(struct leases *l)
{
	l->in_doubt = true;
	leases_hurry(l);
}

int64_t
leases_wait_ms(struct leases *l, int64_t mono_ms)
{
	uint64_t membership = shardboard_membership(l->child->sb);
	int64_t look_ms = l->sent_ms + LOOK_GAP_MS;

	if (membership != l->membership) {
		l->membership = membership;
		/* One that never stops to tell of changes keeps nobody busy. */
		if (look_ms < l->due_ms)
			l->due_ms = look_ms;
	}
	return l->due_ms > mono_ms ? l->due_ms - mono_ms : 0;
}

struct store_job *
leases_submit(struct leases *l, const int64_t *known, size_t n_known)
{
	struct clock_reading now = clock_read();

	if (now.mono_ms >= l->sweep_ms && !l->child->draining) {
		l->in_doubt = true;
		l->sweep_ms = now.mono_ms + SWEEP_MS;
	}
	dbclock_asked(l->clock, &now);
	l->request = (struct lease_request){
	    .owner = l->owner,
	    .lease_ms = wanted_lease_ms(l),
	    .leaving = l->child->draining,
	    .alone = l->child->alone,
	    .in_doubt = l->in_doubt,
	    .look = may_look(l),
	    .dead = l->dead,
	    .n_dead = list_dead(l),
	    .lost = l->others->lost,
	    .n_lost = liveness_lost(&l->others->seen, l->owner, l->others->lost,
		STORE_INSTANCES_MAX),
	    .away = l->away,
	    .n_away = list_away(l, now.mono_ms),
	    .instances = l->others->instances,
	    .max_attempts = l->child->cfg->worker.retry.max_retries + 1,
	    .known = known,
	    .n_known = n_known,
	};
	l->sent_ms = now.mono_ms;
	/* A shorter one may be in force from now on, whatever is answered. */
	l->until_ms = clock_sooner_ms(l->until_ms, end_of_request_ms(l));
	/* What comes up from here on is for the next call. */
	l->in_doubt = false;
	l->due_ms = INT64_MAX;
	return &l->job;
}

/*
 * Were our shards another's for a while, though they are ours again? Then what
 * we had claimed there was put back, and has been delivered or deleted since.
 * The lease counts from when its renewal was asked for: before that nobody has
 * seen it.
 */
static void
note_renewal(struct leases *l)
{
	l->lapsed = l->lapsed || l->reply.lapsed || l->sent_ms >= l->until_ms;
	l->until_ms = end_of_request_ms(l);
}

void
leases_failed(struct leases *l, bool ours)
{
	if (ours) {
		liveness_failed(&l->others->seen);
		/* It may have done that before it failed. */
		l->lapsed = l->lapsed || l->reply.lapsed;
		if (l->reply.renewed) {
			note_renewal(l);
			publish(l, l->shards);
		}
	}
	leases_doubt(l);
}

static void
note_clock(struct leases *l)
{
	struct clock_reading now = clock_read();
	struct dbclock_news news =
	    dbclock_answered(l->clock, &now, l->reply.clock_offset_ms);

	if (news.spoilt)
		l->due_ms = now.mono_ms;
	if (news.is_skewed)
		log_warnx("the datastore's clock is %lld ms ahead of ours",
		    (long long)l->clock->offset_ms);
}

/* One of the host says it: the first that holds shards, unless it only just
 * does, as when all of them come. */
static void
note_hosts(struct leases *l)
{
	bool was_spokesman = l->is_spokesman;
	struct clock_reading now = clock_read();
	const struct store_instance *ahead;

	l->is_spokesman =
	    shardboard_first_holder(l->child->sb) == l->child->slot;
	if (!l->is_spokesman || !was_spokesman)
		return;
	ahead = hostclock_saw(&l->hostclock, &now, l->others->instances,
	    l->reply.n_instances, l->owner);
	if (ahead != NULL)
		log_warnx("the clock of host %.*s is %lld ms ahead of ours",
		    STORE_HOST_MAX, ahead->host,
		    (long long)(ahead->wall_ms - now.wall_ms));
}

/* Whether somebody is registered who is no worker of our master. */
static bool
find_strangers(const struct leases *l)
{
	const struct scoreboard *sb = l->child->sb;

	for (size_t i = 0; i < l->reply.n_instances; i++) {
		uint64_t owner = l->others->instances[i].sign.owner;
		int slot = 0;

		while ((slot = scoreboard_next_used(sb, slot)) <
			   SCOREBOARD_WORKER_SLOTS &&
		       atomic_load(&scoreboard_place(sb, slot)->owner) != owner)
			slot++;
		if (slot >= SCOREBOARD_WORKER_SLOTS)
			return true;
	}
	return false;
}

/* A host that is gone may come back, and would wait for the end of a long lease
 * if we were lost then. */
static bool
expects_strangers(struct leases *l)
{
	int64_t mono_ms = clock_mono_ms();
	bool is_server = l->child->cfg->datastore.place.kind == SQL_MYSQL;

	if (find_strangers(l)) {
		l->strangers_until_ms =
		    mono_ms + (is_server ? STRANGERS_MS : 0);
		return true;
	}
	return mono_ms < l->strangers_until_ms;
}

/* Who is lost is named in a call of its own. */
static void
note_others(struct leases *l)
{
	bool had_strangers = l->has_strangers;
	struct store_sign lost;

	l->has_strangers = expects_strangers(l);
	if (l->has_strangers && !had_strangers) {
		leases_hurry(l);
		shardboard_membership_changed(l->child->sb);
	}

	liveness_saw(&l->others->seen, l->sent_ms, clock_mono_ms(),
	    l->others->instances, l->reply.n_instances);
	l->due_ms = clock_sooner_ms(
	    l->due_ms, liveness_due_ms(&l->others->seen, l->owner));
	if (liveness_lost(&l->others->seen, l->owner, &lost, 1) > 0)
		l->due_ms =
		    clock_sooner_ms(l->due_ms, l->sent_ms + LOOK_GAP_MS);
}

/* From call to call. Who has less than its share looks often: others may set
 * some free. */
static int64_t
call_every_ms(const struct leases *l)
{
	unsigned n_living = l->reply.n_living == 0 ? 1 : l->reply.n_living;
	unsigned n_held = (unsigned)__builtin_popcountll(l->shards);
	int64_t ms =
	    l->request.lease_ms / (looks_between(l) ? LOOKS : RENEWALS);

	return !l->child->alone && n_held < EVENT_SHARDS / n_living &&
		       ms > SHORT_RENEW_MS
		   ? SHORT_RENEW_MS
		   : ms;
}

static bool
note_lapse(struct leases *l, bool first)
{
	if (!l->lapsed)
		return false;
	l->lapsed = false;
	l->epoch++;
	if (!first)
		log_warnx("the lease had ended: gives back what was not begun");
	return true;
}

/* Tells the others of this host what concerns them. */
static void
tell_host(const struct leases *l, const struct lease_change *change, bool first)
{
	const struct lease_reply *reply = &l->reply;
	struct scoreboard_slot *score = l->child->score;
	int n_taken = __builtin_popcountll(change->lost & ~reply->dropped);

	publish(l, l->shards);
	if (!reply->rest && !l->request.leaving && !l->request.alone)
		atomic_store(&score->n_dead_told, l->n_dead_listed);
	atomic_store(&score->sees_quarantine, reply->quarantined);
	if (n_taken > 0)
		log_warnx("lost the lease of %d shards", n_taken);
	if (reply->buried && reply->n_interrupted > 0)
		shardboard_look_again(l->child->sb);
	if (change->gained != 0 || reply->n_interrupted > 0)
		atomic_store(&score->wake_at_ms, 0);
	if (reply->n_interrupted > 0) {
		metric_add(score, METRIC_EVENTS_INTERRUPTED,
		    (int64_t)reply->n_interrupted);
		log_warnx("put %zu events back whose worker was lost",
		    reply->n_interrupted);
	}
	if (reply->n_strays > 0)
		log_info("put %zu events back whose claim was in doubt",
		    reply->n_strays);
	/* Others may now find theirs: shards set free, also of one that is
	 * gone, or what our arrival or our leaving makes their share. */
	if (first || change->left || change->lost != 0 || reply->ended)
		shardboard_membership_changed(l->child->sb);
}

struct lease_change
leases_done(struct leases *l)
{
	const struct lease_reply *reply = &l->reply;
	bool first = l->until_ms == INT64_MIN;
	struct lease_change change = {
	    .gained = reply->shards & ~l->shards,
	    .lost = l->shards & ~reply->shards,
	    .n_strays = reply->n_strays,
	    .strays = reply->strays,
	    .left = l->request.leaving && !l->request.in_doubt &&
		    l->request.n_known == 0 && !reply->rest,
	};

	check(l->status == STORE_OK && reply->n_strays <= STORE_STRAYS_MAX);
	l->shards = reply->shards;
	if (reply->renewed)
		note_renewal(l);
	change.lapsed = note_lapse(l, first);
	note_clock(l);
	note_others(l);
	l->due_ms = clock_sooner_ms(l->due_ms, l->sent_ms + call_every_ms(l));
	if (reply->n_strays == STORE_STRAYS_MAX)
		leases_doubt(l);
	if (reply->rest)
		leases_hurry(l);
	tell_host(l, &change, first);
	note_hosts(l);
	return change;
}
