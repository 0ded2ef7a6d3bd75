/* SPDX-License-Identifier: ISC */
#include "worker/newest.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "board/shardboard.h"

enum {
	OVERLAP_MS = 2000, /* twice what clocks may differ unlogged */
	PRESSED_MS = 3000,
	HURRIED_MS = 60000,
	HURRIED_LATE_MS = 600000,
	IDLE_INTERVALS = 8,
	SWEEP_GAP_MS = 200,
	SAY_GAP_MS = 60000,
};

/* On the datastore's thread. */
static void
newest_run(struct store *store, struct store_job *job)
{
	struct newest *n = container_of(job, struct newest, job);

	n->status = store_newest(store, n->from_ms, n->to_ms, n->news,
	    NEWEST_MAX, &n->reply, &n->err);
}

void
newest_init(struct newest *n, const struct child *child,
    const struct dbclock *clock, void (*done)(struct store_job *job))
{
	*n = (struct newest){
	    .child = child,
	    .clock = clock,
	    .asked_ms = INT64_MIN / 2,
	    .swept_ms = INT64_MIN / 2,
	    .said_ms = INT64_MIN / 2,
	    .job = {.run = newest_run, .done = done},
	};
}

static int64_t
interval_ms(const struct newest *n)
{
	return n->child->cfg->worker.new_event_interval_ms;
}

/* Nobody adds to a file from another host. */
static bool
is_our_turn(const struct newest *n)
{
	return interval_ms(n) > 0 && !n->child->draining &&
	       n->child->cfg->datastore.place.kind == SQL_MYSQL &&
	       shardboard_first_holder(n->child->sb) == n->child->slot;
}

static int64_t
rest_ms(const struct newest *n, int64_t mono_ms)
{
	if (mono_ms < n->pressed_ms)
		return (interval_ms(n) + 1) / 2;
	return interval_ms(n) * (mono_ms < n->hurried_ms ? 1 : IDLE_INTERVALS);
}

int64_t
newest_wait_ms(const struct newest *n, int64_t mono_ms)
{
	int64_t due_ms = n->asked_ms + rest_ms(n, mono_ms);

	if (!is_our_turn(n))
		return INT64_MAX;
	return due_ms > mono_ms ? due_ms - mono_ms : 0;
}

struct store_job *
newest_submit(struct newest *n, int64_t mono_ms)
{
	int64_t wall_ms = clock_event_ms(), offset_ms = n->clock->offset_ms;

	n->asked_ms = mono_ms;
	n->from_ms = wall_ms + (offset_ms < 0 ? offset_ms : 0) - OVERLAP_MS;
	n->to_ms = wall_ms + (offset_ms > 0 ? offset_ms : 0) + OVERLAP_MS;
	n->reply = (struct newest_reply){0};
	shardboard_note_looks(n->child->sb, n->looks);
	return &n->job;
}

/* What was due when it was found would have gone out earlier. */
static void
hurry(struct newest *n, bool is_late, int64_t mono_ms)
{
	int64_t until_ms = mono_ms + (is_late ? HURRIED_LATE_MS : HURRIED_MS);

	if (is_late)
		n->pressed_ms = mono_ms + PRESSED_MS;
	if (n->hurried_ms < until_ms)
		n->hurried_ms = until_ms;
}

static void
note_hidden(struct newest *n, int64_t mono_ms)
{
	const struct ring ring = {.what = RING_ALL};

	if (!n->reply.more || mono_ms - n->swept_ms < SWEEP_GAP_MS)
		return;
	n->swept_ms = mono_ms;
	shardboard_hear(n->child->sb, &ring);
}

static void
note_damaged(struct newest *n, int64_t mono_ms)
{
	if (n->reply.damaged == 0 || mono_ms - n->said_ms < SAY_GAP_MS)
		return;
	n->said_ms = mono_ms;
	log_warnx("event %lld is damaged: it is not looked for",
	    (long long)n->reply.damaged);
}

void
newest_done(struct newest *n, int64_t mono_ms)
{
	int64_t now_ms = dbclock_now_ms(n->clock, clock_event_ms());
	/* Before the others are asked: who tells of an event ends this then. */
	int64_t own_ms = shardboard_adding_since_ms(n->child->sb);

	check(n->status == STORE_OK && n->reply.n <= NEWEST_MAX);
	note_hidden(n, mono_ms);
	note_damaged(n, mono_ms);
	for (size_t i = 0; i < n->reply.n; i++) {
		const struct ring ring = {
		    .what = n->news[i].shard, .due_ms = n->news[i].due_ms};

		if (!shardboard_sleeps_over(
			n->child->sb, ring.what, ring.due_ms))
			continue;
		shardboard_hear(n->child->sb, &ring);
		/* Else it may be of a service here, which is about to tell, or
		 * claimed by now. */
		if (n->news[i].made_ms < own_ms &&
		    !shardboard_looked_since(n->child->sb, ring.what, n->looks))
			hurry(n, ring.due_ms <= now_ms, mono_ms);
	}
}
