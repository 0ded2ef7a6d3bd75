/* SPDX-License-Identifier: ISC */
#include "base/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static char dir[] = "/tmp/zones_test.XXXXXX";
static struct zones *zones;
static struct err err;

/* A file of version 1: one offset, for ever. */
static void
write_zone(const char *name, int32_t offset_s)
{
	static const char head[44] = "TZif";
	unsigned char bytes[44 + 6 + 4] = {0};
	char path[200], made[220];
	FILE *file;

	memcpy(bytes, head, sizeof(head));
	bytes[39] = 1; /* type */
	bytes[43] = 4; /* chars */
	for (int i = 0; i < 4; i++)
		bytes[44 + i] =
		    (unsigned char)((uint32_t)offset_s >> (24 - 8 * i));
	memcpy(bytes + 50, "ABC", 4);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)snprintf(made, sizeof(made), "%s.new", path);
	file = fopen(made, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(rename(made, path), 0); /* as packages do */
}

static void
setup(void)
{
	char path[200];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/Europe", dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	write_zone("Europe/Berlin", 3600);
	write_zone("UTC", 0);
	zones = zones_create(dir);
	ck_assert_ptr_nonnull(zones);
}

static void
teardown(void)
{
	char command[100];

	zones_free(&zones);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c) */
}

static int32_t
offset_of(const char *name, int64_t mono_ms)
{
	const struct tzif *tz =
	    zones_find(zones, slice_from_string(name), mono_ms, &err);

	return tz == NULL ? INT32_MIN : tzif_span(tz, 0).offset_s;
}

static void
expect_none(const char *name, int64_t mono_ms, const char *reason)
{
	ck_assert_int_eq(offset_of(name, mono_ms), INT32_MIN);
	ck_assert_msg(strstr(err.text, reason) != NULL, "%s", err.text);
}

static const struct {
	const char *name;
	bool may_be;
} names[] = {
    {"UTC", true},
    {"Europe/Berlin", true},
    {"America/Argentina/ComodRivadavia", true},
    {"Etc/GMT+12", true},
    {"Etc/GMT-14", true},
    {"America/Port-au-Prince", true},
    {"Asia/Ust-Nera", true},
    {"a.b", true},
    {"0123456789012345678901234567890123456789012345678901234567890123", true},
    {"01234567890123456789012345678901234567890123456789012345678901234",
	false},
    {"", false},
    {"/", false},
    {"/etc/passwd", false},
    {"..", false},
    {"../UTC", false},
    {"Europe/..", false},
    {"Europe/../UTC", false},
    {".", false},
    {"./UTC", false},
    {"Europe/./Berlin", false},
    {"Europe//Berlin", false},
    {"Europe/", false},
    {".hidden", false},
    {"Europe/.hidden", false},
    {"-x", false},
    {":UTC", false},
    {"Europe\\Berlin", false},
    {"Europe Berlin", false},
    {"U\nTC", false},
    {"UT\xc3\x87", false},
    {"UTC0,M3.5.0", false},
};

START_TEST(test_names)
{
	ck_assert(zones_is_name(slice_from_string(names[_i].name)) ==
		  names[_i].may_be);
	if (!names[_i].may_be)
		expect_none(names[_i].name, 0, "no name of a time zone");
}
END_TEST

/* "UTC\0" is no "UTC". */
START_TEST(test_nul)
{
	ck_assert(!zones_is_name(SLICE_LITERAL("UTC\0")));
}
END_TEST

START_TEST(test_find)
{
	ck_assert_int_eq(offset_of("Europe/Berlin", 0), 3600);
	ck_assert_int_eq(offset_of("UTC", 0), 0);
	ck_assert_int_eq(offset_of("Europe/Berlin", 0), 3600);
	expect_none("Europe/Paris", 0, "No such file");
	expect_none("Europe", 0, "Is a directory");
}
END_TEST

START_TEST(test_no_zone)
{
	char path[200];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/pipe", dir);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
	expect_none("pipe", 0, "no regular file");
	(void)snprintf(path, sizeof(path), "%s/text", dir);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < TZIF_BYTES_MAX; i++)
		(void)fputc('x', file);
	ck_assert_int_eq(fflush(file), 0);
	expect_none("text", 0, "no TZif file");
	(void)fputc('x', file);
	ck_assert_int_eq(fclose(file), 0);
	expect_none("text", 0, "");
	(void)snprintf(path, sizeof(path), "%s/link", dir);
	ck_assert_int_eq(symlink("Europe/Berlin", path), 0);
	ck_assert_int_eq(offset_of("link", 0), 3600);
}
END_TEST

/* It is read again when it was looked at for the last time a second ago. */
START_TEST(test_replaced)
{
	char path[200];

	ck_assert_int_eq(offset_of("UTC", 5000), 0);
	write_zone("UTC", 60);
	ck_assert_int_eq(offset_of("UTC", 5000 + ZONES_CHECK_MS - 1), 0);
	ck_assert_int_eq(offset_of("UTC", 5000 + ZONES_CHECK_MS), 60);
	ck_assert_int_eq(offset_of("UTC", 5000 + 2 * ZONES_CHECK_MS), 60);
	(void)snprintf(path, sizeof(path), "%s/UTC", dir);
	ck_assert_int_eq(unlink(path), 0);
	expect_none("UTC", 5000 + 3 * ZONES_CHECK_MS, "No such file");
	write_zone("UTC", 120);
	ck_assert_int_eq(offset_of("UTC", 5000 + 3 * ZONES_CHECK_MS), 120);
}
END_TEST

/* More than are kept; which is not seen but in that one is read again. */
START_TEST(test_many)
{
	char name[20];

	for (int i = 0; i < 2 * ZONES_KEPT; i++) {
		(void)snprintf(name, sizeof(name), "Z%d", i);
		write_zone(name, i);
		ck_assert_int_eq(offset_of(name, 0), i);
		ck_assert_int_eq(offset_of("UTC", 0), 0);
	}
	for (int i = 0; i < 2 * ZONES_KEPT; i++) {
		(void)snprintf(name, sizeof(name), "Z%d", i);
		write_zone(name, 100 + i);
	}
	for (int i = 2 * ZONES_KEPT - 1; i >= 0; i--) {
		(void)snprintf(name, sizeof(name), "Z%d", i);
		/* One place is that of UTC. */
		ck_assert_int_eq(
		    offset_of(name, 0), i > ZONES_KEPT ? i : 100 + i);
	}
}
END_TEST

START_TEST(test_directory)
{
	ck_assert_int_eq(unsetenv("TZDIR"), 0);
	ck_assert_str_eq(zones_directory(), "/usr/share/zoneinfo");
	ck_assert_int_eq(setenv("TZDIR", "relative", 1), 0);
	ck_assert_str_eq(zones_directory(), "/usr/share/zoneinfo");
	ck_assert_int_eq(setenv("TZDIR", dir, 1), 0);
	ck_assert_str_eq(zones_directory(), dir);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("zones");
	TCase *tc = tcase_create("zones");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_names, 0, COUNT(names));
	tcase_add_test(tc, test_nul);
	tcase_add_test(tc, test_find);
	tcase_add_test(tc, test_no_zone);
	tcase_add_test(tc, test_replaced);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_directory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
