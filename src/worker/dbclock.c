/* SPDX-License-Identifier: ISC */
#include "worker/dbclock.h"

#include <stdlib.h>

enum {
	SKEW_MS = 1000, /* worth a line in the log */
	/* Less is the measurement's error: applied, it would make the events of
	 * a datastore on our own host early. */
	NOISE_MS = 20,
	STEP_MS = 50, /* of ours: more than two readings are apart */
};

void
dbclock_init(struct dbclock *c, const struct clock_reading *now)
{
	*c = (struct dbclock){.wall_offset_ms = now->wall_ms - now->mono_ms};
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

int64_t
dbclock_check_step(struct dbclock *c, const struct clock_reading *now)
{
	int64_t step_ms = unseen_step_ms(c, now);

	if (llabs(step_ms) < STEP_MS)
		return 0;
	if (step_ms > 0)
		c->n_leaps++;
	c->wall_offset_ms += step_ms;
	c->offset_ms -= step_ms;
	return step_ms;
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

void
dbclock_asked(struct dbclock *c, const struct clock_reading *now)
{
	c->asked = *now;
	c->n_leaps_asked = c->n_leaps;
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
dbclock_answered(
    struct dbclock *c, const struct clock_reading *now, int64_t offset_ms)
{
	struct dbclock_news news = {0};
	int64_t wall_offset_ms = now->wall_ms - now->mono_ms;

	c->n_leaps_answered = c->n_leaps_asked;
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
