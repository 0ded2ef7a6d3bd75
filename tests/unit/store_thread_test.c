/* SPDX-License-Identifier: ISC */
#include "store/store_thread.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include <check.h>

#include "suite.h"

enum { JOBS = 100 };

/* The thread only hands the store to the jobs and closes it. */
struct store {
	unsigned closed;
};

struct test_job {
	struct store_job job; /* first: a job is cast back */
	unsigned number;
	unsigned runs;
};

static struct store store;
static struct loop *loop;
static struct store_thread *thread;
static unsigned n_done;
static sem_t started;

bool
store_goes_on(const struct store *s)
{
	(void)s;
	return false;
}

unsigned
store_server(const struct store *s)
{
	(void)s;
	return 0;
}

void
store_close(struct store **closed)
{
	ck_assert_ptr_eq(*closed, &store);
	store.closed++;
	*closed = NULL;
}

static void
setup(void)
{
	struct err err;

	ck_assert_int_eq(sem_init(&started, 0, 0), 0);
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	thread = store_thread_create(&store, loop, &err);
	ck_assert_ptr_nonnull(thread);
}

static void
teardown(void)
{
	store_thread_free(&thread);
	ck_assert_ptr_null(thread);
	store_thread_free(&thread);
	ck_assert_uint_eq(store.closed, 1);
	loop_free(loop);
	ck_assert_int_eq(sem_destroy(&started), 0);
}

static void
run_counted(struct store *s, struct store_job *job)
{
	ck_assert_ptr_eq(s, &store);
	((struct test_job *)job)->runs++;
}

static void
done_in_order(struct store_job *job)
{
	struct test_job *t = (struct test_job *)job;

	ck_assert_uint_eq(t->number, n_done);
	ck_assert_uint_eq(t->runs, 1);
	free(t);
	if (++n_done == JOBS)
		loop_stop(loop);
}

START_TEST(test_in_order_and_freed_by_done)
{
	for (unsigned i = 0; i < JOBS; i++) {
		struct test_job *t = malloc(sizeof(*t));

		ck_assert_ptr_nonnull(t);
		*t = (struct test_job){
		    .job = {.run = run_counted, .done = done_in_order},
		    .number = i,
		};
		store_thread_submit(thread, &t->job);
	}
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(n_done, JOBS);
}
END_TEST

static void
done_again(struct store_job *job)
{
	struct test_job *t = (struct test_job *)job;

	ck_assert_uint_eq(t->runs, ++n_done);
	if (n_done == JOBS)
		loop_stop(loop);
	else
		store_thread_submit(thread, job);
}

START_TEST(test_submitted_again_by_done)
{
	struct test_job t = {.job = {.run = run_counted, .done = done_again}};

	store_thread_submit(thread, &t.job);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(t.runs, JOBS);
}
END_TEST

static void
done_never(struct store_job *job)
{
	(void)job;
	ck_abort_msg("the loop does not run");
}

static void
run_started(struct store *s, struct store_job *job)
{
	ck_assert_int_eq(sem_post(&started), 0);
	run_counted(s, job);
}

START_TEST(test_free_drops_what_is_not_done)
{
	struct test_job running = {
	    .job = {.run = run_started, .done = done_never}};
	struct test_job *waiting = calloc(1, sizeof(*waiting));

	ck_assert_ptr_nonnull(waiting);
	waiting->job =
	    (struct store_job){.run = run_counted, .done = done_never};
	store_thread_submit(thread, &running.job);
	store_thread_submit(thread, &waiting->job);
	ck_assert_int_eq(sem_wait(&started), 0);
	store_thread_free(&thread);
	/* It waited for the one, and forgot both. */
	ck_assert_uint_eq(running.runs, 1);
	free(waiting);
	ck_assert_uint_eq(store.closed, 1);
}
END_TEST

static void
run_looks_at_signals(struct store *s, struct store_job *job)
{
	static const int signals[] = {
	    SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE};
	sigset_t blocked;

	(void)s;
	if (pthread_sigmask(SIG_SETMASK, NULL, &blocked) != 0)
		return;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigismember(&blocked, signals[i]) != 1)
			return;
	}
	((struct test_job *)job)->runs++;
}

static void
done_stops(struct store_job *job)
{
	(void)job;
	loop_stop(loop);
}

START_TEST(test_signals_are_blocked)
{
	struct test_job t = {
	    .job = {.run = run_looks_at_signals, .done = done_stops}};
	sigset_t blocked;

	store_thread_submit(thread, &t.job);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(t.runs, 1);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
	ck_assert_int_eq(sigismember(&blocked, SIGTERM), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store_thread");
	TCase *tc = tcase_create("store_thread");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_in_order_and_freed_by_done);
	tcase_add_test(tc, test_submitted_again_by_done);
	tcase_add_test(tc, test_free_drops_what_is_not_done);
	tcase_add_test(tc, test_signals_are_blocked);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
