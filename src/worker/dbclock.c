/* SPDX-License-Identifier: ISC */
#include "worker/dbclock.h"

#include <stdlib.h>

enum {
	SKEW_MS = 1000, /* worth a line in the log; a step */
	/* Less is the measurement's error: applied, it would make the events of
	 * a datastore on our own host early. */
	NOISE_MS = 20,
	STEP_MS = 50, /* of ours: more than two readings are apart */
};

void
dbclock_init(struct dbclock *c, int64_t lease_ms, int64_t call_ms,
    const struct clock_reading *now)
{
	*c = (struct dbclock){
	    .lease_ms = lease_ms,
	    .call_ms = call_ms,
	    .wall_offset_ms = now->wall_ms - now->mono_ms,
	};
}

int64_t
dbclock_now_ms(const struct dbclock *c, int64_t wall_ms)
{
	return c->offset_ms < 0 ? wall_ms + c->offset_ms : wall_ms;
}

/* ---- steps of our wall clock ---- */

static int64_t
unseen_step_ms(const struct dbclock *c, const struct clock_reading *now)
{
	return now->wall_ms - now->mono_ms - c->wall_offset_ms;
}

bool
dbclock_check_step(struct dbclock *c, const struct clock_reading *now)
{
	int64_t step_ms = unseen_step_ms(c, now);

	if (llabs(step_ms) < STEP_MS)
		return false;
	if (step_ms > 0)
		c->n_leaps++;
	c->wall_offset_ms += step_ms;
	c->offset_ms -= step_ms;
	return true;
}

bool
dbclock_leapt(const struct dbclock *c, const struct clock_reading *now)
{
	return unseen_step_ms(c, now) >= STEP_MS;
}

bool
dbclock_is_sure(const struct dbclock *c)
{
	return c->n_leaps == c->n_leaps_answered;
}

/* ---- lease calls ---- */

bool
dbclock_is_known(const struct dbclock *c)
{
	return c->base_ms != 0;
}

void
dbclock_inherit(struct dbclock *c, int64_t db_ms, int64_t mono_ms)
{
	c->base_ms = db_ms;
	c->base_mono_ms = mono_ms;
}

/* At that time, unless it was stepped; 0 for unknown. */
static int64_t
expected_ms(const struct dbclock *c, int64_t mono_ms)
{
	return c->base_ms == 0 ? 0 : c->base_ms + (mono_ms - c->base_mono_ms);
}

/* Until the others are surely back theirs are judged by the time then_ms. */
static void
judge_as_of(struct dbclock *c, int64_t then_ms, int64_t mono_ms)
{
	c->lapsed_ms = then_ms;
	c->lapsed_until_mono_ms = mono_ms + c->lease_ms + c->call_ms;
}

int64_t
dbclock_ask(struct dbclock *c, const struct clock_reading *now)
{
	int64_t mono_ms = now->mono_ms;

	c->asked = *now;
	c->n_leaps_asked = c->n_leaps;
	/*
	 * When we could not renew ours in time, others could not either, and
	 * may have results to write. At the time of our last call they had two
	 * thirds of a lease left, so half of it is when to begin with that. Who
	 * was started in an outage does not know when that began.
	 */
	if (c->base_ms == 0 && c->missed)
		judge_as_of(c, 1, mono_ms);
	else if (c->base_ms != 0 &&
		 mono_ms - c->base_mono_ms >= c->lease_ms / 2)
		judge_as_of(c, c->base_ms, mono_ms);
	return mono_ms < c->lapsed_until_mono_ms ? c->lapsed_ms
						 : expected_ms(c, mono_ms);
}

void
dbclock_failed(struct dbclock *c)
{
	c->missed = true;
}

/* Whether db_ms is to be believed; until a lease is over a step is not. */
static bool
note_step(struct dbclock *c, int64_t mono_ms, int64_t db_ms, int64_t *step_ms)
{
	int64_t least_ms = expected_ms(c, c->asked.mono_ms) - SKEW_MS;
	int64_t most_ms = expected_ms(c, mono_ms) + c->base_error_ms + SKEW_MS;

	if (c->base_ms == 0 || (db_ms >= least_ms && db_ms <= most_ms))
		return true;
	if (c->stepped_mono_ms == 0) {
		*step_ms = db_ms - expected_ms(c, mono_ms);
		c->stepped_mono_ms = mono_ms;
	}
	return mono_ms - c->stepped_mono_ms >= c->lease_ms;
}

static bool
is_worth_a_line(struct dbclock *c)
{
	if (llabs(c->offset_ms) <= SKEW_MS) {
		c->told_skew_ms = 0;
		return false;
	}
	if (llabs(c->offset_ms - c->told_skew_ms) <= SKEW_MS)
		return false;
	c->told_skew_ms = c->offset_ms;
	return true;
}

struct dbclock_news
dbclock_answered(struct dbclock *c, const struct clock_reading *now,
    int64_t db_ms, int64_t offset_ms)
{
	struct dbclock_news news = {0};
	int64_t wall_offset_ms = now->wall_ms - now->mono_ms;

	c->n_leaps_answered = c->n_leaps_asked;
	news.is_base = note_step(c, now->mono_ms, db_ms, &news.step_ms);
	if (news.is_base) {
		c->stepped_mono_ms = 0;
		c->base_ms = db_ms;
		c->base_mono_ms = now->mono_ms;
		/* A call that waited for a lock may have asked before. */
		c->base_error_ms = now->mono_ms - c->asked.mono_ms;
	}
	/* A step during the call has spoilt what that measured. */
	news.spoilt = llabs(wall_offset_ms -
			    (c->asked.wall_ms - c->asked.mono_ms)) >= STEP_MS;
	if (news.spoilt)
		return news;
	c->wall_offset_ms = wall_offset_ms;
	c->offset_ms = llabs(offset_ms) < NOISE_MS ? 0 : offset_ms;
	news.is_skewed = is_worth_a_line(c);
	return news;
}
