/* SPDX-License-Identifier: ISC */
#include "worker/dbclock.h"

#include <stdlib.h>

#include <check.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* The wall clock is that far ahead of the monotonic one at the start, the
 * datastore's of our wall clock: it is behind. */
enum {
	MONO = 1000000,
	WALL = 500000,
	AHEAD = -300,
	LEASE = 30000,
	CALL = 13000,
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

	dbclock_init(&clock, LEASE, CALL, &now);
	return clock;
}

/* Asks and is answered in the same moment; the datastore's clock is stepped. */
static struct dbclock_news
measure(struct dbclock *clock, int64_t mono_ms, int64_t db_step_ms)
{
	struct clock_reading now = at(mono_ms, 0);

	(void)dbclock_ask(clock, &now);
	return dbclock_answered(
	    clock, &now, db_at(mono_ms) + db_step_ms, AHEAD + db_step_ms);
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

	(void)measure(&clock, 10, 0);
	ck_assert_int_eq(dbclock_now_ms(&clock, at(10, 0).wall_ms), db_at(10));
	ck_assert(dbclock_leapt(&clock, &now) == row->leapt);
	ck_assert(dbclock_check_step(&clock, &now) == row->seen);
	/* Once; and the datastore's time goes on. */
	ck_assert(!dbclock_check_step(&clock, &now));
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

	(void)dbclock_ask(&clock, &before);
	ck_assert(dbclock_check_step(&clock, &after));
	news = dbclock_answered(&clock, &after, db_at(15), AHEAD);
	ck_assert(news.spoilt && news.is_base && news.step_ms == 0);
	ck_assert(!dbclock_is_sure(&clock));
	ck_assert_int_eq(dbclock_now_ms(&clock, after.wall_ms),
	    after.wall_ms - HOUR); /* what was measured before, stepped */

	(void)dbclock_ask(&clock, &after);
	news = dbclock_answered(&clock, &after, db_at(20), AHEAD - HOUR);
	ck_assert(!news.spoilt && dbclock_is_sure(&clock));
	ck_assert_int_eq(dbclock_now_ms(&clock, after.wall_ms), db_at(20));
}
END_TEST

/* ---- what the datastore's clock shows ---- */

struct step_row {
	int64_t asked, answered, db; /* after a measurement at 0 */
	int64_t step;                /* 0: none; -1: not told again */
	bool is_base;
};

static const struct step_row step_rows[] = {
    {10000, 10000, 10000, 0, true},
    /* a slow answer is of any moment between */
    {10000, 19000, 10000, 0, true},
    {10000, 19000, 19000, 0, true},
    {10000, 10000, 11000, 0, true},
    {10000, 10000, 11001, 1001, false},
    {10000, 10000, 9000, 0, true},
    {10000, 10000, 8999, -1001, false},
    {10000, 10000, 10000 + HOUR, HOUR, false},
    {10000, 10000, 10000 - HOUR, -HOUR, false},
    {10000, 12000, 12000 + 2 * HOUR, 2 * HOUR, false},
};

START_TEST(test_step)
{
	const struct step_row *row = &step_rows[_i];
	struct dbclock clock = clock_at(0);
	struct clock_reading asked = at(row->asked, 0);
	struct clock_reading answered = at(row->answered, 0);
	struct dbclock_news news = measure(&clock, 0, 0);

	ck_assert(news.is_base && news.step_ms == 0 && !news.spoilt);
	(void)dbclock_ask(&clock, &asked);
	news = dbclock_answered(&clock, &answered, db_at(row->db), AHEAD);
	ck_assert(news.is_base == row->is_base);
	ck_assert_int_eq(news.step_ms, row->step);
}
END_TEST

/* A call that waited for a lock may have read the clock before: the next one
 * is not ahead by that. */
START_TEST(test_error_of_the_base)
{
	struct dbclock clock = clock_at(0);
	struct clock_reading asked = at(0, 0), answered = at(5000, 0);
	struct dbclock_news news;

	(void)dbclock_ask(&clock, &asked);
	(void)dbclock_answered(&clock, &answered, db_at(0), 0);
	news = measure(&clock, 6000, 0);
	ck_assert(news.is_base && news.step_ms == 0);
	news = measure(&clock, 7000, 1001);
	ck_assert(!news.is_base);
	ck_assert_int_eq(news.step_ms, 1001);
}
END_TEST

/* Told once, believed when every owner has had the time to renew. */
START_TEST(test_step_is_believed_after_a_lease)
{
	struct dbclock clock = clock_at(0);
	struct dbclock_news news;
	struct clock_reading now;

	(void)measure(&clock, 0, 0);
	news = measure(&clock, 10000, 2 * HOUR);
	ck_assert(!news.is_base);
	ck_assert_int_eq(news.step_ms, 2 * HOUR);
	for (int64_t ms = 20000; ms < 10000 + LEASE; ms += 10000) {
		now = at(ms, 0);
		/* By the time as it was: nobody's lease ends by the step. */
		ck_assert_int_le(dbclock_ask(&clock, &now), db_at(ms));
		news = dbclock_answered(
		    &clock, &now, db_at(ms) + 2 * HOUR, AHEAD + 2 * HOUR);
		ck_assert(!news.is_base && news.step_ms == 0);
	}
	news = measure(&clock, 10000 + LEASE, 2 * HOUR);
	ck_assert(news.is_base && news.step_ms == 0);
	/* Nobody's event is early by it. */
	ck_assert_int_eq(
	    dbclock_now_ms(&clock, at(0, 0).wall_ms), at(0, 0).wall_ms);
}
END_TEST

/* One that was stepped back and forth was measured wrongly, no more. */
START_TEST(test_step_that_is_taken_back)
{
	struct dbclock clock = clock_at(0);
	struct dbclock_news news;

	(void)measure(&clock, 0, 0);
	(void)measure(&clock, 10000, HOUR);
	news = measure(&clock, 11000, 0);
	ck_assert(news.is_base && news.step_ms == 0);
	news = measure(&clock, 11000 + LEASE / 3, HOUR);
	ck_assert_int_eq(news.step_ms, HOUR);
	ck_assert(!news.is_base);
}
END_TEST

/* ---- what others are judged by ---- */

struct judge_row {
	int64_t base;  /* of the last answer, or -1 for none */
	int64_t asked; /* calls since: the first that was not answered, */
	int64_t again; /* and this one */
	int64_t judged;
};

static const struct judge_row judge_rows[] = {
    {-1, 0, 10, -1},
    {0, 1, 1, 1},
    {0, LEASE / 2 - 1, LEASE / 2 - 1, LEASE / 2 - 1},
    /* an outage: as of its begin, */
    {0, LEASE / 2, LEASE / 2, 0},
    {0, LEASE / 2, HOUR, 0},
    {0, HOUR, HOUR, 0},
};

START_TEST(test_judged)
{
	const struct judge_row *row = &judge_rows[_i];
	struct dbclock clock = clock_at(0);
	struct clock_reading asked = at(row->asked, 0);
	struct clock_reading again = at(row->again, 0);

	if (row->base != -1)
		(void)measure(&clock, row->base, 0);
	(void)dbclock_ask(&clock, &asked);
	ck_assert_int_eq(dbclock_ask(&clock, &again),
	    row->judged == -1 ? 0 : db_at(row->judged));
}
END_TEST

/* ... until they are surely back. */
START_TEST(test_judged_after_an_outage)
{
	struct dbclock clock = clock_at(0);
	struct clock_reading last = at(HOUR + LEASE + CALL - 1, 0);
	struct clock_reading now = at(HOUR + LEASE + CALL, 0);

	(void)measure(&clock, 0, 0);
	for (int64_t ms = HOUR; ms < last.mono_ms - MONO; ms += LEASE / 3) {
		(void)measure(&clock, ms, 0);
		ck_assert_int_eq(clock.lapsed_ms, db_at(0));
	}
	ck_assert_int_eq(dbclock_ask(&clock, &last), db_at(0));
	ck_assert_int_eq(dbclock_ask(&clock, &now), db_at(now.mono_ms - MONO));
}
END_TEST

/* Who comes into an outage goes by what the others of the host know. */
START_TEST(test_inherited)
{
	struct dbclock clock = clock_at(HOUR);
	struct clock_reading now = at(HOUR, 0);

	ck_assert(!dbclock_is_known(&clock));
	dbclock_inherit(&clock, db_at(100), MONO + 100);
	ck_assert(dbclock_is_known(&clock));
	ck_assert_int_eq(dbclock_ask(&clock, &now), db_at(100));
}
END_TEST

/* Whoever knows nothing of the time before takes nobody's lease by time, until
 * all are surely back. */
START_TEST(test_started_in_an_outage)
{
	struct dbclock clock = clock_at(0);
	struct clock_reading now = at(0, 0);

	ck_assert_int_eq(dbclock_ask(&clock, &now), 0);
	dbclock_failed(&clock);
	now = at(1000, 0);
	ck_assert_int_eq(dbclock_ask(&clock, &now), 1);
	dbclock_failed(&clock);
	now = at(2000, 0);
	ck_assert_int_eq(dbclock_ask(&clock, &now), 1);
	(void)dbclock_answered(&clock, &now, db_at(2000), AHEAD);
	for (int64_t ms = 3000; ms < 2000 + LEASE + CALL; ms += 10000) {
		now = at(ms, 0);
		ck_assert_int_eq(dbclock_ask(&clock, &now), 1);
		(void)dbclock_answered(&clock, &now, db_at(ms), AHEAD);
	}
	now = at(2000 + LEASE + CALL, 0);
	ck_assert_int_gt(dbclock_ask(&clock, &now), db_at(2000));
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
	struct clock_reading now = at(0, 0);

	(void)dbclock_ask(&clock, &now);
	ck_assert(
	    dbclock_answered(&clock, &now, db_at(0), row->offset).is_skewed ==
	    row->told);
	ck_assert(
	    dbclock_answered(&clock, &now, db_at(0), row->again).is_skewed ==
	    row->told_again);
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
	SRunner *sr;
	int failures;

	tcase_add_loop_test(tc, test_own_step, 0, COUNT(own_rows));
	tcase_add_test(tc, test_leap_during_the_call);
	tcase_add_loop_test(tc, test_step, 0, COUNT(step_rows));
	tcase_add_test(tc, test_error_of_the_base);
	tcase_add_test(tc, test_step_is_believed_after_a_lease);
	tcase_add_test(tc, test_step_that_is_taken_back);
	tcase_add_loop_test(tc, test_judged, 0, COUNT(judge_rows));
	tcase_add_test(tc, test_judged_after_an_outage);
	tcase_add_test(tc, test_inherited);
	tcase_add_test(tc, test_started_in_an_outage);
	tcase_add_loop_test(tc, test_skew, 0, COUNT(skew_rows));
	tcase_add_test(tc, test_reading_of_one_moment);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
