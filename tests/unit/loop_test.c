/* SPDX-License-Identifier: ISC */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "base/fd.h"
#include "suite.h"

/* Two watched socket pairs and what the callbacks saw. */
static struct loop *loop;
static int near[2], far[2];
static struct loop_io *ios[2];
static struct loop_timer *timers[3];
static unsigned calls, seen;
static char order[8];

static void
setup(void)
{
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	for (int i = 0; i < 2; i++) {
		int fds[2];

		ck_assert_int_eq(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
		    0);
		near[i] = fds[0];
		far[i] = fds[1];
	}
}

static void
teardown(void)
{
	for (int i = 0; i < 2; i++) {
		loop_io_free(&ios[i]);
		fd_close(&near[i]);
		fd_close(&far[i]);
	}
	for (int i = 0; i < 3; i++)
		loop_timer_free(&timers[i]);
	loop_free(loop);
	clock_mono_replace(NULL);
}

static void
make_readable(int i)
{
	ck_assert_int_eq(fd_write_all(far[i], "x", 1), 0);
}

static void
record_and_stop(int fd, unsigned events, void *arg)
{
	(void)arg;
	ck_assert_int_eq(fd, near[0]);
	calls++;
	seen = events;
	loop_stop(loop);
}

static const struct {
	unsigned watch, want;
	bool readable;
	unsigned seen;
} masks[] = {
    {LOOP_READ, LOOP_READ, true, LOOP_READ},
    {LOOP_WRITE, LOOP_WRITE, true, LOOP_WRITE},
    {LOOP_READ | LOOP_WRITE, LOOP_READ | LOOP_WRITE, false, LOOP_WRITE},
    {LOOP_READ | LOOP_WRITE, LOOP_READ | LOOP_WRITE, true,
	LOOP_READ | LOOP_WRITE},
    {0, LOOP_READ, true, LOOP_READ},
    {LOOP_READ, LOOP_WRITE, true, LOOP_WRITE},
    {LOOP_WRITE, LOOP_READ, true, LOOP_READ},
    {LOOP_READ, LOOP_READ | LOOP_WRITE, false, LOOP_WRITE},
};

START_TEST(test_masks)
{
	if (masks[_i].readable)
		make_readable(0);
	ios[0] = loop_io_create(
	    loop, near[0], masks[_i].watch, record_and_stop, NULL);
	ck_assert_ptr_nonnull(ios[0]);
	loop_io_want(ios[0], masks[_i].want);
	/* Level-triggered: nobody read, so it comes again. */
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_uint_eq(calls, i);
		ck_assert_uint_eq(seen, masks[_i].seen);
	}
}
END_TEST

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

START_TEST(test_wants_nothing)
{
	make_readable(0);
	ios[0] =
	    loop_io_create(loop, near[0], LOOP_READ, record_and_stop, NULL);
	ck_assert_ptr_nonnull(ios[0]);
	loop_io_want(ios[0], 0);
	timers[0] = loop_timer_create(loop, stop, NULL);
	ck_assert_ptr_nonnull(timers[0]);
	loop_timer_set(timers[0], 1);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 0);
	loop_io_want(ios[0], LOOP_READ);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

static bool no_room;

/* As the kernel when it has no memory for one more. */
int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && no_room) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

START_TEST(test_no_room_for_one_more)
{
	no_room = true;
	ck_assert_ptr_null(
	    loop_io_create(loop, near[0], LOOP_READ, record_and_stop, NULL));
	no_room = false;
}
END_TEST

/* It is told, and may be tried again: a listener must not be deaf for ever. */
START_TEST(test_no_room_for_the_same)
{
	make_readable(0);
	ios[0] =
	    loop_io_create(loop, near[0], LOOP_READ, record_and_stop, NULL);
	ck_assert_ptr_nonnull(ios[0]);
	for (unsigned i = 0; i < 2; i++) {
		loop_io_want(ios[0], 0);
		no_room = true;
		loop_io_want(ios[0], LOOP_READ);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_uint_eq(calls, 2 * i + 1);
		ck_assert_uint_eq(seen, LOOP_FAILED);
		no_room = false;
		loop_io_want(ios[0], LOOP_READ);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_uint_eq(calls, 2 * i + 2);
		ck_assert_uint_eq(seen, LOOP_READ);
	}
}
END_TEST

/* Nor is it told when there was room before the loop came to it. */
START_TEST(test_room_in_time)
{
	make_readable(0);
	ios[0] =
	    loop_io_create(loop, near[0], LOOP_READ, record_and_stop, NULL);
	ck_assert_ptr_nonnull(ios[0]);
	no_room = true;
	loop_io_want(ios[0], LOOP_WRITE);
	no_room = false;
	loop_io_want(ios[0], LOOP_READ);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(seen, LOOP_READ);
	no_room = true;
	loop_io_want(ios[0], LOOP_WRITE);
	loop_io_free(&ios[0]);
	timers[0] = loop_timer_create(loop, stop, NULL);
	ck_assert_ptr_nonnull(timers[0]);
	loop_timer_set(timers[0], 1);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(test_bad_descriptor)
{
	/* One that no poller takes: a number that is not open. */
	ck_assert_ptr_null(
	    loop_io_create(loop, 1 << 20, LOOP_READ, record_and_stop, NULL));
}
END_TEST

static void
free_both(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	calls++;
	loop_io_free(&ios[0]);
	loop_io_free(&ios[1]);
	loop_timer_free(&timers[0]);
	loop_stop(loop);
}

START_TEST(test_free_in_callback)
{
	/* Both are ready in one turn; who runs first frees itself, the other
	 * and a timer. */
	for (int i = 0; i < 2; i++) {
		make_readable(i);
		ios[i] = loop_io_create(
		    loop, near[i], LOOP_READ | LOOP_WRITE, free_both, NULL);
		ck_assert_ptr_nonnull(ios[i]);
	}
	timers[0] = loop_timer_create(loop, stop, NULL);
	ck_assert_ptr_nonnull(timers[0]);
	loop_timer_set(timers[0], 1000000);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_ptr_null(ios[0]);
	ck_assert_ptr_null(ios[1]);
	ck_assert_ptr_null(timers[0]);
}
END_TEST

static void
free_timers(void *arg)
{
	(void)arg;
	calls++;
	loop_timer_free(&timers[0]);
	loop_timer_free(&timers[1]);
	loop_stop(loop);
}

START_TEST(test_free_timers_in_callback)
{
	for (int i = 0; i < 2; i++) {
		timers[i] = loop_timer_create(loop, free_timers, NULL);
		ck_assert_ptr_nonnull(timers[i]);
		loop_timer_set(timers[i], 0);
	}
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

static void
record_order(void *arg)
{
	order[calls++] = *(const char *)arg;
	if (calls == 3)
		loop_stop(loop);
}

START_TEST(test_timers_in_order)
{
	static char names[] = "abc";
	static const int64_t delays[] = {3, -5, 2};
	int64_t start_ms;

	for (int i = 0; i < 3; i++) {
		timers[i] = loop_timer_create(loop, record_order, &names[i]);
		ck_assert_ptr_nonnull(timers[i]);
	}
	/* Within the difference of two delays, or the order is another one. */
	do {
		start_ms = clock_mono_ms();
		for (int i = 0; i < 3; i++)
			loop_timer_set(timers[i], delays[i]);
	} while (clock_mono_ms() != start_ms);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(order, "bca");
	ck_assert_int_ge(clock_mono_ms() - start_ms, 3);
}
END_TEST

START_TEST(test_timer_changes)
{
	static char names[] = "abc";

	for (int i = 0; i < 3; i++) {
		timers[i] = loop_timer_create(loop, record_order, &names[i]);
		ck_assert_ptr_nonnull(timers[i]);
	}
	calls = 1;
	order[0] = '.';
	/* Replaced, cleared, and the longest there is. */
	loop_timer_set(timers[2], 0);
	loop_timer_set(timers[0], 1000000);
	loop_timer_set(timers[0], 2);
	loop_timer_set(timers[1], 0);
	loop_timer_clear(timers[1]);
	loop_timer_clear(timers[1]);
	loop_timer_set(timers[1], INT64_MAX);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(order, ".ca");
}
END_TEST

static void
set_again(void *arg)
{
	(void)arg;
	if (++calls == 3)
		loop_stop(loop);
	else
		loop_timer_set(timers[0], 0);
}

START_TEST(test_timer_sets_itself)
{
	timers[0] = loop_timer_create(loop, set_again, NULL);
	ck_assert_ptr_nonnull(timers[0]);
	loop_timer_set(timers[0], 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_uint_eq(calls, 3);
}
END_TEST

static void
stop_on_third(void *arg)
{
	if (++*(int *)arg == 3)
		loop_stop(loop);
}

static void
count(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
	calls++;
}

START_TEST(test_before_sleep)
{
	int turns = 0;

	make_readable(0);
	ios[0] = loop_io_create(loop, near[0], LOOP_READ, count, NULL);
	ck_assert_ptr_nonnull(ios[0]);
	loop_before_sleep(loop, stop_on_third, &turns);
	/* Before the first sleep and after each turn; stopping, it prevents
	 * the next one. */
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(turns, 3);
	ck_assert_uint_eq(calls, 2);
}
END_TEST

enum { STALL_MS = 200 };

/* The begin and the end of each turn. */
static const int64_t readings_ms[] = {
    1000, 1000 + STALL_MS - 1, 5000, 5000 + STALL_MS, 9000, 9000};
static size_t n_readings;
static int64_t stalled_ms;
static unsigned n_stalls;

static int64_t
next_reading_ms(void)
{
	ck_assert_uint_lt(
	    n_readings, sizeof(readings_ms) / sizeof(readings_ms[0]));
	return readings_ms[n_readings++];
}

static void
on_stall(void *arg, int64_t ms)
{
	ck_assert_ptr_eq(arg, &n_stalls);
	stalled_ms = ms;
	n_stalls++;
}

/* Sleep is none, and each turn counts alone. */
START_TEST(test_stall)
{
	static const unsigned n_after_turn[] = {0, 1, 1};

	clock_mono_replace(next_reading_ms);
	loop_on_stall(loop, STALL_MS, on_stall, &n_stalls);
	timers[0] = loop_timer_create(loop, stop, NULL);
	for (int i = 0; i < 3; i++) {
		loop_timer_set(timers[0], 1);
		ck_assert_int_eq(loop_run(loop), 0);
		ck_assert_uint_eq(n_stalls, n_after_turn[i]);
		ck_assert_uint_eq(n_readings, 2 * (size_t)i + 2);
	}
	ck_assert_int_eq(stalled_ms, STALL_MS);
}
END_TEST

START_TEST(test_stopped_before_run)
{
	int turns = 0;

	loop_before_sleep(loop, stop_on_third, &turns);
	loop_stop(loop);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(turns, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tc = tcase_create("loop");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, test_masks, 0, (int)(sizeof(masks) / sizeof(masks[0])));
	tcase_add_test(tc, test_wants_nothing);
	tcase_add_test(tc, test_no_room_for_one_more);
	tcase_add_test(tc, test_no_room_for_the_same);
	tcase_add_test(tc, test_room_in_time);
	tcase_add_test(tc, test_bad_descriptor);
	tcase_add_test(tc, test_free_in_callback);
	tcase_add_test(tc, test_free_timers_in_callback);
	tcase_add_test(tc, test_timers_in_order);
	tcase_add_test(tc, test_timer_changes);
	tcase_add_test(tc, test_timer_sets_itself);
	tcase_add_test(tc, test_before_sleep);
	tcase_add_test(tc, test_stall);
	tcase_add_test(tc, test_stopped_before_run);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
