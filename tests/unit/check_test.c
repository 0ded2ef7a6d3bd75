/* SPDX-License-Identifier: ISC */
#define NDEBUG /* must not matter */
#include "base/check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static int evaluated;

static const struct {
	int n;
	bool holds;
} rows[] = {
    {0, true},
    {1, false},
    {2, false},
};

enum { PROMISE_LINE = __LINE__ + 6 };

static int
promise_next(int n)
{
	evaluated++;
	check(n < 1 && "100 % is below one");
	return n;
}

/* Runs promise_next(n) in a child; its status, and what it wrote to stderr. */
static int
run_child(int n, char *log, size_t size)
{
	const struct rlimit no_core = {0, 0};
	size_t len = 0;
	ssize_t got;
	pid_t pid;
	int fds[2], status;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		if (dup2(fds[1], STDERR_FILENO) == -1)
			_exit(2);
		evaluated = 0;
		_exit(promise_next(n) == n && evaluated == 1 ? 0 : 1);
	}
	(void)close(fds[1]);
	while ((got = read(fds[0], log + len, size - 1 - len)) > 0)
		len += (size_t)got;
	log[len] = '\0';
	(void)close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_promise)
{
	char log[1024], expected[256];
	int status = run_child(rows[_i].n, log, sizeof(log));

	if (rows[_i].holds) {
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		ck_assert_str_eq(log, "");
		return;
	}
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	(void)snprintf(expected, sizeof(expected),
	    "%s:%d: promise_next: broken promise: "
	    "n < 1 && \"100 %% is below one\"\n",
	    __FILE__, PROMISE_LINE);
	ck_assert_msg(strstr(log, expected) != NULL, "%s", log);
	ck_assert_msg(strstr(log, " error: ") != NULL, "%s", log);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("check");

	tcase_add_loop_test(tc, test_promise, 0, COUNT(rows));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
