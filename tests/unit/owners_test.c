/* SPDX-License-Identifier: ISC */
#include "master/owners.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

#define OWNER UINT64_C(0x00000000deadbeef)

enum { MAX = 10 };

static char dir[] = "/tmp/cassata-owners-XXXXXX";
static struct owners owners;

static void
begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	owners_open(&owners, dir);
	ck_assert_int_ne(owners.dir_fd, -1);
}

static void
end(void)
{
	char command[64];

	owners_close(&owners);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static bool
is_own(const void *arg, uint64_t owner)
{
	const uint64_t *own = arg;

	return own != NULL && *own == owner;
}

static size_t n_living;

static size_t
take(uint64_t *dead, size_t max)
{
	size_t n =
	    owners_find_dead(&owners, dead, max, is_own, NULL, &n_living);

	for (size_t i = 0; i < n; i++)
		owners_forget(&owners, dead[i]);
	return n;
}

static size_t
n_dead(void)
{
	uint64_t dead[MAX];
	size_t n = take(dead, MAX);

	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(dead[i], OWNER + i);
	return n;
}

static bool
is_there(const char *name)
{
	return faccessat(owners.dir_fd, name, F_OK, 0) == 0;
}

/* A worker, and its master without the descriptor. */
static pid_t
spawn(void)
{
	int fd = owners_hold(&owners, OWNER);
	pid_t pid;

	ck_assert_int_ne(fd, -1);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(close(fd), 0);
	return pid;
}

static void
end_by(pid_t pid, int number)
{
	int status;

	ck_assert_int_eq(kill(pid, number), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

/* It lives, also stopped, until the kernel says otherwise. */
START_TEST(test_killed)
{
	pid_t pid = spawn();

	ck_assert_uint_eq(n_dead(), 0);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	ck_assert_uint_eq(n_dead(), 0);
	ck_assert_uint_eq(n_living, 1);
	ck_assert(is_there("00000000deadbeef"));
	end_by(pid, SIGKILL);
	ck_assert_uint_eq(n_dead(), 1);
	ck_assert_uint_eq(n_living, 0);
	/* Once. */
	ck_assert(!is_there("00000000deadbeef"));
	ck_assert_uint_eq(n_dead(), 0);
}
END_TEST

/* Who cannot be looked at may live: a lack of descriptors is no death. */
START_TEST(test_out_of_descriptors)
{
	struct rlimit limit, small;
	int next;

	end_by(spawn(), SIGKILL);
	next = dup(owners.dir_fd);
	ck_assert_int_ne(next, -1);
	ck_assert_int_eq(close(next), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = (rlim_t)next + 1; /* the directory's own */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
	ck_assert_uint_eq(n_dead(), 0);
	ck_assert_uint_eq(n_living, 1);
	ck_assert(is_there("00000000deadbeef"));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(n_dead(), 1);
	ck_assert_uint_eq(n_living, 0);
}
END_TEST

START_TEST(test_forgotten)
{
	end_by(spawn(), SIGKILL);
	owners_forget(&owners, OWNER);
	ck_assert_uint_eq(n_dead(), 0);
	owners_forget(&owners, OWNER); /* no matter */
}
END_TEST

/* Of a worker of its own a master learns in another way. */
START_TEST(test_own)
{
	const uint64_t own = OWNER;
	uint64_t dead[MAX];

	end_by(spawn(), SIGKILL);
	ck_assert_uint_eq(
	    owners_find_dead(&owners, dead, MAX, is_own, &own, &n_living), 0);
	ck_assert_uint_eq(n_living, 0);
	/* And until it is forgotten. */
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(owners_find_dead(&owners, dead, MAX, is_own,
				      NULL, &n_living),
		    1);
	ck_assert_uint_eq(n_dead(), 1);
}
END_TEST

START_TEST(test_limit)
{
	uint64_t dead[1];

	for (uint64_t i = 0; i < 3; i++) {
		int fd = owners_hold(&owners, OWNER + i);

		ck_assert_int_ne(fd, -1);
		ck_assert_int_eq(close(fd), 0);
	}
	ck_assert_uint_eq(take(dead, 1), 1);
	ck_assert_uint_eq(take(dead, 0), 0);
	ck_assert_uint_eq(take(dead, 1), 1);
	ck_assert_uint_eq(take(dead, 1), 1);
	ck_assert_uint_eq(take(dead, 1), 0);
}
END_TEST

/* On a directory that hosts share a lock of the other need not be seen. */
START_TEST(test_other_host)
{
	struct owners other = owners;
	int fd;

	other.boot[0] = other.boot[0] == '0' ? '1' : '0';
	fd = owners_hold(&other, OWNER);
	ck_assert_int_ne(fd, -1);
	ck_assert_uint_eq(n_dead(), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(n_dead(), 0);
	ck_assert(!is_there("00000000deadbeef"));
}
END_TEST

struct other_row {
	const char *name, *text;
	bool stays;
};

static const struct other_row other_rows[] = {
    {"00000000deadbeef", "", false},
    {"00000000deadbeef", "boot", false},
    {"0000000000000000", "", false},
    {"00000000DEADBEEF", "", false},
    {"deadbeef", "", false},
    {"new-00000000deadbeef", "", false},
    {".hidden", "", true},
};

/* Nobody's death is read from what else lies there. */
START_TEST(test_other_files)
{
	const struct other_row *row = &other_rows[_i];
	int fd = openat(owners.dir_fd, row->name, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_ne(write(fd, row->text, strlen(row->text)), -1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(n_dead(), 0);
	ck_assert(is_there(row->name) == row->stays);
}
END_TEST

START_TEST(test_links)
{
	ck_assert_int_eq(
	    symlinkat("/dev/zero", owners.dir_fd, "00000000deadbeef"), 0);
	ck_assert_int_eq(mkfifoat(owners.dir_fd, "00000000deadbef0", 0600), 0);
	ck_assert_uint_eq(n_dead(), 0);
}
END_TEST

START_TEST(test_no_directory)
{
	struct owners none;
	uint64_t dead[MAX];

	owners_open(&none, "/dev/null");
	ck_assert_int_eq(none.dir_fd, -1);
	ck_assert_int_eq(owners_hold(&none, OWNER), -1);
	owners_forget(&none, OWNER);
	ck_assert_uint_eq(
	    owners_find_dead(&none, dead, MAX, is_own, NULL, &n_living), 0);
	owners_close(&none);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("owners");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, test_killed);
	tcase_add_test(tc, test_out_of_descriptors);
	tcase_add_test(tc, test_forgotten);
	tcase_add_test(tc, test_own);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_other_host);
	tcase_add_loop_test(tc, test_other_files, 0,
	    (int)(sizeof(other_rows) / sizeof(other_rows[0])));
	tcase_add_test(tc, test_links);
	tcase_add_test(tc, test_no_directory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
