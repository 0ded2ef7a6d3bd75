/* SPDX-License-Identifier: ISC */
#include "board/shardboard.h"

#include <stddef.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

/* ---- wake-ups ---- */

/* Makes a worker look at its leases and its wake time. */
static void
wake(const struct scoreboard *sb, int worker_slot)
{
	check(worker_slot >= 0 && worker_slot < SCOREBOARD_WORKER_SLOTS);
	/* Fails only when the pipe is full: then it is readable anyway. */
	(void)!write(sb->wake_fds[worker_slot][1], "", 1);
}

static struct scoreboard_news *
own_news(const struct scoreboard *sb)
{
	return sb->self == -1 ? &sb->writable->master.news
			      : &sb->writable->children[sb->self].slot.news;
}

/* Single writer: no read-modify-write is needed. */
static void
count(_Atomic uint64_t *n)
{
	atomic_store(n, atomic_load(n) + 1);
}

static bool
is_taken(const struct scoreboard *sb, int slot)
{
	return atomic_load(&scoreboard_place(sb, slot)->pid) != 0;
}

/* The shards that the worker of the slot says it holds, */
static uint64_t
claimed_by(const struct scoreboard *sb, int slot)
{
	return is_taken(sb, slot)
		   ? atomic_load(&scoreboard_slot(sb, slot)->shards)
		   : 0;
}

/* and those that it has renewed in time. */
static uint64_t
held_by(const struct scoreboard *sb, int slot)
{
	return clock_mono_ms() <
		       atomic_load(&scoreboard_slot(sb, slot)->held_until_ms)
		   ? claimed_by(sb, slot)
		   : 0;
}

static int
n_workers(const struct scoreboard *sb)
{
	return atomic_load(&sb->shared->master.n_worker_slots);
}

static void
wake_others(const struct scoreboard *sb)
{
	for (int i = 0; i < n_workers(sb); i++) {
		if (i != sb->self && is_taken(sb, i))
			wake(sb, i);
	}
}

static void
tell_to_look_at_leases(const struct scoreboard *sb)
{
	count(&own_news(sb)->changes);
	wake_others(sb);
}

static void
tell_of_pauses(const struct scoreboard *sb)
{
	count(&own_news(sb)->pauses);
	wake_others(sb);
}

void
shardboard_membership_changed(const struct scoreboard *sb)
{
	tell_to_look_at_leases(sb);
	bell_ring(&sb->bell, RING_LEASES, 0);
}

void
shardboard_pauses_changed(const struct scoreboard *sb)
{
	tell_of_pauses(sb);
	bell_ring(&sb->bell, RING_PAUSES, 0);
}

/* ---- the dead ---- */

/* For the workers that stay: whose leases are free now. */
static void
announce_dead(struct scoreboard *sb, const struct scoreboard_slot *slot,
    uint64_t owner, enum shardboard_end end)
{
	struct scoreboard_master *master = &sb->writable->master;
	uint64_t n_dead = atomic_load(&master->n_dead);
	struct scoreboard_death *death =
	    &master->dead[n_dead % SCOREBOARD_DEAD];
	int n = 0;

	check(sb->self == -1 && owner != 0);
	/* Who reads the entry meanwhile sees that it is another one's. */
	atomic_store(&death->owner, 0);
	atomic_store(&death->culprit,
	    slot == NULL || end == END_KILLED ? 0 : atomic_load(&slot->note));
	for (int i = 0; slot != NULL && end != END_EXIT && i < SCOREBOARD_WIRE;
	     i++) {
		int64_t row_id = atomic_load(&slot->wire[i]);

		if (row_id != 0)
			atomic_store(&death->wire[n++], row_id);
	}
	if (slot == NULL ||
	    (end != END_EXIT && atomic_load(&slot->n_unlisted) != 0))
		n = -1;
	atomic_store(&death->n_wire, n);
	atomic_store(&death->owner, owner);
	/* Last: who sees the number sees the entry. */
	atomic_store_explicit(
	    &master->n_dead, n_dead + 1, memory_order_release);
	shardboard_membership_changed(sb);
}

void
shardboard_bury(struct scoreboard *sb, int slot, enum shardboard_end end)
{
	struct scoreboard_slot *s = &sb->writable->children[slot].slot;
	uint64_t owner = atomic_load(&scoreboard_place(sb, slot)->owner);

	/* First: who reads of the death tells that slot no more events. */
	scoreboard_slot_release(sb, slot);
	if (owner != 0)
		announce_dead(sb, s, owner, end);
	atomic_store(&s->note, 0);
	atomic_store(&s->n_unlisted, 0);
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		atomic_store(&s->wire[i], 0);
}

void
shardboard_owner_gone(struct scoreboard *sb, uint64_t owner)
{
	announce_dead(sb, NULL, owner, END_KILLED);
}

/* ---- news ---- */

bool
shardboard_sees_quarantine(const struct scoreboard *sb)
{
	for (int i = 0; i < n_workers(sb); i++) {
		if (atomic_load(&scoreboard_slot(sb, i)->sees_quarantine))
			return true;
	}
	return false;
}

uint64_t
shardboard_membership(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	if (sb->self != -1)
		sum = atomic_load(&sb->shared->master.news.changes);
	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++) {
		if (i != sb->self)
			sum +=
			    atomic_load(&scoreboard_slot(sb, i)->news.changes);
	}
	return sum;
}

uint64_t
shardboard_pauses_told(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	if (sb->self != -1)
		sum = atomic_load(&sb->shared->master.news.pauses);
	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++) {
		if (i != sb->self)
			sum +=
			    atomic_load(&scoreboard_slot(sb, i)->news.pauses);
	}
	return sum;
}

uint64_t
shardboard_pauses_made(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	for (int i = SCOREBOARD_WORKER_SLOTS;
	     (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS; i++)
		sum += atomic_load(&scoreboard_slot(sb, i)->news.pauses);
	return sum;
}

bool
shardboard_pauses_read(const struct scoreboard *sb)
{
	uint64_t made = shardboard_pauses_made(sb);

	for (int i = 0; i < n_workers(sb); i++) {
		const struct scoreboard_slot *worker = scoreboard_slot(sb, i);

		if (atomic_load(&worker->shards) != 0 &&
		    atomic_load(&worker->pauses_read) != made)
			return false;
	}
	return true;
}

uint64_t
shardboard_n_unheld(const struct scoreboard *sb)
{
	uint64_t sum = 0;

	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++)
		sum += atomic_load(&scoreboard_slot(sb, i)->news.n_unheld);
	return sum;
}

/*
 * Tells a worker of an event, by what only we write: its number of a look
 * first, then what was told to that look. The worker stores how long it sleeps
 * before it reads this, and we read that after: one of us sees the other.
 */
static void
tell_worker(const struct scoreboard *sb, int worker_slot, int64_t due_ms)
{
	const struct scoreboard_slot *worker = scoreboard_slot(sb, worker_slot);
	struct scoreboard_news *news = own_news(sb);
	uint64_t look = atomic_load(&worker->look);

	/* Only who tells an earlier one wakes: a burst costs one wake-up. */
	if (atomic_load(&news->added[worker_slot].look) == look &&
	    atomic_load(&news->added[worker_slot].due_ms) <= due_ms)
		return;
	atomic_store(&news->added[worker_slot].due_ms, due_ms);
	/* Last: who sees the look sees its event. */
	atomic_store(&news->added[worker_slot].look, look);
	if (due_ms < atomic_load(&worker->wake_at_ms))
		wake(sb, worker_slot);
}

static void
tell_all_workers(const struct scoreboard *sb)
{
	for (int i = 0; i < n_workers(sb); i++) {
		if (is_taken(sb, i))
			tell_worker(sb, i, 0);
	}
}

static void
tell_to_look(const struct scoreboard *sb)
{
	tell_all_workers(sb);
	tell_to_look_at_leases(sb);
}

void
shardboard_clock_moved(const struct scoreboard *sb)
{
	tell_all_workers(sb);
	wake_others(sb);
}

void
shardboard_look_again(const struct scoreboard *sb)
{
	tell_to_look(sb);
	bell_ring(&sb->bell, RING_ALL, 0);
}

/* Whether anybody here holds the shard. */
static bool
tell_holders(const struct scoreboard *sb, unsigned shard, int64_t due_ms)
{
	bool is_held = false;

	check(shard < EVENT_SHARDS);
	/* All who say so: one that lies takes no event from another. */
	for (int i = 0; i < n_workers(sb); i++) {
		if ((claimed_by(sb, i) >> shard & 1) != 0)
			tell_worker(sb, i, due_ms);
		if ((held_by(sb, i) >> shard & 1) != 0)
			is_held = true;
	}
	return is_held;
}

void
shardboard_event_added(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms)
{
	if (tell_holders(sb, shard, due_ms))
		return;
	count(&own_news(sb)->n_unheld);
	bell_ring(&sb->bell, shard, due_ms);
}

void
shardboard_hear(const struct scoreboard *sb, const struct ring *ring)
{
	if (ring->what < EVENT_SHARDS)
		(void)tell_holders(sb, ring->what, ring->due_ms);
	else if (ring->what == RING_LEASES)
		tell_to_look_at_leases(sb);
	else if (ring->what == RING_PAUSES)
		tell_of_pauses(sb);
	else
		tell_to_look(sb);
}

int
shardboard_first_holder(const struct scoreboard *sb)
{
	for (int i = 0; i < n_workers(sb); i++) {
		if (held_by(sb, i) != 0)
			return i;
	}
	return -1;
}

size_t
shardboard_held(
    const struct scoreboard *sb, uint64_t shards[SCOREBOARD_WORKER_SLOTS])
{
	size_t n = 0;

	for (int i = 0; i < n_workers(sb); i++) {
		uint64_t held = held_by(sb, i);

		if (held != 0)
			shards[n++] = held;
	}
	return n;
}

static int64_t
min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What was told to that look, or INT64_MAX. */
static int64_t
told_ms(const struct scoreboard_news *news, int worker_slot, uint64_t look)
{
	return atomic_load(&news->added[worker_slot].look) == look
		   ? atomic_load(&news->added[worker_slot].due_ms)
		   : INT64_MAX;
}

int64_t
shardboard_wake_at_ms(const struct scoreboard *sb, int worker_slot)
{
	const struct scoreboard_slot *worker = scoreboard_slot(sb, worker_slot);
	uint64_t look = atomic_load(&worker->look);
	int64_t at_ms = min_ms(atomic_load(&worker->wake_at_ms),
	    told_ms(&sb->shared->master.news, worker_slot, look));

	/* The dead ones' too: what they told holds. */
	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++)
		at_ms = min_ms(at_ms,
		    told_ms(&scoreboard_slot(sb, i)->news, worker_slot, look));
	return at_ms < 0 ? 0 : at_ms;
}

int64_t
shardboard_adding_since_ms(const struct scoreboard *sb)
{
	int64_t since_ms = INT64_MAX;

	for (int i = 0; (i = scoreboard_next_used(sb, i)) < SCOREBOARD_SLOTS;
	     i++) {
		int64_t adding_ms =
		    atomic_load(&scoreboard_slot(sb, i)->adding_ms);

		if (adding_ms != 0)
			since_ms = min_ms(since_ms, adding_ms);
	}
	return since_ms;
}

/* No number is that high. */
#define IS_LOOKING UINT64_MAX

void
shardboard_note_looks(
    const struct scoreboard *sb, uint64_t looks[SCOREBOARD_WORKER_SLOTS])
{
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++) {
		const struct scoreboard_slot *slot = scoreboard_slot(sb, i);

		looks[i] = i != sb->self && atomic_load(&slot->asking_ms) != 0
			       ? IS_LOOKING
			       : atomic_load(&slot->look);
	}
}

bool
shardboard_looked_since(const struct scoreboard *sb, unsigned shard,
    const uint64_t looks[SCOREBOARD_WORKER_SLOTS])
{
	check(shard < EVENT_SHARDS);
	for (int i = 0; i < n_workers(sb); i++) {
		if ((held_by(sb, i) >> shard & 1) != 0 &&
		    atomic_load(&scoreboard_slot(sb, i)->look) != looks[i])
			return true;
	}
	return false;
}

bool
shardboard_sleeps_over(
    const struct scoreboard *sb, unsigned shard, int64_t due_ms)
{
	check(shard < EVENT_SHARDS);
	for (int i = 0; i < n_workers(sb); i++) {
		if ((held_by(sb, i) >> shard & 1) != 0 &&
		    atomic_load(&scoreboard_slot(sb, i)->asking_ms) == 0 &&
		    shardboard_wake_at_ms(sb, i) > due_ms)
			return true;
	}
	return false;
}
