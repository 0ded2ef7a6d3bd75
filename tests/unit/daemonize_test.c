/* SPDX-License-Identifier: ISC */
#include "master/daemonize.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "suite.h"

static char dir[] = "/tmp/daemonize_test.XXXXXX";

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
teardown(void)
{
	ck_assert_int_eq(rmdir(dir), 0);
}

enum life { LIFE_READY, LIFE_FAILS, LIFE_DIES, LIFE_NO_DIRECTORY };

static const struct {
	enum life life;
	int exit_code;
	const char *said;
} lives[] = {
    {LIFE_READY, 0, ""},
    {LIFE_FAILS, 1, "cassatad: the reason\n"},
    {LIFE_DIES, 1, "cassatad: ended before it was ready\n"},
    {LIFE_NO_DIRECTORY, 1, "cassatad: No such file or directory\n"},
};

/* Whether the process is where and how a daemon should be. */
static int
is_daemon(void)
{
	char cwd[PATH_MAX];
	struct stat null, output;

	return getcwd(cwd, sizeof(cwd)) != NULL && strcmp(cwd, dir) == 0 &&
	       getsid(0) != getpid() && umask(027) == 027 &&
	       stat("/dev/null", &null) == 0 && fstat(1, &output) == 0 &&
	       null.st_rdev == output.st_rdev;
}

__attribute__((noreturn)) static void
live(enum life life)
{
	struct err err;
	int fd =
	    daemonize(life == LIFE_NO_DIRECTORY ? "/nonexistent" : dir, &err);

	if (life == LIFE_READY && is_daemon())
		daemonize_ready(&fd);
	else if (life != LIFE_DIES)
		daemonize_failed(&fd, "the reason");
	_exit(0);
}

START_TEST(test_first_process_tells)
{
	char said[256] = "";
	int output[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(output), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (dup2(output[1], STDERR_FILENO) == -1)
			_exit(9);
		fd_close(&output[0]);
		fd_close(&output[1]);
		live(lives[_i].life);
	}
	fd_close(&output[1]);
	while ((n = read(output[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	fd_close(&output[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), lives[_i].exit_code);
	ck_assert_str_eq(said, lives[_i].said);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("daemonize");
	TCase *tc = tcase_create("daemonize");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_first_process_tells, 0,
	    (int)(sizeof(lives) / sizeof(lives[0])));
	suite_add_tcase(s, tc);
	return suite_run(s);
}
