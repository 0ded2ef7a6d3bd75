/* SPDX-License-Identifier: ISC */
#include "store/write_lock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

enum { LONG_MS = 60000, CHILDREN = 3, ROUNDS = 300 };

static struct shared {
	struct write_lock lock;
	int counter;
	char order[3];
} * shared;

static void
setup(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(shared != MAP_FAILED);
	ck_assert_int_eq(write_lock_init(&shared->lock), 0);
}

static void
teardown(void)
{
	ck_assert_int_eq(munmap(shared, sizeof(*shared)), 0);
}

static void
assert_exits_well(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(test_excludes)
{
	pid_t pids[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] > 0)
			continue;
		for (int round = 0; round < ROUNDS; round++) {
			volatile int *counter = &shared->counter;
			int before;

			if (write_lock_acquire(&shared->lock, LONG_MS) == -1)
				_exit(1);
			before = *counter;
			(void)sched_yield();
			*counter = before + 1;
			write_lock_release(&shared->lock);
		}
		_exit(0);
	}
	for (int i = 0; i < CHILDREN; i++)
		assert_exits_well(pids[i]);
	ck_assert(shared->counter == CHILDREN * ROUNDS);
}
END_TEST

/* Two programs find one lock in the memory of a descriptor. */
START_TEST(test_map)
{
	int fd = -1;
	struct write_lock *one = write_lock_map(&fd), *two;

	ck_assert_ptr_nonnull(one);
	two = write_lock_map(&fd);
	ck_assert_ptr_nonnull(two);
	ck_assert_ptr_ne(one, two);
	ck_assert_int_eq(write_lock_acquire(one, 0), 0);
	ck_assert_int_eq(pthread_mutex_trylock(&two->turn), EBUSY);
	write_lock_release(two);
	ck_assert_int_eq(write_lock_acquire(two, 0), 0);
	write_lock_release(two);
	write_lock_unmap(two);
	write_lock_unmap(one);
	/* Another format, then another size. */
	ck_assert_int_eq(pwrite(fd, "\377", 1, 0), 1);
	ck_assert_ptr_null(write_lock_map(&fd));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(ftruncate(fd, 1), 0);
	ck_assert_ptr_null(write_lock_map(&fd));
	ck_assert_int_eq(errno, EINVAL);
	close(fd);
}
END_TEST

/* Which of the two mutexes the process holds that dies. */
static const struct {
	bool next, turn;
} holds[] = {
    {true, false},
    {false, true},
    {true, true},
};

/* A process that holds them until it is killed; returns once it does. */
static pid_t
fork_holder(bool next, bool turn)
{
	int fds[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if ((next && pthread_mutex_lock(&shared->lock.next) != 0) ||
		    (turn && pthread_mutex_lock(&shared->lock.turn) != 0) ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

static void
kill_and_wait(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(test_times_out)
{
	pid_t pid = fork_holder(holds[_i].next, holds[_i].turn);

	/* Twice: a failed attempt must not keep one half. */
	ck_assert_int_eq(write_lock_acquire(&shared->lock, 1), -1);
	ck_assert_int_eq(write_lock_acquire(&shared->lock, 0), -1);
	kill_and_wait(pid);
}
END_TEST

START_TEST(test_holder_dies)
{
	pid_t pid = fork_holder(holds[_i].next, holds[_i].turn);

	kill_and_wait(pid);
	/* The second time it is an ordinary lock again. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_lock_acquire(&shared->lock, 0), 0);
		write_lock_release(&shared->lock);
	}
}
END_TEST

START_TEST(test_holder_dies_while_others_wait)
{
	pid_t holder = fork_holder(holds[_i].next, holds[_i].turn);
	pid_t waiters[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		waiters[i] = fork();
		ck_assert_int_ge(waiters[i], 0);
		if (waiters[i] == 0) {
			if (write_lock_acquire(&shared->lock, LONG_MS) == -1)
				_exit(1);
			write_lock_release(&shared->lock);
			_exit(0);
		}
	}
	kill_and_wait(holder);
	for (int i = 0; i < CHILDREN; i++)
		assert_exits_well(waiters[i]);
}
END_TEST

START_TEST(test_waiter_dies)
{
	pid_t pid;

	ck_assert_int_eq(write_lock_acquire(&shared->lock, 0), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(write_lock_acquire(&shared->lock, LONG_MS) == -1);
	/* Until it waits for the turn. */
	while (pthread_mutex_trylock(&shared->lock.next) != EBUSY) {
		ck_assert_int_eq(pthread_mutex_unlock(&shared->lock.next), 0);
		(void)sched_yield();
	}
	kill_and_wait(pid);
	write_lock_release(&shared->lock);
	ck_assert_int_eq(write_lock_acquire(&shared->lock, 0), 0);
	write_lock_release(&shared->lock);
}
END_TEST

static void
note_turn(char who)
{
	shared->order[shared->counter++] = who;
}

START_TEST(test_queues_behind_a_waiter)
{
	pid_t pid;

	ck_assert_int_eq(write_lock_acquire(&shared->lock, 0), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (write_lock_acquire(&shared->lock, LONG_MS) == -1)
			_exit(1);
		note_turn('w');
		write_lock_release(&shared->lock);
		_exit(0);
	}
	while (pthread_mutex_trylock(&shared->lock.next) != EBUSY) {
		ck_assert_int_eq(pthread_mutex_unlock(&shared->lock.next), 0);
		(void)sched_yield();
	}
	write_lock_release(&shared->lock);
	ck_assert_int_eq(write_lock_acquire(&shared->lock, LONG_MS), 0);
	note_turn('p');
	write_lock_release(&shared->lock);
	assert_exits_well(pid);
	ck_assert_str_eq(shared->order, "wp");
}
END_TEST

int
main(void)
{
	int n_holds = (int)(sizeof(holds) / sizeof(holds[0]));
	Suite *suite = suite_create("write_lock");
	TCase *tc = tcase_create("write_lock");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_excludes);
	tcase_add_test(tc, test_map);
	tcase_add_loop_test(tc, test_times_out, 0, n_holds);
	tcase_add_loop_test(tc, test_holder_dies, 0, n_holds);
	tcase_add_loop_test(tc, test_holder_dies_while_others_wait, 0, n_holds);
	tcase_add_test(tc, test_waiter_dies);
	tcase_add_test(tc, test_queues_behind_a_waiter);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
