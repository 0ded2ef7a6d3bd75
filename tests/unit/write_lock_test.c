/* SPDX-License-Identifier: ISC */
#include "sql/write_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

enum { LONG_MS = 60000, CHILDREN = 3, ROUNDS = 300 };

static struct write_lock lock;

static struct shared {
	int counter;
	char order[3];
} * shared;

static void
setup(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(shared != MAP_FAILED);
	ck_assert_int_eq(write_lock_open(&lock, -1), 0);
}

static void
teardown(void)
{
	write_lock_close(&lock);
	write_lock_close(&lock);
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

static void
kill_and_wait(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static int
try_byte(short type, int byte)
{
	struct flock range = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(lock.fd, F_SETLK, &range);
}

/* Whether another process holds it. */
static bool
is_held(int byte)
{
	struct flock range = {.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = byte,
	    .l_len = 1};

	ck_assert_int_eq(fcntl(lock.fd, F_GETLK, &range), 0);
	return range.l_type != F_UNLCK;
}

/* Nobody holds anything, this process included. */
static void
assert_free(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(is_held(WRITE_LOCK_NEXT) || is_held(WRITE_LOCK_TURN));
	assert_exits_well(pid);
	/* The second time it is an ordinary lock again. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_lock_acquire(&lock, 0), 0);
		write_lock_release(&lock);
	}
}

/* Of the counter; NULL when it went well. */
static void *
count(void *arg)
{
	volatile int *counter = arg;

	for (int round = 0; round < ROUNDS; round++) {
		int before;

		if (write_lock_acquire(&lock, LONG_MS) == -1)
			return arg;
		before = *counter;
		(void)sched_yield();
		*counter = before + 1;
		write_lock_release(&lock);
	}
	return NULL;
}

/* One of those that count, each after the other, with two threads. */
static pid_t
fork_counter(void)
{
	pid_t pid = fork();
	pthread_t thread;
	void *failed;

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	if (pthread_create(&thread, NULL, count, &shared->counter) != 0 ||
	    count(&shared->counter) != NULL ||
	    pthread_join(thread, &failed) != 0 || failed != NULL)
		_exit(1);
	_exit(0);
}

static void
assert_counts(void)
{
	pid_t pids[CHILDREN];

	for (int i = 0; i < CHILDREN; i++)
		pids[i] = fork_counter();
	for (int i = 0; i < CHILDREN; i++)
		assert_exits_well(pids[i]);
	ck_assert(shared->counter == 2 * CHILDREN * ROUNDS);
}

START_TEST(test_excludes)
{
	assert_counts();
}
END_TEST

/* Whatever a process writes where all of them can, they count right. */
START_TEST(test_excludes_beside_garbage)
{
	char *memory =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, lock.fd, 0);
	unsigned random = 1;
	pid_t pid;

	ck_assert(memory != MAP_FAILED);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	while (pid == 0) {
		random = random * 1103515245 + 12345;
		memory[random >> 8 & 4095] = (char)(random >> 20);
	}
	assert_counts();
	kill_and_wait(pid);
	ck_assert_int_eq(munmap(memory, 4096), 0);
	assert_free();
}
END_TEST

/* Two programs find one lock in a file, which nobody can take from them. */
START_TEST(test_open)
{
	struct write_lock other;
	pid_t pid;

	ck_assert_int_eq(write_lock_acquire(&lock, 0), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (write_lock_open(&other, dup(lock.fd)) == -1 ||
		    other.memory == lock.memory)
			_exit(1);
		_exit(write_lock_acquire(&other, 0) == 0 ? 2 : 0);
	}
	assert_exits_well(pid);
	write_lock_release(&lock);
	ck_assert_int_eq(ftruncate(lock.fd, 0), -1);
	ck_assert_int_eq(ftruncate(lock.fd, 4096), -1);
}
END_TEST

static int
open_file_of(size_t size, char first)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(pwrite(fd, &first, 1, 0), 1);
	return fd;
}

START_TEST(test_open_what_is_none)
{
	struct write_lock other;
	int fds[2];

	/* Another format, then another size, then no file at all. */
	ck_assert_int_eq(write_lock_open(&other, open_file_of(16, 1)), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(write_lock_open(&other, open_file_of(84, 2)), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write_lock_open(&other, fds[0]), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(close(fds[0]), -1);
	ck_assert_int_eq(errno, EBADF);
	close(fds[1]);
	write_lock_close(&other);
}
END_TEST

/* Which of the two bytes the process holds. */
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
		if ((next && try_byte(F_WRLCK, WRITE_LOCK_NEXT) == -1) ||
		    (turn && try_byte(F_WRLCK, WRITE_LOCK_TURN) == -1) ||
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

START_TEST(test_times_out)
{
	pid_t pid = fork_holder(holds[_i].next, holds[_i].turn);

	/* Stopped or not. */
	if (_i == 1)
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	/* Twice: a failed attempt must not keep one half. */
	ck_assert_int_eq(write_lock_acquire(&lock, 40), -1);
	ck_assert_int_eq(write_lock_acquire(&lock, 0), -1);
	kill_and_wait(pid);
	assert_free();
}
END_TEST

static void *
take_in_vain(void *arg)
{
	return write_lock_acquire(&lock, 40) == -1 &&
		       write_lock_acquire(&lock, 0) == -1
		   ? NULL
		   : arg;
}

/* Not even a thread of the same process waits for ever. */
START_TEST(test_thread_times_out)
{
	pthread_t thread;
	void *failed;

	ck_assert_int_eq(write_lock_acquire(&lock, 0), 0);
	ck_assert_int_eq(
	    pthread_create(&thread, NULL, take_in_vain, &lock), 0);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
	ck_assert_int_eq(lock.patience_ms, INT64_MAX);
	write_lock_release(&lock);
	assert_free();
}
END_TEST

/* Who keeps the turn costs less and less, until somebody had it. */
START_TEST(test_patience)
{
	pid_t pid = fork_holder(false, true);

	ck_assert_int_eq(write_lock_acquire(&lock, 80), -1);
	ck_assert_int_eq(lock.patience_ms, 20);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(write_lock_acquire(&lock, LONG_MS), -1);
		ck_assert_int_eq(lock.patience_ms, 10);
	}
	kill_and_wait(pid);
	ck_assert_int_eq(write_lock_acquire(&lock, LONG_MS), 0);
	ck_assert_int_eq(lock.patience_ms, INT64_MAX);
	write_lock_release(&lock);
}
END_TEST

START_TEST(test_holder_dies)
{
	pid_t pid = fork_holder(holds[_i].next, holds[_i].turn);

	kill_and_wait(pid);
	assert_free();
}
END_TEST

static pid_t
fork_waiter(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		/* The daemon's are forked by who never has the turn. */
		(void)pthread_mutex_init(&lock.mutex, NULL);
		if (write_lock_acquire(&lock, LONG_MS) == -1)
			_exit(1);
		shared->order[shared->counter++] = 'w';
		write_lock_release(&lock);
		_exit(0);
	}
	return pid;
}

START_TEST(test_holder_dies_while_others_wait)
{
	pid_t holder = fork_holder(holds[_i].next, holds[_i].turn);
	pid_t waiters[CHILDREN];

	for (int i = 0; i < CHILDREN; i++)
		waiters[i] = fork_waiter();
	kill_and_wait(holder);
	for (int i = 0; i < CHILDREN; i++)
		assert_exits_well(waiters[i]);
	ck_assert_int_eq(shared->counter, CHILDREN);
}
END_TEST

static void
await_waiter(void)
{
	while (!is_held(WRITE_LOCK_NEXT))
		(void)sched_yield();
}

START_TEST(test_waiter_dies)
{
	pid_t pid;

	ck_assert_int_eq(write_lock_acquire(&lock, 0), 0);
	pid = fork_waiter();
	await_waiter();
	kill_and_wait(pid);
	write_lock_release(&lock);
	assert_free();
}
END_TEST

START_TEST(test_queues_behind_a_waiter)
{
	pid_t pid;

	ck_assert_int_eq(write_lock_acquire(&lock, 0), 0);
	pid = fork_waiter();
	await_waiter();
	write_lock_release(&lock);
	ck_assert_int_eq(write_lock_acquire(&lock, LONG_MS), 0);
	shared->order[shared->counter++] = 'p';
	write_lock_release(&lock);
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

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_excludes);
	tcase_add_test(tc, test_excludes_beside_garbage);
	tcase_add_test(tc, test_open);
	tcase_add_test(tc, test_open_what_is_none);
	tcase_add_loop_test(tc, test_times_out, 1, n_holds);
	tcase_add_test(tc, test_thread_times_out);
	tcase_add_test(tc, test_patience);
	tcase_add_loop_test(tc, test_holder_dies, 0, n_holds);
	tcase_add_loop_test(tc, test_holder_dies_while_others_wait, 0, n_holds);
	tcase_add_test(tc, test_waiter_dies);
	tcase_add_test(tc, test_queues_behind_a_waiter);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
