/* SPDX-License-Identifier: ISC */
#include "master/pidfile.h"

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

static char dir[] = "/tmp/pidfile_test.XXXXXX";
static char path[PATH_MAX];

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/pid", dir);
}

static void
teardown(void)
{
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	fd_close(&fd);
}

static void
assert_file_is(const char *expected)
{
	char text[64] = "";
	FILE *f = fopen(path, "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	ck_assert_int_eq(fgetc(f), EOF);
	(void)fclose(f);
	ck_assert_str_eq(text, expected);
}

START_TEST(test_pidfile)
{
	struct pidfile pidfile;
	struct err err = {0};
	char expected[32];

	/* Left behind by a process that was killed. */
	write_file("123456789\nand more\n");
	ck_assert_msg(pidfile_lock(&pidfile, path, &err) == 0, "%s", err.text);
	ck_assert(pidfile.left);
	(void)snprintf(expected, sizeof(expected), "%ld\n", (long)getpid());
	/* Reading it here would end the lock, which no one needs any more. */
	assert_file_is(expected);
	pidfile_remove(&pidfile);
	ck_assert_int_eq(access(path, F_OK), -1);
	pidfile_remove(&pidfile);
}
END_TEST

/* A process that holds the lock until the descriptor is closed. */
static pid_t
fork_holder(int *release_fd)
{
	struct pidfile pidfile;
	struct err err;
	int held[2], release[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(held), 0);
	ck_assert_int_eq(pipe(release), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fd_close(&release[1]);
		if (pidfile_lock(&pidfile, path, &err) == -1 ||
		    fd_write_all(held[1], "x", 1) == -1 ||
		    read(release[0], &byte, 1) != 0)
			_exit(1);
		pidfile_remove(&pidfile);
		_exit(0);
	}
	fd_close(&held[1]);
	fd_close(&release[0]);
	ck_assert_int_eq(read(held[0], &byte, 1), 1);
	fd_close(&held[0]);
	*release_fd = release[1];
	return pid;
}

START_TEST(test_pidfile_of_another)
{
	struct pidfile pidfile;
	struct err err;
	char expected[64];
	int release_fd, status;
	pid_t holder = fork_holder(&release_fd);

	(void)snprintf(expected, sizeof(expected), "already running (pid %ld)",
	    (long)holder);
	ck_assert_int_eq(pidfile_lock(&pidfile, path, &err), -1);
	ck_assert_str_eq(err.text, expected);
	ck_assert_int_eq(pidfile.fd, -1);
	/* What is not ours stays. */
	pidfile_remove(&pidfile);
	ck_assert_int_eq(access(path, F_OK), 0);

	fd_close(&release_fd);
	ck_assert_int_eq(waitpid(holder, &status, 0), holder);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(pidfile_lock(&pidfile, path, &err), 0);
	pidfile_remove(&pidfile);
}
END_TEST

/* Whether another process could start now. */
static bool
is_free(void)
{
	struct pidfile pidfile;
	struct err err;
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(pidfile_lock(&pidfile, path, &err) == 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status) != 0;
}

/* A process follows the one that forked it; at no step is the file free. */
START_TEST(test_pidfile_follow)
{
	struct pidfile pidfile, of_child;
	struct err err = {0};
	char expected[32];
	int followed[2], left[2], status;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(followed), 0);
	ck_assert_int_eq(pipe(left), 0);
	ck_assert_int_eq(pidfile_lock(&pidfile, path, &err), 0);
	ck_assert(!pidfile.left);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (pidfile_follow(&of_child, path, &err) == -1 ||
		    fd_write_all(followed[1], "x", 1) == -1 ||
		    pidfile_take_over(&of_child, &err) == -1 ||
		    fd_write_all(followed[1], "x", 1) == -1 ||
		    read(left[0], &byte, 1) != 1)
			_exit(1);
		pidfile_remove(&of_child);
		_exit(0);
	}
	ck_assert_int_eq(read(followed[0], &byte, 1), 1);
	ck_assert(!is_free());
	pidfile_leave(&pidfile);
	ck_assert_int_eq(pidfile.fd, -1);
	ck_assert(!is_free());
	ck_assert_int_eq(read(followed[0], &byte, 1), 1);
	ck_assert(!is_free());
	(void)snprintf(expected, sizeof(expected), "%ld\n", (long)pid);
	assert_file_is(expected);
	/* It is not ours any more. */
	pidfile_remove(&pidfile);
	assert_file_is(expected);
	ck_assert_int_eq(write(left[1], "x", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* One that fails leaves the file to its holder. */
START_TEST(test_pidfile_follower_fails)
{
	struct pidfile pidfile, of_child;
	struct err err = {0};
	int status;
	pid_t pid;

	ck_assert_int_eq(pidfile_lock(&pidfile, path, &err), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (pidfile_follow(&of_child, path, &err) == -1)
			_exit(1);
		pidfile_remove(&of_child);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert(!is_free());
	pidfile_remove(&pidfile);
}
END_TEST

/* There is no file, or its holder is not the parent. */
START_TEST(test_pidfile_of_no_parent)
{
	struct pidfile pidfile;
	struct err err;

	ck_assert_int_eq(pidfile_follow(&pidfile, path, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
	write_file("1\n");
	ck_assert_int_eq(pidfile_follow(&pidfile, path, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "is not the pid file of"));
	ck_assert_int_eq(pidfile.fd, -1);
}
END_TEST

START_TEST(test_pidfile_nowhere)
{
	struct pidfile pidfile;
	struct err err;

	ck_assert_int_eq(pidfile_lock(&pidfile, "/nonexistent/pid", &err), -1);
	ck_assert_str_eq(err.text,
	    "cannot open /nonexistent/pid: No such file or directory");
}
END_TEST

/* Not waited for, and what has another name is not written to. */
START_TEST(test_pidfile_that_is_none)
{
	struct pidfile pidfile;
	struct err err;
	char other[PATH_MAX + 8];

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(pidfile_lock(&pidfile, path, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "it is no regular file"));
	ck_assert_int_eq(pidfile_follow(&pidfile, path, &err), -1);
	ck_assert_int_eq(unlink(path), 0);
	write_file("precious");
	(void)snprintf(other, sizeof(other), "%s.link", path);
	ck_assert_int_eq(link(path, other), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(pidfile_lock(&pidfile, path, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "hard link"));
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(unlink(other), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pidfile");
	TCase *tc = tcase_create("pidfile");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_pidfile);
	tcase_add_test(tc, test_pidfile_of_another);
	tcase_add_test(tc, test_pidfile_follow);
	tcase_add_test(tc, test_pidfile_follower_fails);
	tcase_add_test(tc, test_pidfile_of_no_parent);
	tcase_add_test(tc, test_pidfile_nowhere);
	tcase_add_test(tc, test_pidfile_that_is_none);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
