/* SPDX-License-Identifier: ISC */
#include "sql/sqlite_checkpoint.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "suite.h"

enum {
	PAGE = 4096,
	DEADLINE_MS = 60000,
};

static char dir[64], path[80], log_path[84];
static sqlite3 *db;
static struct sqlite_checkpoint *cp;
static _Atomic int file_flushes, failed_opens;
static _Atomic int64_t later_ms;

static void
run(sqlite3 *which, const char *sql)
{
	ck_assert_msg(sqlite3_exec(which, sql, NULL, NULL, NULL) == SQLITE_OK,
	    "%s: %s", sql, sqlite3_errmsg(which));
}

static sqlite3 *
open_db(void)
{
	sqlite3 *opened;

	ck_assert_int_eq(sqlite3_open(path, &opened), SQLITE_OK);
	run(opened, "PRAGMA synchronous = OFF"); /* this test loses no power */
	return opened;
}

/* SQLite's own, in place of the C library's. */
int
fdatasync(int fd)
{
	char link[32], name[sizeof(path)] = "";

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) > 0 &&
	    strcmp(name, path) == 0)
		file_flushes++;
	return 0;
}

static int
fail_to_open(const char *name, int flags, int mode)
{
	(void)name;
	(void)flags;
	(void)mode;
	failed_opens++;
	errno = EMFILE;
	return -1;
}

static void
let_opens_fail(bool fail)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	ck_assert_int_eq(vfs->xSetSystemCall(vfs, "open",
			     fail ? (sqlite3_syscall_ptr)fail_to_open : NULL),
	    SQLITE_OK);
}

static int64_t
test_clock(void)
{
	return 1000000 + later_ms;
}

static void
setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/checkpoint_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/db", dir);
	(void)snprintf(log_path, sizeof(log_path), "%s-wal", path);
	db = open_db();
	run(db, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;"
		"CREATE TABLE t (x)");
	cp = sqlite_checkpoint_create(path);
	ck_assert_ptr_nonnull(cp);
	sqlite_checkpoint_watch(cp, db);
}

static void
teardown(void)
{
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	sqlite_checkpoint_free(&cp);
	ck_assert_ptr_null(cp);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* About this many new pages. */
static void
commit(int pages)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "INSERT INTO t VALUES (zeroblob(%d))",
	    pages * PAGE);
	run(db, sql);
	sqlite_checkpoint_committed(cp, db);
}

static long
pages_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(name, &st), 0);
	return (long)(st.st_size / PAGE);
}

/* Another one each time that the log begins at its start. */
static unsigned
salt(void)
{
	unsigned char bytes[4];
	int fd = open(log_path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 16), sizeof(bytes));
	ck_assert_int_eq(close(fd), 0);
	return (unsigned)bytes[0] << 24 | (unsigned)bytes[1] << 16 |
	       (unsigned)bytes[2] << 8 | bytes[3];
}

static void
await(bool (*holds)(long), long value)
{
	int64_t end_ms = clock_mono_ms() + DEADLINE_MS;

	while (!holds(value)) {
		ck_assert_int_lt(clock_mono_ms(), end_ms);
		(void)poll(NULL, 0, 1);
	}
}

static bool
file_holds(long pages)
{
	return pages_of(path) >= pages;
}

/* By a commit that finds the bulk copied, and the next. */
static bool
begins_again(long before)
{
	commit(1);
	return salt() != (unsigned)before;
}

START_TEST(a_short_log_is_left_alone)
{
	for (int i = 0; i < 10; i++)
		commit(100);
	ck_assert_int_eq(pages_of(path), 1);
}
END_TEST

START_TEST(the_bulk_is_copied_without_a_commit)
{
	commit(SQLITE_LOG_PAGES + 1);
	await(file_holds, SQLITE_LOG_PAGES);
}
END_TEST

static bool
file_is_flushed(long times)
{
	return file_flushes >= times;
}

/* Though there is more in the log than it may copy. */
START_TEST(the_bulk_is_flushed_without_a_commit)
{
	sqlite3 *reader = open_db();

	commit(SQLITE_LOG_PAGES - 10);
	run(reader, "BEGIN; SELECT count(*) FROM t");
	file_flushes = 0;
	commit(20);
	await(file_is_flushed, 1);
	ck_assert_int_ge(pages_of(path), SQLITE_LOG_PAGES - 10);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
}
END_TEST

static char said_path[96];

static bool
has_said(long lines)
{
	FILE *file = fopen(said_path, "re");
	long n = 0;
	int c;

	ck_assert_ptr_nonnull(file);
	while ((c = getc(file)) != EOF)
		n += c == '\n';
	(void)fclose(file);
	return n == lines;
}

static bool
is_tried_again(long before)
{
	commit(1);
	return failed_opens > before;
}

static bool
says_with_a_commit(long lines)
{
	commit(1);
	return has_said(lines);
}

/* Tried once a second, and said once a minute, however many commits ask. */
START_TEST(a_copy_that_fails)
{
	unsigned before;
	struct err err;
	int tried;

	(void)snprintf(said_path, sizeof(said_path), "%s/said", dir);
	ck_assert_int_eq(log_open(said_path, LOG_LEVEL_INFO, 1024, &err), 0);
	clock_mono_replace(test_clock);
	let_opens_fail(true);
	commit(SQLITE_LOG_PAGES + 1);
	await(has_said, 1);
	tried = failed_opens;
	for (int i = 0; i < 20; i++)
		commit(1);
	ck_assert_int_eq(failed_opens, tried);
	for (int i = 0; i < 3; i++) {
		later_ms += 1000;
		await(is_tried_again, failed_opens);
		ck_assert(has_said(1));
	}
	later_ms += 60000;
	await(says_with_a_commit, 2);
	let_opens_fail(false);
	later_ms += 1000;
	before = salt();
	await(begins_again, (long)before);
	ck_assert(has_said(2));
	clock_mono_replace(NULL);
	ck_assert_int_eq(log_open("stderr", LOG_LEVEL_INFO, 1024, &err), 0);
	ck_assert_int_eq(unlink(said_path), 0);
}
END_TEST

START_TEST(the_log_begins_again)
{
	for (int i = 0; i < 3; i++) {
		unsigned before = salt();

		commit(SQLITE_LOG_PAGES + 1);
		await(begins_again, (long)before);
	}
}
END_TEST

START_TEST(the_log_is_bounded)
{
	for (int i = 0; i < 600; i++)
		commit(40);
	/* The commit that crosses the bound copies, the next begins again. */
	ck_assert_int_lt(pages_of(log_path), SQLITE_LOG_PAGES_MAX + 1000);
}
END_TEST

START_TEST(a_reader_holds_the_log_up)
{
	sqlite3 *reader = open_db();
	unsigned before;

	commit(1);
	before = salt();
	run(reader, "BEGIN; SELECT count(*) FROM t");
	for (int i = 0; i < 500; i++)
		commit(40);
	ck_assert_uint_eq(salt(), before);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	await(begins_again, (long)before);
}
END_TEST

START_TEST(freed_while_it_copies)
{
	commit(SQLITE_LOG_PAGES + 1);
}
END_TEST

static _Atomic int file_writes;

static ssize_t
write_slowly(int fd, const void *bytes, size_t size, off_t at)
{
	(void)poll(NULL, 0, 1);
	file_writes++;
	return pwrite(fd, bytes, size, at);
}

static void
let_writes_be_slow(bool slow)
{
	static const char *const names[] = {"pwrite", "pwrite64"};
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_int_eq(
		    vfs->xSetSystemCall(vfs, names[i],
			slow ? (sqlite3_syscall_ptr)write_slowly : NULL),
		    SQLITE_OK);
}

static bool
file_is_written(long times)
{
	return file_writes >= times;
}

/* Who waits for it does not wait for all of the log. */
START_TEST(freed_on_a_slow_disk)
{
	commit(SQLITE_LOG_PAGES - 1);
	let_writes_be_slow(true);
	commit(2);
	file_writes = 0;
	await(file_is_written, 1);
	sqlite_checkpoint_free(&cp);
	ck_assert_int_lt(file_writes, SQLITE_LOG_PAGES / 2);
	let_writes_be_slow(false);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sqlite_checkpoint");
	TCase *tc = tcase_create("sqlite_checkpoint");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_short_log_is_left_alone);
	tcase_add_test(tc, the_bulk_is_copied_without_a_commit);
	tcase_add_test(tc, the_bulk_is_flushed_without_a_commit);
	tcase_add_test(tc, a_copy_that_fails);
	tcase_add_test(tc, the_log_begins_again);
	tcase_add_test(tc, the_log_is_bounded);
	tcase_add_test(tc, a_reader_holds_the_log_up);
	tcase_add_test(tc, freed_while_it_copies);
	tcase_add_test(tc, freed_on_a_slow_disk);
	return suite_run(suite);
}
