/* SPDX-License-Identifier: ISC */
#include "base/sigpipe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, 0};

static int
open_pipe(void)
{
	struct err err;
	int fd = sigpipe_open(signals, &err);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(test_in_order)
{
	int fd = open_pipe();

	ck_assert_int_eq(sigpipe_next(fd), 0);
	errno = ENOENT;
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(sigpipe_next(fd), SIGUSR1);
	ck_assert_int_eq(sigpipe_next(fd), SIGHUP);
	ck_assert_int_eq(sigpipe_next(fd), SIGUSR1);
	ck_assert_int_eq(sigpipe_next(fd), 0);
}
END_TEST

START_TEST(test_ignores_sigpipe)
{
	int fd = open_pipe();

	ck_assert_int_eq(raise(SIGPIPE), 0);
	ck_assert_int_eq(sigpipe_next(fd), 0);
}
END_TEST

START_TEST(test_full_pipe)
{
	int fd = open_pipe();

	/* More than a pipe holds: the rest is dropped, nothing blocks. */
	for (int i = 0; i < 70000; i++)
		ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert_int_eq(sigpipe_next(fd), SIGUSR2);
	while (sigpipe_next(fd) != 0)
		;
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(sigpipe_next(fd), SIGUSR1);
}
END_TEST

START_TEST(test_block)
{
	int fd = open_pipe();

	sigpipe_block();
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(sigpipe_next(fd), 0);
	sigpipe_unblock();
	ck_assert_int_eq(sigpipe_next(fd), SIGUSR1);
}
END_TEST

static void
assert_exits_well(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(test_child_does_not_answer_for_its_parent)
{
	int fd = open_pipe();
	pid_t pid = fork();

	if (pid == 0)
		_exit(raise(SIGUSR1));
	assert_exits_well(pid);
	ck_assert_int_eq(sigpipe_next(fd), 0);
}
END_TEST

START_TEST(test_child_opens_its_own)
{
	int fd = open_pipe();
	pid_t pid;

	sigpipe_block();
	pid = fork();
	if (pid == 0) {
		struct err err;
		int own = sigpipe_open(signals, &err);

		_exit(own >= 0 && raise(SIGUSR1) == 0 &&
			      sigpipe_next(own) == SIGUSR1 &&
			      sigpipe_next(own) == 0
			  ? 0
			  : 1);
	}
	sigpipe_unblock();
	assert_exits_well(pid);
	ck_assert_int_eq(sigpipe_next(fd), 0);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert_int_eq(sigpipe_next(fd), SIGUSR2);
}
END_TEST

START_TEST(test_refuses_what_cannot_be_caught)
{
	static const int bad[] = {SIGKILL, 0};
	struct err err;

	ck_assert_int_eq(sigpipe_open(bad, &err), -1);
	ck_assert_str_eq(err.text, "cannot catch signal 9: Invalid argument");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sigpipe");
	TCase *tc = tcase_create("sigpipe");

	tcase_add_test(tc, test_in_order);
	tcase_add_test(tc, test_ignores_sigpipe);
	tcase_add_test(tc, test_full_pipe);
	tcase_add_test(tc, test_block);
	tcase_add_test(tc, test_child_does_not_answer_for_its_parent);
	tcase_add_test(tc, test_child_opens_its_own);
	tcase_add_test(tc, test_refuses_what_cannot_be_caught);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
