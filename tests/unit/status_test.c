/* SPDX-License-Identifier: ISC */
#include "proc/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"

static int fds[2];

static void
setup(void)
{
	ck_assert_int_eq(fd_pipe(fds), 0);
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
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_round_trip, 0,
	    (int)(sizeof(reports) / sizeof(reports[0])));
	tcase_add_test(tc, test_long_reason);
	tcase_add_test(tc, test_from_a_child);
	tcase_add_test(tc, test_malformed);
	tcase_add_test(tc, test_errors);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
