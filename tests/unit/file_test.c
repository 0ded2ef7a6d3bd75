/* SPDX-License-Identifier: ISC */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "suite.h"

static char dir[] = "/tmp/cassata-file-test-XXXXXX";
static char path[64], other[64];
static struct err err;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	(void)snprintf(other, sizeof(other), "%s/other", dir);
}

static void
teardown(void)
{
	(void)unlink(path);
	(void)rmdir(path);
	(void)unlink(other);
	(void)rmdir(dir);
}

static void
make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ne(fd, -1);
	fd_close(&fd);
}

static void
assert_opens(int flags)
{
	int fd = file_open(path, flags, 0640, &err);

	ck_assert_msg(fd != -1, "%s", err.text);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	fd_close(&fd);
}

static void
assert_refused(int flags, const char *reason)
{
	ck_assert_int_eq(file_open(path, flags, 0640, &err), -1);
	ck_assert_int_ne(errno, 0);
	ck_assert_str_eq(err.text, reason);
}

START_TEST(test_regular)
{
	assert_refused(O_RDONLY, "No such file or directory");
	ck_assert_int_eq(errno, ENOENT);
	assert_opens(O_WRONLY | O_CREAT);
	assert_opens(O_RDONLY);
	ck_assert(file_dir_is_ours(path));
}
END_TEST

static void
make_fifo(void)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void
make_dir(void)
{
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void
make_device(void)
{
	ck_assert_int_eq(symlink("/dev/null", path), 0);
}

static void
make_socket(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	fd_close(&fd);
}

static void (*const makers[])(void) = {
    make_fifo, make_dir, make_device, make_socket};

/* And without a wait: the test would time out. */
START_TEST(test_no_file)
{
	makers[_i]();
	assert_refused(O_RDONLY, makers[_i] == make_dir
				     ? "Is a directory"
				     : "it is no regular file");
	ck_assert_int_eq(file_open(path, O_WRONLY | O_APPEND, 0, &err), -1);
}
END_TEST

START_TEST(test_link)
{
	make(other);
	ck_assert_int_eq(symlink(other, path), 0);
	assert_opens(O_RDONLY);
	assert_refused(
	    O_RDONLY | O_NOFOLLOW, "Too many levels of symbolic links");
}
END_TEST

/* Where others can lay something. */
START_TEST(test_open_directory)
{
	make(path);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert(!file_dir_is_ours(path));
	assert_opens(O_RDONLY);
	ck_assert_int_eq(link(path, other), 0);
	assert_refused(O_RDONLY, "it has a second name (hard link)");
	ck_assert_int_eq(chmod(dir, 0700), 0);
	assert_opens(O_RDONLY);
}
END_TEST

/* 65534 is nobody; who it is does not matter. */
START_TEST(test_owner)
{
	if (geteuid() != 0)
		return;
	make(path);
	ck_assert_int_eq(chown(path, 65534, 65534), 0);
	assert_opens(O_RDONLY); /* as root has laid it there */
	ck_assert_int_eq(chmod(dir, 01777), 0);
	assert_refused(O_RDONLY, "it belongs to user 65534");
	ck_assert_int_eq(chown(dir, 65534, 65534), 0);
	assert_opens(O_RDONLY);
	ck_assert(!file_dir_is_ours(path));
}
END_TEST

static void
assert_no_program(const char *reason)
{
	ck_assert_int_eq(file_check_program(path, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, reason));
}

START_TEST(test_program)
{
	assert_no_program("No such file");
	make(path);
	ck_assert_int_eq(file_check_program(path, &err), 0);
	ck_assert_int_eq(chmod(path, 0757), 0);
	assert_no_program("everybody can write to /tmp/cassata-file-test");
	ck_assert_int_eq(chmod(path, 0755), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	assert_no_program("everybody can write to /tmp/cassata-file-test");
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(unlink(path), 0);
	make_dir();
	assert_no_program("no regular file");
}
END_TEST

START_TEST(test_program_of_others)
{
	if (geteuid() != 0)
		return;
	make(path);
	ck_assert_int_eq(chown(path, 65534, 65534), 0);
	assert_no_program("file belongs to user 65534");
	ck_assert_int_eq(chown(path, 0, 0), 0);
	ck_assert_int_eq(chown(dir, 65534, 65534), 0);
	assert_no_program("/ belongs to user 65534");
}
END_TEST

START_TEST(test_too_long)
{
	char name[PATH_MAX + 2];

	memset(name, '/', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert(!file_dir_is_ours(name));
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("file");
	TCase *tc = tcase_create("file");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_regular);
	tcase_add_loop_test(
	    tc, test_no_file, 0, (int)(sizeof(makers) / sizeof(makers[0])));
	tcase_add_test(tc, test_link);
	tcase_add_test(tc, test_open_directory);
	tcase_add_test(tc, test_owner);
	tcase_add_test(tc, test_too_long);
	tcase_add_test(tc, test_program);
	tcase_add_test(tc, test_program_of_others);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
