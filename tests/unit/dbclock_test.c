/* SPDX-License-Identifier: ISC */
#include "worker/dbclock.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* The wall clock is that far ahead of the monotonic one at the start, the
 * datastore's of our wall clock: it is behind. */
enum {
	MONO = 1000000,
	WALL = 500000,
	AHEAD = -300,
	HOUR = 3600000,
};

static struct clock_reading
at(int64_t mono_ms, int64_t step_ms)
{
	return (struct clock_reading){
	    MONO + mono_ms, MONO + WALL + mono_ms + step_ms};
}

static int64_t
db_at(int64_t mono_ms)
{
	return MONO + WALL + AHEAD + mono_ms;
}

static struct dbclock
clock_at(int64_t mono_ms)
{
	struct clock_reading now = at(mono_ms, 0);
	struct dbclock clock;

	dbclock_init(&clock, &now);
	return clock;
}

/* Asks and is answered in the same moment. */
static struct dbclock_news
measure(struct dbclock *clock, int64_t mono_ms, int64_t offset_ms)
{
	struct clock_reading now = at(mono_ms, 0);

	dbclock_asked(clock, &now);
	return dbclock_answered(clock, &now, offset_ms);
}

/* ---- steps of our clock ---- */

struct own_row {
	int64_t step_ms;
	bool seen, leapt;
};

static const struct own_row own_rows[] = {
    {0, false, false},
    {49, false, false},
    {-49, false, false},
    {50, true, true},
    {-50, true, false},
    {HOUR, true, true},
    {-HOUR, true, false},
};

START_TEST(test_own_step)
{
	const struct own_row *row = &own_rows[_i];
	struct dbclock clock = clock_at(0);
	struct clock_reading now = at(20, row->step_ms);
	int64_t seen_ms = row->seen ? row->step_ms : 0;
	int64_t now_ms;

	(void)measure(&clock, 10, AHEAD);
	ck_assert_int_eq(dbclock_now_ms(&clock, at(10, 0).wall_ms), db_at(10));
	ck_assert(dbclock_leapt(&clock, &now) == row->leapt);
	ck_assert_int_eq(dbclock_check_step(&clock, &now), seen_ms);
	/* Once; and the datastore's time goes on. */
	ck_assert_int_eq(dbclock_check_step(&clock, &now), 0);
	ck_assert(!dbclock_leapt(&clock, &now));
	now_ms = db_at(20) + row->step_ms - seen_ms;
	ck_assert_int_eq(dbclock_now_ms(&clock, now.wall_ms),
	    now_ms < now.wall_ms ? now_ms : now.wall_ms);
	/* Only a step forward may have been a pause of the machine. */
	ck_assert(dbclock_is_sure(&clock) == !row->leapt);
}
END_TEST

/* What was asked before the leap knows nothing of it. */
START_TEST(test_leap_during_the_call)
{
	struct dbclock clock = clock_at(0);
	struct clock_reading before = at(10, 0), after = at(20, HOUR);
	struct dbclock_news news;

	dbclock_asked(&clock, &before);
	ck_assert_int_eq(dbclock_check_step(&clock, &after), HOUR);
	news = dbclock_answered(&clock, &after, AHEAD);
	ck_assert(news.spoilt);
	ck_assert(!dbclock_is_sure(&clock));
	ck_assert_int_eq(dbclock_now_ms(&clock, after.wall_ms),
	    after.wall_ms - HOUR); /* what was measured before, stepped */

	dbclock_asked(&clock, &after);
	news = dbclock_answered(&clock, &after, AHEAD - HOUR);
	ck_assert(!news.spoilt && dbclock_is_sure(&clock));
	ck_assert_int_eq(dbclock_now_ms(&clock, after.wall_ms), db_at(20));
}
END_TEST

/* ---- the offset ---- */

struct skew_row {
	int64_t offset, again; /* of two measurements */
	int64_t applied;       /* both clocks have come to it */
	bool told, told_again;
};

static const struct skew_row skew_rows[] = {
    {0, 0, 0, false, false},
    {19, -19, 0, false, false},
    {20, -20, -20, false, false},
    {20, 20, 0, false, false},
    {1000, 1000, 0, false, false},
    {1001, 1001, 0, true, false},
    {1001, 2001, 0, true, false},
    {1001, 2002, 0, true, true},
    {-1001, 1001, 0, true, true},
    {1001, -1001, -1001, true, true},
    {-1001, -1001, -1001, true, false},
    {-1001, -2001, -2001, true, false},
    {1001, 0, 0, true, false},
    {-40000, 0, 0, true, false},
};

START_TEST(test_skew)
{
	const struct skew_row *row = &skew_rows[_i];
	struct dbclock clock = clock_at(0);

	ck_assert(measure(&clock, 0, row->offset).is_skewed == row->told);
	ck_assert(measure(&clock, 0, row->again).is_skewed == row->told_again);
	ck_assert_int_eq(dbclock_now_ms(&clock, 0), row->applied);
}
END_TEST

/* ---- the readings themselves ---- */

static int64_t mono_ms;
static int pauses;

/* Whoever reads loses the processor for a second, so many times. */
static int64_t
slow_mono(void)
{
	if (pauses > 0) {
		pauses--;
		mono_ms += 1000;
	}
	return mono_ms;
}

static int64_t
fixed_wall(void)
{
	return mono_ms + WALL;
}

START_TEST(test_reading_of_one_moment)
{
	struct clock_reading now;

	clock_mono_replace(slow_mono);
	clock_wall_replace(fixed_wall);
	mono_ms = MONO;
	pauses = 5;
	now = clock_read();
	clock_mono_replace(NULL);
	clock_wall_replace(NULL);
	ck_assert_int_eq(now.wall_ms - now.mono_ms, WALL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dbclock");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, test_own_step, 0, COUNT(own_rows));
	tcase_add_test(tc, test_leap_during_the_call);
	tcase_add_loop_test(tc, test_skew, 0, COUNT(skew_rows));
	tcase_add_test(tc, test_reading_of_one_moment);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
