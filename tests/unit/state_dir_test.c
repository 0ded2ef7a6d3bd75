/* SPDX-License-Identifier: ISC */
#include "proc/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "proc/old_database.h"
#include "store/store.h"
#include "suite.h"

static char dir[] = "/tmp/cassata-state-test-XXXXXX";
static struct err err;

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void
teardown(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- an older version's file ---- */

static void
write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	fd_close(&fd);
}

static void
assert_file(const char *name, const char *text)
{
	char found[64] = "";
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd != -1, "%s is missing", name);
	ck_assert_int_ge(read(fd, found, sizeof(found) - 1), 0);
	ck_assert_str_eq(found, text);
	fd_close(&fd);
}

static void
make_old(void)
{
	ck_assert_int_eq(mkdir("data", 0700), 0);
	write_file("db", "file");
	write_file("db-wal", "wal");
	write_file("db-shm", "shm");
	write_file("other", "stays");
}

static void
assert_moved(void)
{
	struct stat st;

	assert_file("data/db", "file");
	assert_file("data/db-wal", "wal");
	assert_file("other", "stays");
	ck_assert_int_eq(lstat("db", &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	assert_file("db", "file");
	ck_assert_int_eq(access("db-wal", F_OK), -1);
}

START_TEST(test_move)
{
	make_old();
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
	assert_moved();
	/* Once is enough. */
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
	assert_moved();
}
END_TEST

START_TEST(test_nothing_to_move)
{
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
	ck_assert_int_eq(mkdir("db", 0700), 0);
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
}
END_TEST

START_TEST(test_nowhere_to_move)
{
	write_file("db", "file");
	ck_assert_int_eq(old_database_move(dir, "db", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "/data: "));
	assert_file("db", "file");
	ck_assert_int_eq(old_database_move("nowhere", "db", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "state directory nowhere: "));
}
END_TEST

/* A directory in the way: what came before it stays where it is now. */
START_TEST(test_move_stops)
{
	make_old();
	ck_assert_int_eq(mkdir("data/db-wal", 0700), 0);
	ck_assert_int_eq(old_database_move(dir, "db", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "db-wal cannot move to "));
	assert_file("db", "file");
	assert_file("db-wal", "wal");
	ck_assert_int_eq(rmdir("data/db-wal"), 0);
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
	assert_moved();
}
END_TEST

/* However far the last attempt came. */
START_TEST(test_move_goes_on)
{
	make_old();
	ck_assert_int_eq(rename("db-wal", "data/db-wal"), 0);
	if (_i == 1)
		ck_assert_int_eq(rename("db-shm", "data/db-shm"), 0);
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
	assert_moved();
}
END_TEST

START_TEST(test_two_of_them)
{
	make_old();
	write_file("data/db", "new");
	ck_assert_int_eq(old_database_move(dir, "db", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "both "));
	assert_file("db", "file");
	assert_file("db-wal", "wal");
	assert_file("data/db", "new");
}
END_TEST

/* A child that holds a shared lock, as a connection in WAL mode does. */
static pid_t
hold(int *end)
{
	struct flock lock = {.l_type = F_RDLCK,
	    .l_whence = SEEK_SET,
	    .l_start = 0x40000000 + 2,
	    .l_len = 510};
	int fds[2], fd;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		fd = open("db", O_RDONLY | O_CLOEXEC);
		if (fcntl(fd, F_SETLK, &lock) == 0)
			(void)fd_write_all(fds[1], "l", 1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	*end = fds[0];
	fd_close(&fds[1]);
	return pid;
}

START_TEST(test_in_use)
{
	char number[16];
	int end;
	pid_t pid;

	make_old();
	pid = hold(&end);
	ck_assert_int_eq(old_database_move(dir, "db", &err), -1);
	(void)snprintf(number, sizeof(number), "%ld", (long)pid);
	ck_assert_ptr_nonnull(strstr(err.text, number));
	assert_file("db-wal", "wal");
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	fd_close(&end);
	ck_assert_int_eq(old_database_move(dir, "db", &err), 0);
	assert_moved();
}
END_TEST

/* ---- what children must not write to ---- */

/* Below dir; NULL for a directory beside all of them. */
static const struct {
	const char *url, *config, *pid, *refused;
} guards[] = {
    {"sqlite:db", "cassata.yaml", "pid", NULL},
    {"sqlite:own/db", "cassata.yaml", "pid", NULL},
    {"sqlite:own/db", "own/cassata.yaml", "pid", "the configuration"},
    {"sqlite:own/db", "own/below/x.yaml", "pid", "the configuration"},
    {"sqlite:own/db", "link.yaml", "pid", "the configuration"},
    {"sqlite:own/db", "owner/cassata.yaml", "pid", NULL},
    {"sqlite:own/db", "cassata.yaml", "own/pid", "master.pidFile"},
    {"sqlite:db", "cassata.yaml", "data/pid", "master.pidFile"},
    {"sqlite:way/db", "cassata.yaml", "own/pid", "master.pidFile"},
    {"sqlite:way/db", "way/cassata.yaml", "pid", "the configuration"},
    {"sqlite:owner/db", "own/cassata.yaml", "pid", "the configuration"},
    {"sqlite:../x.db", "cassata.yaml", "pid", "the configuration"},
    {"mysql://h/db", "own/cassata.yaml", "own/pid", NULL},
};

static char *
below(const char *name)
{
	char *path;

	ck_assert_int_ne(asprintf(&path, "%s/%s", dir, name), -1);
	return path;
}

START_TEST(test_guard)
{
	struct config cfg = {
	    .file = below(guards[_i].config),
	    .master = {.state_dir = dir,
		.pid_file = below(guards[_i].pid),
		.control_socket = below("sock")},
	};
	int status;

	ck_assert_int_eq(
	    sql_describe(guards[_i].url, dir, &cfg.datastore.place, NULL), 0);
	ck_assert_int_eq(mkdir("data", 0700) | mkdir("own", 0700) |
			     mkdir("own/below", 0700) | mkdir("owner", 0700) |
			     symlink("own", "way") |
			     symlink("own/x.yaml", "link.yaml"),
	    0);
	write_file("own/x.yaml", "");
	write_file("own/db", "");
	ck_assert_int_eq(symlink("../own/db", "owner/db"), 0);
	status = state_dir_guard(&cfg, NULL, &err);
	ck_assert_int_eq(status, guards[_i].refused == NULL ? 0 : -1);
	if (status == -1)
		ck_assert_msg(strncmp(err.text, guards[_i].refused,
				  strlen(guards[_i].refused)) == 0,
		    "%s", err.text);
	sql_place_free(&cfg.datastore.place);
	free(cfg.file);
	free(cfg.master.pid_file);
	free(cfg.master.control_socket);
}
END_TEST

START_TEST(test_former)
{
	ck_assert_int_eq(mkdir("old", 0700), 0);
	ck_assert_int_eq(mkdir("new", 0700), 0);
	ck_assert_int_eq(state_dir_check_former("old", "new", &err), 0);
	ck_assert_int_eq(state_dir_check_former("none", "new", &err), 0);
	write_file(_i == 0 ? "old/cassata.yaml" : "old/cassata.db", "");
	ck_assert_int_eq(state_dir_check_former("old", "old", &err), 0);
	ck_assert_int_eq(state_dir_check_former("old", "new", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "mv old new"));
	ck_assert_int_eq(mkdir("new/data", 0700), 0);
	ck_assert_int_eq(state_dir_check_former("old", "new", &err), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("state_dir");
	TCase *tc = tcase_create("state_dir");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_move);
	tcase_add_test(tc, test_nothing_to_move);
	tcase_add_test(tc, test_nowhere_to_move);
	tcase_add_test(tc, test_move_stops);
	tcase_add_loop_test(tc, test_move_goes_on, 0, 2);
	tcase_add_test(tc, test_two_of_them);
	tcase_add_test(tc, test_in_use);
	tcase_add_loop_test(
	    tc, test_guard, 0, (int)(sizeof(guards) / sizeof(guards[0])));
	tcase_add_loop_test(tc, test_former, 0, 2);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
