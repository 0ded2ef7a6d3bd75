/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "suite.h"

enum { LINE_BYTES = 2048 };

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static char dir[64], path[96], old_path[96];
static char content[2 * LOG_LINE_BYTES_MAX];

static int64_t
fixed_wall_ms(void)
{
	return INT64_C(1795476488123); /* 2026-11-23T23:28:08.123Z */
}

static void
setup(void)
{
	struct err err;

	(void)snprintf(dir, sizeof(dir), "/tmp/cassata-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	(void)snprintf(old_path, sizeof(old_path), "%s/log.1", dir);
	clock_wall_replace(fixed_wall_ms);
	log_set_name("worker 3");
	ck_assert_int_eq(log_open(path, LOG_LEVEL_INFO, LINE_BYTES, &err), 0);
}

static void
teardown(void)
{
	struct err err;

	ck_assert_int_eq(
	    log_open("stderr", LOG_LEVEL_INFO, LINE_BYTES, &err), 0);
	(void)unlink(path);
	(void)unlink(old_path);
	(void)rmdir(dir);
}

/* The file's text, until the next call. */
static const char *
read_file(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, content, sizeof(content) - 1);
	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	(void)close(fd);
	return content;
}

/* The line that a message of this level and text makes. */
static const char *
expected(const char *level, const char *text)
{
	static char line[4096];

	(void)snprintf(line, sizeof(line),
	    "2026-11-23T23:28:08.123Z %s[%ld] %s: %s\n", "worker 3",
	    (long)getpid(), level, text);
	return line;
}

START_TEST(test_levels)
{
	static const struct {
		const char *level, *text;
	} lines[] = {
	    {"info", "count 1"},
	    {"warn", "warn: No such file or directory"},
	    {"warn", "warnx"},
	    {"error", "errorx"},
	};
	const char *rest;

	errno = ENOENT;
	log_debug("not shown");
	log_info("count %d", 1);
	ck_assert_int_eq(errno, ENOENT);
	log_warn("warn");
	log_warnx("warnx");
	ck_assert_int_eq(errno, ENOENT);
	log_errorx("errorx");
	ck_assert_int_eq(errno, ENOENT);

	rest = read_file(path);
	for (int i = 0; i < COUNT(lines); i++) {
		const char *line = expected(lines[i].level, lines[i].text);

		ck_assert_int_eq(strncmp(rest, line, strlen(line)), 0);
		rest += strlen(line);
	}
	ck_assert_str_eq(rest, "");
}
END_TEST

static const struct {
	enum log_level level;
	unsigned lines;
} filters[] = {
    {LOG_LEVEL_ERROR, 1},
    {LOG_LEVEL_WARN, 2},
    {LOG_LEVEL_INFO, 3},
    {LOG_LEVEL_DEBUG, 4},
};

START_TEST(test_filter)
{
	struct err err;
	unsigned lines = 0;

	ck_assert_int_eq(
	    log_open(path, filters[_i].level, LINE_BYTES, &err), 0);
	log_debug("x");
	log_info("x");
	log_warnx("x");
	log_errorx("x");
	for (const char *p = read_file(path); *p != '\0'; p++)
		lines += *p == '\n';
	ck_assert_uint_eq(lines, filters[_i].lines);
}
END_TEST

static const struct {
	const char *text, *shown;
} escapes[] = {
    {"", ""},
    {"a b~", "a b~"},
    {"line\r\nforged", "line\\x0D\\x0Aforged"},
    {"\t\x1b[2J\x7f", "\\x09\\x1B[2J\\x7F"},
    {"Stra\xc3\x9f\x65 \xe2\x82\xac \xf0\x9f\x8d\xa8",
	"Stra\xc3\x9f\x65 \xe2\x82\xac \xf0\x9f\x8d\xa8"},
    {"\xc3(\xff", "\\xC3(\\xFF"},
    {"\xc2\x9b\x32J \xc2\xa0", "\\xC2\\x9B2J \xc2\xa0"},
    {"\xe2\x82", "\\xE2\\x82"},
    {"\xe2\x80\xae\xe2\x80\xa7", "\\xE2\\x80\\xAE\xe2\x80\xa7"},
    {"%s", "%s"},
};

START_TEST(test_escapes)
{
	log_info("%s", escapes[_i].text);
	ck_assert_str_eq(read_file(path), expected("info", escapes[_i].shown));
}
END_TEST

/* A byte that is shown as it is, one that is escaped, one of several bytes. */
static const char *const fillers[] = {"a", "\x01", "\xe2\x82\xac"};
static const char *const shown[] = {"a", "\\x01", "\xe2\x82\xac"};

static const size_t line_bytes[] = {
    LOG_LINE_BYTES_MIN, 2048, LOG_LINE_BYTES_MAX};

START_TEST(test_long_lines)
{
	size_t max = line_bytes[_i / COUNT(fillers)];
	int which = _i % COUNT(fillers);
	const char *filler = fillers[which], *p;
	char text[LOG_LINE_BYTES_MAX + 1000];
	size_t unit = strlen(filler), len;
	struct err err;

	ck_assert_int_eq(log_open(path, LOG_LEVEL_INFO, max, &err), 0);
	for (len = 0; len + unit < sizeof(text); len += unit)
		memcpy(text + len, filler, unit);
	text[len] = '\0';
	log_info("%s", text);
	log_info("next");

	p = strchr(read_file(path), '\n');
	ck_assert_ptr_nonnull(p);
	len = (size_t)(p - content) + 1;
	ck_assert_uint_le(len, max);
	ck_assert_uint_gt(len, max - 10);
	/* Cut between characters. */
	unit = strlen(shown[which]);
	if (which < 2)
		ck_assert_int_eq(memcmp(p - unit, shown[which], unit), 0);
	ck_assert_str_eq(p + 1, expected("info", "next"));
}
END_TEST

START_TEST(test_reopen)
{
	log_info("one");
	ck_assert_int_eq(rename(path, old_path), 0);
	log_info("two");
	ck_assert_int_eq(log_reopen(), 0);
	log_info("three");
	ck_assert_ptr_nonnull(strstr(read_file(old_path), "two"));
	ck_assert_str_eq(read_file(path), expected("info", "three"));
}
END_TEST

START_TEST(test_reopen_fails)
{
	int fd = log_fd();

	ck_assert_int_eq(rename(path, old_path), 0);
	/* A directory in its place. */
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(log_reopen(), -1);
	log_info("still here");
	ck_assert_int_eq(log_fd(), fd);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_ptr_nonnull(strstr(read_file(old_path), "cannot reopen"));
	ck_assert_ptr_nonnull(strstr(content, "still here"));
}
END_TEST

/* Neither waited for nor written to. */
START_TEST(test_no_file)
{
	struct err err;
	int fd = log_fd();

	ck_assert_int_eq(rename(path, old_path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(log_reopen(), -1);
	ck_assert_int_eq(log_fd(), fd);
	ck_assert_int_eq(log_open(path, LOG_LEVEL_INFO, LINE_BYTES, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "it is no regular file"));
	ck_assert_ptr_nonnull(
	    strstr(read_file(old_path), "it is no regular file"));
}
END_TEST

/* A second name may be that of a file that is not a log. */
START_TEST(test_second_name)
{
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(link(path, old_path), 0);
	ck_assert_int_eq(log_reopen(), -1);
	ck_assert_ptr_nonnull(strstr(read_file(path), "hard link"));
	ck_assert_int_eq(unlink(old_path), 0);
	ck_assert_int_eq(log_reopen(), 0);
	ck_assert_int_eq(rename(path, old_path), 0);
	ck_assert_int_eq(symlink(old_path, path), 0);
	ck_assert_int_eq(log_reopen(), -1);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(log_reopen(), 0);
}
END_TEST

/* As a child does, which another process opens the log for. */
START_TEST(test_use)
{
	int fd = log_fd();

	log_info("one");
	ck_assert_int_eq(rename(path, old_path), 0);
	log_use(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
	ck_assert_int_eq(log_fd(), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	log_info("two");
	ck_assert_str_eq(read_file(path), expected("info", "two"));
	ck_assert_int_eq(rename(path, old_path), 0);
	log_use(-1);
	log_info("three");
	ck_assert_ptr_nonnull(strstr(read_file(old_path), "three"));
}
END_TEST

/* As when the disk is full. */
static void
limit_file(rlim_t bytes)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(test_cut)
{
	const char *line;
	struct stat st;

	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	log_info("one");
	ck_assert_int_eq(stat(path, &st), 0);
	limit_file((rlim_t)st.st_size + 8);
	log_info("cut");
	log_info("lost");
	limit_file(RLIM_INFINITY);
	log_info("two");
	line = strstr(read_file(path), "one\n2026-11-\n");
	ck_assert_ptr_nonnull(line);
	ck_assert_str_eq(
	    line + strlen("one\n2026-11-\n"), expected("info", "two"));
	log_info("three");
	ck_assert_ptr_nonnull(strstr(read_file(path), "two\n2026"));
}
END_TEST

START_TEST(test_cut_before_reopen)
{
	struct stat st;

	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	log_info("one");
	ck_assert_int_eq(stat(path, &st), 0);
	limit_file((rlim_t)st.st_size + 8);
	log_info("cut");
	limit_file(RLIM_INFINITY);
	ck_assert_int_eq(rename(path, old_path), 0);
	ck_assert_int_eq(log_reopen(), 0);
	log_info("two");
	ck_assert_str_eq(read_file(path), expected("info", "two"));
}
END_TEST

START_TEST(test_appends)
{
	struct err err;
	struct stat st;

	log_info("one");
	ck_assert_int_eq(log_open(path, LOG_LEVEL_INFO, LINE_BYTES, &err), 0);
	log_info("two");
	ck_assert_ptr_nonnull(strstr(read_file(path), "one\n"));
	ck_assert_ptr_nonnull(strstr(content, "two\n"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0137, 0);
}
END_TEST

START_TEST(test_open_fails)
{
	char name[PATH_MAX + 1];
	struct err err;

	ck_assert_int_eq(
	    log_open("/nonexistent/dir/log", LOG_LEVEL_INFO, LINE_BYTES, &err),
	    -1);
	ck_assert_str_eq(err.text,
	    "cannot open log /nonexistent/dir/log: No such file or directory");
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(log_open(name, LOG_LEVEL_INFO, LINE_BYTES, &err), -1);
	ck_assert_str_eq(err.text, "log path too long");
	log_info("to the old one");
	ck_assert_str_eq(read_file(path), expected("info", "to the old one"));
}
END_TEST

START_TEST(test_descriptor)
{
	struct err err;

	ck_assert_int_gt(log_fd(), STDERR_FILENO);
	ck_assert_int_eq(
	    log_open("syslog", LOG_LEVEL_INFO, LINE_BYTES, &err), 0);
	ck_assert_int_eq(log_fd(), -1);
	ck_assert_int_eq(
	    log_open("stderr", LOG_LEVEL_INFO, LINE_BYTES, &err), 0);
	ck_assert_int_eq(log_fd(), STDERR_FILENO);
}
END_TEST

/* Standard error is the file; the variable says so, or names another one. */
static const struct {
	int step;
	const char *expected;
} journals[] = {
    {0, "<3>worker 3[%ld]: lost\n<6>worker 3[%ld]: found\n"},
    {1, "2026-11-23T23:28:08.123Z worker 3[%ld] error: lost\n"
	"2026-11-23T23:28:08.123Z worker 3[%ld] info: found\n"},
};

START_TEST(test_journal)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	char text[256];
	struct stat st;
	struct err err;

	ck_assert(fd >= 0 && saved >= 0 && fstat(fd, &st) == 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	(void)snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino + (uintmax_t)journals[_i].step);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", text, 1), 0);
	ck_assert_int_eq(
	    log_open("stderr", LOG_LEVEL_INFO, LINE_BYTES, &err), 0);
	log_errorx("lost");
	log_info("found");
	ck_assert_int_eq(unsetenv("JOURNAL_STREAM"), 0);
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	(void)close(fd);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof(text), journals[_i].expected,
	    (long)getpid(), (long)getpid());
#pragma GCC diagnostic pop
	ck_assert_str_eq(read_file(path), text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_levels);
	tcase_add_loop_test(tc, test_filter, 0, COUNT(filters));
	tcase_add_loop_test(tc, test_escapes, 0, COUNT(escapes));
	tcase_add_loop_test(
	    tc, test_long_lines, 0, COUNT(fillers) * COUNT(line_bytes));
	tcase_add_test(tc, test_reopen);
	tcase_add_test(tc, test_reopen_fails);
	tcase_add_test(tc, test_no_file);
	tcase_add_test(tc, test_second_name);
	tcase_add_test(tc, test_use);
	tcase_add_test(tc, test_cut);
	tcase_add_test(tc, test_cut_before_reopen);
	tcase_add_test(tc, test_appends);
	tcase_add_test(tc, test_open_fails);
	tcase_add_test(tc, test_descriptor);
	tcase_add_loop_test(tc, test_journal, 0, COUNT(journals));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
