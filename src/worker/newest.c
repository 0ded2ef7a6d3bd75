/* SPDX-License-Identifier: ISC */
#include "worker/newest.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"
#include "board/shardboard.h"

enum {
	OVERLAP_MS = 2000, /* twice what clocks may differ unlogged */
	MARKS_MS = 400,
	TOLD_MS = 2000, /* of a change */
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

	n->status =
	    store_newest(store, &n->request, n->news, &n->reply, &n->err);
}

void
newest_init(struct newest *n, const struct child *child,
    const struct dbclock *clock, void (*done)(struct store_job *job))
{
	*n = (struct newest){
	    .child = child,
	    .clock = clock,
	    .asked_ms = INT64_MIN / 2,
	    .marked_ms = INT64_MIN / 2,
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

/* Nobody writes to a file from another host. */
static bool
is_our_turn(const struct newest *n)
{
	return !n->child->draining &&
	       n->child->cfg->datastore.place.kind == SQL_MYSQL &&
	       shardboard_first_holder(n->child->sb) == n->child->slot;
}

static int64_t
rest_ms(const struct newest *n, int64_t mono_ms)
{
	if (interval_ms(n) == 0)
		return INT64_MAX;
	if (mono_ms < n->pressed_ms)
		return (interval_ms(n) + 1) / 2;
	return interval_ms(n) * (mono_ms < n->hurried_ms ? 1 : IDLE_INTERVALS);
}

static int64_t
events_in_ms(const struct newest *n, int64_t mono_ms)
{
	int64_t rest = rest_ms(n, mono_ms);

	return rest == INT64_MAX ? rest : n->asked_ms + rest - mono_ms;
}

static int64_t
marks_in_ms(const struct newest *n, int64_t mono_ms)
{
	return n->marked_ms + MARKS_MS - mono_ms;
}

int64_t
newest_wait_ms(const struct newest *n, int64_t mono_ms)
{
	int64_t wait_ms = clock_sooner_ms(
	    events_in_ms(n, mono_ms), marks_in_ms(n, mono_ms));

	if (!is_our_turn(n))
		return INT64_MAX;
	return wait_ms > 0 ? wait_ms : 0;
}

/* Either takes along what would be due soon. */
static struct newest_request
plan_request(const struct newest *n, int64_t mono_ms)
{
	int64_t wall_ms = clock_event_ms(), offset_ms = n->clock->offset_ms;
	struct newest_request request = {
	    .from_ms = wall_ms + (offset_ms < 0 ? offset_ms : 0) - OVERLAP_MS,
	    .to_ms = wall_ms + (offset_ms > 0 ? offset_ms : 0) + OVERLAP_MS,
	    .max = NEWEST_MAX,
	    .marks = marks_in_ms(n, mono_ms) <= rest_ms(n, mono_ms) / 2,
	};

	if (events_in_ms(n, mono_ms) > MARKS_MS / 4)
		request.to_ms = request.from_ms;
	return request;
}

struct store_job *
newest_submit(struct newest *n, int64_t mono_ms)
{
	n->request = plan_request(n, mono_ms);
	if (n->request.to_ms > n->request.from_ms)
		n->asked_ms = mono_ms;
	if (n->request.marks)
		n->marked_ms = mono_ms;
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

/* What was so before our first look is not known: it may be a change. */
static void
note_marks(struct newest *n, int64_t mono_ms)
{
	const struct store_marks *marks = &n->reply.marks;

	if (!n->request.marks)
		return;
	if (!n->known || marks->pauses != n->marks.pauses)
		n->pauses_ms = mono_ms + TOLD_MS;
	if (!n->known || marks->jobs != n->marks.jobs)
		n->jobs_ms = marks->jobs == 0 ? 0 : mono_ms + TOLD_MS;
	n->marks = *marks;
	n->known = true;
}

/* Whether of pauses. Who has the first shard looks for jobs. */
static bool
tell_of_changes(const struct newest *n, int64_t mono_ms)
{
	const struct ring jobs = {.what = 0}, pauses = {.what = RING_PAUSES};

	if (n->request.marks && mono_ms < n->jobs_ms)
		shardboard_hear(n->child->sb, &jobs);
	if (!n->request.marks || mono_ms >= n->pauses_ms)
		return false;
	shardboard_hear(n->child->sb, &pauses);
	return true;
}

bool
newest_done(struct newest *n, int64_t mono_ms)
{
	int64_t now_ms = dbclock_now_ms(n->clock, clock_event_ms());
	/* Before the others are asked: who tells of an event ends this then. */
	int64_t own_ms = shardboard_adding_since_ms(n->child->sb);

	check(n->status == STORE_OK && n->reply.n <= NEWEST_MAX);
	note_hidden(n, mono_ms);
	note_damaged(n, mono_ms);
	note_marks(n, mono_ms);
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
	return tell_of_changes(n, mono_ms);
}
