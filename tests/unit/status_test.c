/* SPDX-License-Identifier: ISC */
#include "board/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "suite.h"

static int fds[2];

static void
setup(void)
{
	ck_assert_int_eq(status_pair(fds), 0);
}

static void
teardown(void)
{
	fd_close(&fds[0]);
	fd_close(&fds[1]);
}

static const struct {
	enum child_state state;
	const char *reason, *received;
} reports[] = {
    {CHILD_STARTING, NULL, ""},
    {CHILD_READY, "", ""},
    {CHILD_DRAINING, NULL, ""},
    {CHILD_FAILED, "no rights: 100 %s", "no rights: 100 %s"},
};

START_TEST(test_round_trip)
{
	struct child_status status;

	ck_assert_int_eq(status_recv(fds[0], &status), 0);
	ck_assert_int_eq(
	    status_send(fds[1], reports[_i].state, reports[_i].reason), 0);
	ck_assert_int_eq(status_send(fds[1], CHILD_READY, NULL), 0);
	ck_assert_int_eq(status_recv(fds[0], &status), 1);
	ck_assert_int_eq(status.pid, getpid());
	ck_assert_uint_eq(status.state, (uint32_t)reports[_i].state);
	ck_assert_str_eq(status.reason, reports[_i].received);
	ck_assert_int_eq(status_recv(fds[0], &status), 1);
	ck_assert_int_eq(status_recv(fds[0], &status), 0);
}
END_TEST

START_TEST(test_long_reason)
{
	struct child_status status;
	char reason[1000];

	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	ck_assert_int_eq(status_send(fds[1], CHILD_FAILED, reason), 0);
	ck_assert_int_eq(status_recv(fds[0], &status), 1);
	ck_assert_uint_eq(strlen(status.reason), sizeof(status.reason) - 1);
}
END_TEST

START_TEST(test_from_a_child)
{
	struct child_status status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(status_send(fds[1], CHILD_READY, NULL) == -1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(status_recv(fds[0], &status), 1);
	ck_assert_int_eq(status.pid, pid);
}
END_TEST

static void
assert_refused(const void *record, size_t len)
{
	struct child_status status;

	ck_assert_int_eq(fd_write_all(fds[1], record, len), 0);
	errno = 0;
	ck_assert_int_eq(status_recv(fds[0], &status), -1);
	ck_assert_int_eq(errno, EBADMSG);
}

START_TEST(test_malformed)
{
	struct child_status good, bad;

	memset(&good, 0, sizeof(good));
	good.pid = 1;
	assert_refused(&good, sizeof(good) - 1);
	bad = good;
	bad.pid = 0;
	assert_refused(&bad, sizeof(bad));
	bad = good;
	bad.state = CHILD_FAILED + 1;
	assert_refused(&bad, sizeof(bad));
	bad = good;
	memset(bad.reason, 'x', sizeof(bad.reason));
	assert_refused(&bad, sizeof(bad));
	ck_assert_int_eq(fd_write_all(fds[1], &good, sizeof(good)), 0);
	ck_assert_int_eq(status_recv(fds[0], &bad), 1);
}
END_TEST

/* It is the same file, and closed by a program that is executed. */
START_TEST(test_log)
{
	int pipe_fds[2], fd = -1;
	char text[4];

	ck_assert_int_eq(fd_pipe(pipe_fds), 0);
	ck_assert_int_eq(status_recv_log(fds[1], &fd), 0);
	ck_assert_int_eq(status_send_log(fds[0], pipe_fds[1]), 0);
	fd_close(&pipe_fds[1]);
	ck_assert_int_eq(status_recv_log(fds[1], &fd), 1);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fd_write_all(fd, "log", 4), 0);
	ck_assert_int_eq(read(pipe_fds[0], text, sizeof(text)), 4);
	ck_assert_str_eq(text, "log");
	ck_assert_int_eq(status_recv_log(fds[1], &fd), 0);
	fd_close(&fd);
	fd_close(&pipe_fds[0]);
}
END_TEST

START_TEST(test_no_log)
{
	int fd;

	ck_assert_int_eq(status_send_log(fds[0], -1), -1);
	ck_assert_int_eq(fd_write_all(fds[0], "l", 1), 0);
	ck_assert_int_eq(status_recv_log(fds[1], &fd), -1);
	fd_close(&fds[0]);
	ck_assert_int_eq(status_recv_log(fds[1], &fd), -1);
}
END_TEST

/* Many that a child does not take are refused, not waited for. */
START_TEST(test_log_not_taken)
{
	int n = 0;

	while (n < 100000 && status_send_log(fds[0], STDERR_FILENO) == 0)
		n++;
	ck_assert_int_gt(n, 0);
	ck_assert_int_lt(n, 100000);
}
END_TEST

START_TEST(test_errors)
{
	struct child_status status;

	ck_assert_int_eq(status_send(-1, CHILD_READY, NULL), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(status_recv(-1, &status), -1);
	ck_assert_int_eq(errno, EBADF);
	fd_close(&fds[1]);
	ck_assert_int_eq(status_recv(fds[0], &status), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("status");
	TCase *tc = tcase_create("status");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_round_trip, 0,
	    (int)(sizeof(reports) / sizeof(reports[0])));
	tcase_add_test(tc, test_long_reason);
	tcase_add_test(tc, test_from_a_child);
	tcase_add_test(tc, test_malformed);
	tcase_add_test(tc, test_log);
	tcase_add_test(tc, test_no_log);
	tcase_add_test(tc, test_log_not_taken);
	tcase_add_test(tc, test_errors);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
