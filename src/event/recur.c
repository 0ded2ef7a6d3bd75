/* SPDX-License-Identifier: ISC */
#include "event/recur.h"

/* The year 10000. */
#define TIMES_END_S INT64_C(253402300800)

/* What is later was missed. */
enum { LATE_MAX_S = 60 };

static bool
next_of_every(const struct recurring *at, int64_t after_s, int64_t *next_s)
{
	const struct recur *r = at->recur;
	int64_t first_s =
	    r->start_s != 0 ? r->start_s : at->since_s + r->every_s;

	*next_s = first_s;
	if (after_s >= first_s)
		*next_s += ((after_s - first_s) / r->every_s + 1) * r->every_s;
	return true;
}

static bool
next_of_cron(const struct recurring *at, int64_t after_s, int64_t *next_s)
{
	const struct recur *r = at->recur;
	int64_t before_s = r->start_s != 0 ? r->start_s - 1 : at->since_s;

	return cron_next(&r->cron, at->tz, r->gap,
	    after_s > before_s ? after_s : before_s, next_s);
}

bool
recur_next(const struct recurring *at, int64_t after_s, int64_t *next_s)
{
	const struct recur *r = at->recur;
	int64_t end_s = r->end_s != 0 ? r->end_s : TIMES_END_S - 1;

	if (after_s >= end_s)
		return false;
	return (r->every_s != 0 ? next_of_every(at, after_s, next_s)
				: next_of_cron(at, after_s, next_s)) &&
	       *next_s <= end_s;
}

/* There may be millions between the two: halves. */
int64_t
recur_last(const struct recurring *at, int64_t from_s, int64_t until_s)
{
	int64_t next_s;

	while (from_s < until_s) {
		int64_t middle_s = from_s + (until_s - from_s) / 2;

		if (recur_next(at, middle_s, &next_s) && next_s <= until_s)
			from_s = next_s;
		else
			until_s = middle_s;
	}
	return from_s;
}

bool
recur_wanted(
    const struct recurring *at, int64_t run_s, int64_t now_s, int64_t *wanted_s)
{
	const struct recur *r = at->recur;
	int64_t window_s = r->catch_up == RECUR_NONE ? LATE_MAX_S : r->window_s;
	int64_t last_s;

	*wanted_s = run_s;
	if (now_s <= run_s)
		return true;
	last_s =
	    r->catch_up == RECUR_ALL ? run_s : recur_last(at, run_s, now_s);
	*wanted_s = last_s;
	if (window_s == 0 || now_s - last_s <= window_s)
		return true;
	return recur_next(at,
	    r->catch_up == RECUR_ALL ? now_s - window_s - 1 : now_s, wanted_s);
}

bool
recur_is_missed(const struct recurring *at, int64_t run_s, int64_t now_s)
{
	int64_t next_s;

	return now_s - run_s > LATE_MAX_S ||
	       (recur_next(at, run_s, &next_s) && next_s <= now_s);
}

size_t
recur_times(
    const struct recurring *at, int64_t after_s, int64_t *times_s, size_t max)
{
	size_t n;

	for (n = 0; n < max && recur_next(at, after_s, &times_s[n]); n++)
		after_s = times_s[n];
	return n;
}

/* The last step of splitmix64, which spreads neighbours. */
static uint64_t
scatter(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

int64_t
recur_jitter_ms(const struct recur *recur, uint64_t seed, int64_t run_s)
{
	return (int64_t)(scatter(seed + scatter((uint64_t)run_s)) %
			 ((uint64_t)recur->jitter_ms + 1));
}
