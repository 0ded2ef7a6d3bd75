/* SPDX-License-Identifier: ISC */
#include "worker/jobs.h"

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "base/clock.h"
#include "suite.h"

enum { MONO = 5000, DAY = 86400000, NOW = 2 * DAY };

static struct jobs jobs;

static void
no_end(struct store_job *job)
{
	(void)job;
}

static void
setup(void)
{
	jobs_init(&jobs, DAY, MONO, no_end);
}

static struct job_id
id_of(int n)
{
	struct job_id id;

	(void)snprintf(id.text, sizeof(id.text), "job-%d", n);
	return id;
}

/* Until a look or a step. */
static int64_t
wait_ms(int64_t mono_ms)
{
	return clock_sooner_ms(jobs_wait_ms(&jobs, 1, mono_ms),
	    jobs_step_wait_ms(&jobs, mono_ms));
}

/* The next call is a look, which finds jobs from up to before to. */
static void
look(int64_t mono_ms, int from, int to)
{
	ck_assert_ptr_eq(jobs_submit(&jobs, mono_ms, NOW), &jobs.job);
	ck_assert_int_eq(wait_ms(mono_ms + DAY), INT64_MAX);
	jobs.status = STORE_OK;
	jobs.n_found = 0;
	for (int n = from; n < to; n++)
		jobs.found[jobs.n_found++] = id_of(n);
	ck_assert_uint_eq(jobs_done(&jobs, mono_ms), 0);
}

/* The next call is a step of that job, of at most so many events. */
static void
begin_step(int64_t mono_ms, int n, size_t max)
{
	ck_assert_ptr_eq(jobs_submit_step(&jobs, mono_ms, NOW), &jobs.job);
	/* Not both at once. */
	ck_assert_int_eq(wait_ms(mono_ms + DAY), INT64_MAX);
	ck_assert_int_eq(jobs_wait_ms(&jobs, 0, mono_ms), INT64_MAX);
	ck_assert_str_eq(jobs.step.id.text, id_of(n).text);
	ck_assert_uint_eq(jobs.step.max, max);
	ck_assert_int_eq(jobs.step.now_ms, NOW);
	jobs.status = STORE_OK;
}

static void
end_step(int64_t mono_ms, bool counted, unsigned rate, size_t n_listed)
{
	jobs.step.counted = counted;
	jobs.step.look_took_ms = counted ? mono_ms - jobs.begun_ms : 0;
	jobs.step.job.spec.rate = rate;
	jobs.step.n_listed = n_listed;
	(void)jobs_done(&jobs, mono_ms);
}

START_TEST(test_whose)
{
	ck_assert_int_eq(wait_ms(MONO), 0);
	ck_assert_int_eq(jobs_wait_ms(&jobs, UINT64_MAX, MONO), 0);
	ck_assert_int_eq(jobs_wait_ms(&jobs, 0, MONO), INT64_MAX);
	ck_assert_int_eq(jobs_wait_ms(&jobs, 2, MONO), INT64_MAX);
	look(MONO, 0, 2);
	ck_assert_int_eq(wait_ms(MONO), 0);
	/* Another's now; when it is ours again we know of none. */
	ck_assert_int_eq(jobs_wait_ms(&jobs, 2, MONO + 10), INT64_MAX);
	ck_assert_int_eq(wait_ms(MONO + 10), 0);
	look(MONO + 10, 0, 0);
	ck_assert_int_eq(wait_ms(MONO + 10), 10000);
}
END_TEST

/* Soon, and not too often. */
START_TEST(test_hurry)
{
	jobs_hurry(&jobs);
	ck_assert_int_eq(wait_ms(MONO), 0);
	look(MONO, 0, 0);
	jobs_hurry(&jobs);
	ck_assert_int_eq(wait_ms(MONO), 500);
	jobs_hurry(&jobs);
	ck_assert_int_eq(wait_ms(MONO + 400), 100);
	ck_assert_int_eq(wait_ms(MONO + 600), 0);
	look(MONO + 600, 0, 0);
	ck_assert_int_eq(wait_ms(MONO + 5600), 5000);
	jobs_hurry(&jobs);
	ck_assert_int_eq(wait_ms(MONO + 5600), 0);
}
END_TEST

/* A look goes before the steps. */
START_TEST(test_look_first)
{
	look(MONO, 0, 1);
	begin_step(MONO, 0, 1);
	end_step(MONO + 10, true, 100, 20);
	ck_assert_int_eq(wait_ms(MONO + 10), 3);
	jobs_hurry(&jobs);
	look(MONO + 500, 0, 2);
	begin_step(MONO + 500, 0, 8);
}
END_TEST

START_TEST(test_in_turn)
{
	look(MONO, 0, 2);
	begin_step(MONO, 0, 1);
	end_step(MONO + 4, true, 100, 20);
	/* It has rested, on the thread of all: for a moment, no other either. */
	ck_assert_int_eq(wait_ms(MONO + 4), 3);
	begin_step(MONO + 80, 1, 1);
	end_step(MONO + 82, true, 8, 20);
	ck_assert_int_eq(wait_ms(MONO + 82), 3);
	jobs.rested_ms = jobs.list[0].due_ms = jobs.list[1].due_ms = MONO + 8;
	begin_step(MONO + 8, 0, 8);
	/* Three times as long: 31 ms would be enough for three of 100. */
	end_step(MONO + 16, false, 100, 3);
	ck_assert_int_eq(wait_ms(MONO + 16), 24);
	begin_step(MONO + 40, 1, 2);
	/* Two of eight in a second: at the time of the other one, but for a
	 * rest. */
	end_step(MONO + 40, false, 8, 2);
	ck_assert_int_eq(wait_ms(MONO + 40), 3);
	begin_step(MONO + 40, 0, 8);
	jobs.list[1].due_ms = MONO + 112;
	end_step(MONO + 40, false, 100, 8);
	ck_assert_int_eq(wait_ms(MONO + 40), 72);
	jobs.list[1].due_ms = MONO + 140;
	ck_assert_int_eq(wait_ms(MONO + 40), 80);
	/* A rate is never exceeded: 11.1 ms. */
	jobs.list[0].due_ms = MONO + 40;
	begin_step(MONO + 40, 0, 9);
	end_step(MONO + 40, false, 900, 10);
	ck_assert_int_eq(wait_ms(MONO + 40), 12);
	jobs.list[0].rate = 100;
	jobs.list[1].due_ms = MONO + 112;
	jobs.list[0].due_ms = MONO + 96;
	begin_step(MONO + 96, 0, 9);
	jobs.step.ended = true;
	end_step(MONO + 96, false, 100, 3);
	ck_assert_int_eq(wait_ms(MONO + 96), 16);
	begin_step(MONO + 112, 1, 2);
	jobs.step.idle = true;
	end_step(MONO + 112, false, 0, 0);
	ck_assert_int_eq(wait_ms(MONO + 112), 9888);
}
END_TEST

/* One that is known goes on as it was; one that is not found goes. */
START_TEST(test_look_again)
{
	look(MONO, 0, 2);
	begin_step(MONO, 0, 1);
	end_step(MONO, false, 1, 1);
	jobs_hurry(&jobs);
	look(MONO + 500, 0, 3);
	ck_assert_uint_eq(jobs.n, 3);
	begin_step(MONO + 500, 1, 1);
	end_step(MONO + 500, false, 1, 1);
	jobs_hurry(&jobs);
	look(MONO + 1000, 2, 3);
	ck_assert_uint_eq(jobs.n, 1);
	begin_step(MONO + 1000, 2, 1);
}
END_TEST

/* A step that takes long is followed by one of half its size. */
START_TEST(test_size)
{
	int64_t mono_ms = MONO;

	look(mono_ms, 0, 1);
	begin_step(mono_ms, 0, 1);
	end_step(mono_ms, true, 1000, 1);
	begin_step(mono_ms, 0, 8);
	end_step(mono_ms, false, 1000, 8);
	for (size_t n = 9; n < JOB_STEP_MAX; n++) {
		mono_ms += 50;
		begin_step(mono_ms, 0, n);
		ck_assert_uint_eq(jobs.step.n_look, 2 * (n - 1));
		end_step(mono_ms, false, 1000, n);
	}
	mono_ms += 50;
	begin_step(mono_ms, 0, JOB_STEP_MAX);
	end_step(mono_ms, false, 1000, JOB_STEP_MAX);
	begin_step(mono_ms + 50, 0, JOB_STEP_MAX);
	end_step(mono_ms + 71, false, 1000, JOB_STEP_MAX - 1);
	ck_assert_int_eq(wait_ms(mono_ms + 71), 63);
	begin_step(mono_ms + 134, 0, 29);
	ck_assert_uint_eq(jobs.step.n_look, 512);
}
END_TEST

/* A look has its rests within: only what comes after it is followed by one, and
 * makes the next step smaller. */
START_TEST(test_look_has_rested)
{
	look(MONO, 0, 1);
	begin_step(MONO, 0, 1);
	end_step(MONO, true, 1000, 1);
	begin_step(MONO + 3, 0, 8);
	jobs.step.look_took_ms = 390;
	jobs.step.n_listed = 8;
	(void)jobs_done(&jobs, MONO + 403);
	ck_assert_int_eq(wait_ms(MONO + 403), 30);
	begin_step(MONO + 433, 0, 9);
}
END_TEST

/* Ten at a time load the datastore as one does. */
START_TEST(test_rest_is_shared)
{
	int64_t mono_ms = MONO, busy_ms = 0;
	int n_steps[10] = {0};

	look(mono_ms, 0, 10);
	for (int i = 0; i < 100; i++) {
		(void)jobs_submit_step(&jobs, mono_ms, NOW);
		n_steps[jobs.at]++;
		jobs.status = STORE_OK;
		mono_ms += 4;
		busy_ms += 4;
		end_step(mono_ms, false, 1000, 7);
		mono_ms += wait_ms(mono_ms);
		jobs.look_ms = mono_ms + 1000; /* there was a look */
	}
	ck_assert_int_eq(4 * busy_ms, mono_ms - MONO);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(n_steps[i], 10);
}
END_TEST

/* As that of a process that was stopped. */
START_TEST(test_rest_is_bounded)
{
	int64_t mono_ms = MONO + 3600000;

	look(MONO, 0, 1);
	(void)jobs_submit_step(&jobs, MONO, NOW);
	jobs.status = STORE_OK;
	end_step(mono_ms, false, 1000, 1);
	ck_assert_int_eq(jobs_step_wait_ms(&jobs, mono_ms), 60000);
}
END_TEST

/* A count keeps what it has come to for a second, and then writes it. */
START_TEST(test_count_is_kept)
{
	look(MONO, 0, 1);
	begin_step(MONO, 0, 1);
	ck_assert(jobs.step.writes && !jobs.step.tally.held);
	end_step(MONO, true, 1000, 1);
	begin_step(MONO + 999, 0, 8);
	ck_assert(!jobs.step.writes);
	jobs.step.tally.held = true;
	jobs.step.tally.matched = 7;
	end_step(MONO + 999, true, 1000, 1);
	begin_step(MONO + 1019, 0, 8);
	ck_assert(jobs.step.writes && jobs.step.tally.held);
	ck_assert_int_eq(jobs.step.tally.matched, 7);
	jobs.step.tally.held = false;
	end_step(MONO + 1019, true, 1000, 1);
	begin_step(MONO + 2021, 0, 8);
	ck_assert(!jobs.step.writes && !jobs.step.tally.held);
}
END_TEST

/* It has rested within its step; where that took long, it has its second all
 * the same. */
START_TEST(test_count_is_slow)
{
	look(MONO, 0, 1);
	begin_step(MONO, 0, 1);
	end_step(MONO + 100, true, 1000, 1);
	ck_assert_int_eq(wait_ms(MONO + 100), 3);
	begin_step(MONO + 103, 0, 8);
	ck_assert(!jobs.step.writes);
	jobs.step.tally.held = true;
	end_step(MONO + 401, true, 1000, 1);
	begin_step(MONO + 1400, 0, 8);
	ck_assert(jobs.step.writes);
}
END_TEST

START_TEST(test_forgets)
{
	look(MONO, 0, 0);
	ck_assert_int_eq(jobs.forget_before_ms, 0);
	look(MONO + 60000, 0, 0);
	ck_assert_int_eq(jobs.forget_before_ms, NOW - DAY);
	jobs_hurry(&jobs);
	look(MONO + 60500, 0, 0);
	ck_assert_int_eq(jobs.forget_before_ms, 0);
	jobs_init(&jobs, 0, MONO, no_end);
	look(MONO + 60000, 0, 0);
	ck_assert_int_eq(jobs.forget_before_ms, 0);
}
END_TEST

/* Neither one that fails again and again, nor the look, keeps the others. */
START_TEST(test_failed)
{
	look(MONO, 0, 2);
	begin_step(MONO, 0, 1);
	jobs.status = STORE_BROKEN;
	jobs_failed(&jobs, MONO);
	begin_step(MONO, 1, 1);
	end_step(MONO, false, 1, 1);
	jobs_hurry(&jobs);
	(void)jobs_submit(&jobs, MONO + 500, NOW);
	jobs_failed(&jobs, MONO + 500);
	ck_assert_int_eq(wait_ms(MONO + 500), 500);
	begin_step(MONO + 1000, 1, 1);
	jobs_failed(&jobs, MONO + 1000);
	ck_assert_int_eq(wait_ms(MONO + 1000), 4000);
	begin_step(MONO + 5000, 0, 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("jobs");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_whose);
	tcase_add_test(tc, test_hurry);
	tcase_add_test(tc, test_look_first);
	tcase_add_test(tc, test_in_turn);
	tcase_add_test(tc, test_look_again);
	tcase_add_test(tc, test_size);
	tcase_add_test(tc, test_look_has_rested);
	tcase_add_test(tc, test_rest_is_shared);
	tcase_add_test(tc, test_rest_is_bounded);
	tcase_add_test(tc, test_count_is_kept);
	tcase_add_test(tc, test_count_is_slow);
	tcase_add_test(tc, test_forgets);
	tcase_add_test(tc, test_failed);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
