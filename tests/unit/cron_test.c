/* SPDX-License-Identifier: ISC */
#include "event/cron.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/civil.h"
#include "base/file.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct err err;

static struct tzif *
load(const char *name)
{
	struct tzif *tz;
	char path[200], *text;
	size_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	fd = file_open(path, O_RDONLY, 0, &err);
	ck_assert_msg(fd != -1, "%s: %s", path, err.text);
	text = file_read(fd, TZIF_BYTES_MAX, &len, &err);
	ck_assert_msg(text != NULL, "%s: %s", path, err.text);
	tz = tzif_parse(slice_of(text, len), &err);
	ck_assert_msg(tz != NULL, "%s: %s", path, err.text);
	free(text);
	return tz;
}

/* With no byte behind it. */
static int
parse(const char *text, struct cron *cron)
{
	size_t len = strlen(text);
	char *bytes = malloc(len == 0 ? 1 : len);
	int status;

	memcpy(bytes, text, len);
	status = cron_parse(slice_of(bytes, len), cron, &err);
	free(bytes);
	return status;
}

static int64_t
moment(const char *text)
{
	struct civil c = {0};
	int year;

	ck_assert_int_eq(sscanf(text, "%d-%d-%dT%d:%d:%d", &year, &c.month,
			     &c.day, &c.hour, &c.minute, &c.second),
	    6);
	c.year = year;
	return civil_seconds(&c);
}

static const char *
text_of(int64_t utc_s, char text[32])
{
	struct civil c = civil_of_seconds(utc_s);

	(void)snprintf(text, 32, "%04d-%02d-%02dT%02d:%02d:%02d", (int)c.year,
	    c.month, c.day, c.hour, c.minute, c.second);
	return text;
}

/* UTC; up to four times after "after", NULL where there is none within years.
 */
static const struct {
	const char *fields, *zone;
	enum cron_gap gap;
	const char *after;
	const char *next[4];
} cases[] = {
    /* Fields. */
    {"* * * * *", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-01T00:01:00", "2027-01-01T00:02:00"}},
    {"* * * * *", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:59",
	{"2027-01-01T00:01:00"}},
    {"0 0 1 1 *", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2028-01-01T00:00:00", "2029-01-01T00:00:00"}},
    {"59 23 31 12 *", "Etc/UTC", CRON_SKIP, "2026-12-31T23:58:59",
	{"2026-12-31T23:59:00", "2027-12-31T23:59:00"}},
    {"*/20 9-10 * * *", "Etc/UTC", CRON_SKIP, "2027-01-01T09:20:00",
	{"2027-01-01T09:40:00", "2027-01-01T10:00:00", "2027-01-01T10:20:00",
	    "2027-01-01T10:40:00"}},
    {"5-30/10,7,45 23 * * *", "Etc/UTC", CRON_SKIP, "2027-01-01T23:00:00",
	{"2027-01-01T23:05:00", "2027-01-01T23:07:00", "2027-01-01T23:15:00",
	    "2027-01-01T23:25:00"}},
    {"0 12 * feb,DEC *", "Etc/UTC", CRON_SKIP, "2027-02-27T13:00:00",
	{"2027-02-28T12:00:00", "2027-12-01T12:00:00"}},
    {"0 12 * * mon-WED", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-04T12:00:00", "2027-01-05T12:00:00", "2027-01-06T12:00:00",
	    "2027-01-11T12:00:00"}},
    {"0 12 * * 7", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-03T12:00:00", "2027-01-10T12:00:00"}},
    {"0 12 * * 0", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-03T12:00:00", "2027-01-10T12:00:00"}},
    {"0 12 * * FRI-SUN", "Etc/UTC", CRON_SKIP, "2027-01-01T12:00:00",
	{"2027-01-02T12:00:00", "2027-01-03T12:00:00", "2027-01-08T12:00:00"}},
    {"0 12 * * sun-sun", "Etc/UTC", CRON_SKIP, "2027-01-01T12:00:00",
	{"2027-01-03T12:00:00", "2027-01-10T12:00:00"}},
    {"*/60 12 1 * *", "Etc/UTC", CRON_SKIP, "2027-01-01T12:00:00",
	{"2027-02-01T12:00:00"}},
    {"0 12 * * 5-7", "Etc/UTC", CRON_SKIP, "2027-01-01T12:00:00",
	{"2027-01-02T12:00:00", "2027-01-03T12:00:00", "2027-01-08T12:00:00"}},
    /* Of day and day of the week one is enough, unless one is "*". */
    {"0 0 13 * fri", "Etc/UTC", CRON_SKIP, "2027-01-08T00:00:00",
	{"2027-01-13T00:00:00", "2027-01-15T00:00:00"}},
    {"0 0 */10 * fri", "Etc/UTC", CRON_SKIP, "2027-01-08T00:00:00",
	{"2027-01-11T00:00:00", "2027-01-15T00:00:00", "2027-01-21T00:00:00"}},
    {"0 0 * * fri", "Etc/UTC", CRON_SKIP, "2027-01-08T00:00:00",
	{"2027-01-15T00:00:00"}},
    /* Seconds. */
    {"*/30 59 23 31 12 *", "Etc/UTC", CRON_SKIP, "2026-12-31T23:59:00",
	{"2026-12-31T23:59:30", "2027-12-31T23:59:00"}},
    {"59 59 * * * *", "Etc/UTC", CRON_SKIP, "2027-01-01T00:59:58",
	{"2027-01-01T00:59:59", "2027-01-01T01:59:59"}},
    /* Nicknames. */
    {"@yearly", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2028-01-01T00:00:00"}},
    {"@Monthly", "Etc/UTC", CRON_SKIP, "2027-01-31T00:00:00",
	{"2027-02-01T00:00:00"}},
    {"@weekly", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-03T00:00:00"}},
    {" @daily ", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-02T00:00:00"}},
    {"@hourly", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00",
	{"2027-01-01T01:00:00"}},
    /* Days that are rare, over a century without a leap day, or never come. */
    {"0 0 29 2 *", "Etc/UTC", CRON_SKIP, "2096-02-29T00:00:00",
	{"2104-02-29T00:00:00"}},
    {"0 0 31 4,6,9,11 *", "Etc/UTC", CRON_SKIP, "2027-01-01T00:00:00", {NULL}},
    {"0 0 30 2 *", "Europe/Berlin", CRON_AFTER, "2027-01-01T00:00:00", {NULL}},
    /* Only an hour that clocks always go over. */
    {"30 2 29-31 3 *", "Europe/Berlin", CRON_SKIP, "2027-03-28T00:00:00",
	{"2027-03-29T00:30:00"}},

    /* A zone. */
    {"0 9 * * *", "Europe/Berlin", CRON_SKIP, "2027-03-26T12:00:00",
	{"2027-03-27T08:00:00", "2027-03-28T07:00:00", "2027-03-29T07:00:00"}},
    /* A time that does not exist: skipped, or right after. */
    {"30 2 * * *", "Europe/Berlin", CRON_SKIP, "2027-03-27T00:00:00",
	{"2027-03-27T01:30:00", "2027-03-29T00:30:00"}},
    {"30 2 * * *", "Europe/Berlin", CRON_AFTER, "2027-03-27T00:00:00",
	{"2027-03-27T01:30:00", "2027-03-28T01:00:00", "2027-03-29T00:30:00"}},
    {"30 2 * * *", "Europe/Berlin", CRON_AFTER, "2027-03-28T00:59:59",
	{"2027-03-28T01:00:00", "2027-03-29T00:30:00"}},
    {"30 2 * * *", "Europe/Berlin", CRON_AFTER, "2027-03-28T01:00:00",
	{"2027-03-29T00:30:00"}},
    /* Several of them are one, and one with what comes then anyway. */
    {"*/15 2,3 * * *", "Europe/Berlin", CRON_AFTER, "2027-03-28T00:00:00",
	{"2027-03-28T01:00:00", "2027-03-28T01:15:00", "2027-03-28T01:30:00"}},
    /* A time that comes twice: once, the first time. */
    {"30 2 * * *", "Europe/Berlin", CRON_SKIP, "2027-10-30T12:00:00",
	{"2027-10-31T00:30:00", "2027-11-01T01:30:00"}},
    {"30 2 * * *", "Europe/Berlin", CRON_SKIP, "2027-10-31T01:00:00",
	{"2027-11-01T01:30:00"}},
    {"0 2,3 * * *", "Europe/Berlin", CRON_SKIP, "2027-10-30T12:00:00",
	{"2027-10-31T00:00:00", "2027-10-31T02:00:00", "2027-11-01T01:00:00"}},
    {"0 0-23 * * *", "Europe/Berlin", CRON_SKIP, "2027-10-30T23:00:00",
	{"2027-10-31T00:00:00", "2027-10-31T02:00:00"}},
    /* Hourly ones follow elapsed time. */
    {"30 * * * *", "Europe/Berlin", CRON_SKIP, "2027-10-30T23:30:00",
	{"2027-10-31T00:30:00", "2027-10-31T01:30:00", "2027-10-31T02:30:00"}},
    {"30 * * * *", "Europe/Berlin", CRON_AFTER, "2027-03-28T00:00:00",
	{"2027-03-28T00:30:00", "2027-03-28T01:30:00"}},
    /* Half an hour; a day that does not exist. */
    {"45 1 * * *", "Australia/Lord_Howe", CRON_SKIP, "2027-04-03T00:00:00",
	{"2027-04-03T14:45:00", "2027-04-04T15:15:00"}},
    {"0 12 * * *", "Pacific/Apia", CRON_SKIP, "2011-12-29T12:00:00",
	{"2011-12-29T22:00:00", "2011-12-30T22:00:00"}},
    {"0 12 30 12 *", "Pacific/Apia", CRON_SKIP, "2011-01-01T12:00:00",
	{"2012-12-29T22:00:00"}},
    {"0 12 30 12 *", "Pacific/Apia", CRON_AFTER, "2011-01-01T12:00:00",
	{"2011-12-30T10:00:00", "2012-12-29T22:00:00"}},
};

START_TEST(test_next)
{
	struct tzif *tz = load(cases[_i].zone);
	int64_t at_s = moment(cases[_i].after);
	struct cron cron;
	char text[32];

	ck_assert_msg(parse(cases[_i].fields, &cron) == 0, "%s", err.text);
	if (cases[_i].next[0] == NULL)
		ck_assert(!cron_next(&cron, tz, cases[_i].gap, at_s, &at_s));
	for (int i = 0; i < 4 && cases[_i].next[i] != NULL; i++) {
		ck_assert(cron_next(&cron, tz, cases[_i].gap, at_s, &at_s));
		ck_assert_str_eq(text_of(at_s, text), cases[_i].next[i]);
	}
	tzif_free(&tz);
}
END_TEST

static const struct {
	const char *fields, *reason;
} refused[] = {
    {"", "five fields"},
    {"*", "five fields"},
    {"* * * *", "five fields"},
    {"* * * * * * *", "five fields"},
    {"@reboot", "@reboot is no time"},
    {"@dailyx", "five fields"},
    {"60 * * * *", "minute \"60\""},
    {"* 24 * * *", "hour \"24\""},
    {"* * 0 * *", "day of the month \"0\""},
    {"* * 32 * *", "day of the month \"32\""},
    {"* * * 0 *", "month \"0\""},
    {"* * * 13 *", "month \"13\""},
    {"* * * * 8", "day of the week \"8\""},
    {"60 * * * * *", "second \"60\""},
    {"*/0 * * * *", "minute \"*/0\""},
    {"*/ * * * *", "minute \"*/\""},
    {"*/100 * * * *", "minute"},
    {"5-1/2 * * * *", "minute \"5-1/2\" has no value"},
    {"* * * * mon-fri,sat-mon", "day of the week"},
    {"5/15 * * * *", "minute \"5/15\" cannot be read"},
    {"5-1 * * * *", "minute \"5-1\""},
    {"1- * * * *", "minute \"1-\""},
    {"-1 * * * *", "minute \"-1\""},
    {"1, * * * *", "minute \"1,\""},
    {",1 * * * *", "minute \",1\""},
    {"1,,2 * * * *", "minute"},
    {"100 * * * *", "minute \"100\" cannot be read"},
    {"1.5 * * * *", "cannot be read"},
    {"** * * * *", "cannot be read"},
    {"jan * * * *", "minute \"jan\""},
    {"* * * january *", "month \"january\" cannot be read"},
    {"* * * * fri-mon", "day of the week \"fri-mon\""},
    {"* * L * *", "day of the month \"L\""},
    {"* * * * 1#2", "cannot be read"},
};

START_TEST(test_refused)
{
	struct cron cron;

	ck_assert_int_eq(parse(refused[_i].fields, &cron), -1);
	ck_assert_msg(strstr(err.text, refused[_i].reason) != NULL,
	    "\"%s\" is not in \"%s\"", refused[_i].reason, err.text);
}
END_TEST

START_TEST(test_longest)
{
	char text[CRON_TEXT_MAX + 2];
	struct cron cron;

	(void)snprintf(text, sizeof(text), "%*s", CRON_TEXT_MAX, "* * * * *");
	ck_assert_msg(parse(text, &cron) == 0, "%s", err.text);
	(void)snprintf(
	    text, sizeof(text), "%*s", CRON_TEXT_MAX + 1, "* * * * *");
	ck_assert_int_eq(parse(text, &cron), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "more than"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cron");
	TCase *tc = tcase_create("cron");

	tcase_add_loop_test(tc, test_next, 0, COUNT(cases));
	tcase_add_loop_test(tc, test_refused, 0, COUNT(refused));
	tcase_add_test(tc, test_longest);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
