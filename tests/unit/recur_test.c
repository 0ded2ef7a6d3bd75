/* SPDX-License-Identifier: ISC */
#include "event/recur.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/rfc3339.h"
#include "event/recur_read.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct recur recur;
static struct recur_error error;
static struct zones *zones;

static void
set_up(void)
{
	zones = zones_create(zones_directory());
	ck_assert_ptr_nonnull(zones);
}

static void
tear_down(void)
{
	zones_free(&zones);
}

/* With no byte behind it, and the reader may not write to it. */
static int
read_text(const char *text)
{
	size_t len = strlen(text);
	char *bytes = malloc(len);
	struct json_value value;
	struct err err;
	int status;

	memcpy(bytes, text, len);
	ck_assert_msg(json_scan(slice_of(bytes, len), &value, &err) == 0,
	    "%s: %s", text, err.text);
	status = recur_read(&value, &recur, &error);
	ck_assert_int_eq(memcmp(bytes, text, len), 0);
	free(bytes);
	return status;
}

static int64_t
moment(const char *text)
{
	int64_t ms;

	ck_assert_msg(
	    rfc3339_parse(slice_from_string(text), &ms) == 0, "%s", text);
	return ms / 1000;
}

static struct recurring
schedule_of(const char *text, const char *since)
{
	struct recurring at = {.recur = &recur, .since_s = moment(since)};
	struct err err;

	ck_assert_msg(
	    read_text(text) == 0, "%s: %s", error.where, error.reason);
	if (recur.every_s != 0)
		return at;
	at.tz = zones_find(zones, slice_from_string(recur.zone), 0, &err);
	ck_assert_msg(at.tz != NULL, "%s", err.text);
	return at;
}

static void
assert_time(int64_t s, const char *expected)
{
	char text[RFC3339_TEXT];

	rfc3339_write(s * 1000, 0, text);
	ck_assert_str_eq(text, expected);
}

/* Made at the first of May 2027, 00:00:30; up to four times after "after". */
#define MADE "2027-05-01T00:00:30Z"
static const struct {
	const char *text, *after;
	const char *next[4];
} cases[] = {
    /* Of a period: from when it was made, or from its start, which is one. */
    {"{\"every\": \"15m\"}", "2027-01-01T00:00:00Z",
	{"2027-05-01T00:15:30Z", "2027-05-01T00:30:30Z"}},
    {"{\"every\": \"15m\"}", "2027-05-01T00:15:29Z",
	{"2027-05-01T00:15:30Z", "2027-05-01T00:30:30Z"}},
    {"{\"every\": \"15m\"}", "2027-05-01T00:15:30Z", {"2027-05-01T00:30:30Z"}},
    {"{\"every\": \"1d\", \"start\": \"2027-06-01T09:00:00+02:00\"}", MADE,
	{"2027-06-01T07:00:00Z", "2027-06-02T07:00:00Z"}},
    {"{\"every\": \"1s\", \"start\": \"2027-06-01T09:00:00.001Z\"}", MADE,
	{"2027-06-01T09:00:01Z", "2027-06-01T09:00:02Z"}},
    {"{\"every\": \"1h\", \"start\": \"2026-12-31T23:30:00Z\"}", MADE,
	{"2027-05-01T00:30:00Z", "2027-05-01T01:30:00Z"}},
    {"{\"every\": \"7d\", \"start\": \"2027-05-02T00:00:00Z\","
     " \"end\": \"2027-05-16T00:00:00Z\"}",
	MADE,
	{"2027-05-02T00:00:00Z", "2027-05-09T00:00:00Z", "2027-05-16T00:00:00Z",
	    NULL}},
    {"{\"every\": \"7d\", \"end\": \"2027-05-15T00:00:29Z\"}", MADE,
	{"2027-05-08T00:00:30Z", NULL}},
    {"{\"every\": \"36500d\"}", "9999-12-31T00:00:00Z", {NULL}},
    /* Of an expression: after it was made, or at its start. */
    {"{\"cron\": \"0 9 * * *\"}", "2027-01-01T00:00:00Z",
	{"2027-05-01T09:00:00Z", "2027-05-02T09:00:00Z"}},
    {"{\"cron\": \"0 9 * * *\", \"time-zone\": \"Europe/Berlin\"}", MADE,
	{"2027-05-01T07:00:00Z", "2027-05-02T07:00:00Z"}},
    {"{\"cron\": \"0 9 * * *\", \"start\": \"2027-05-03T09:00:00Z\"}", MADE,
	{"2027-05-03T09:00:00Z"}},
    {"{\"cron\": \"0 9 * * *\", \"start\": \"2027-05-03T09:00:01Z\","
     " \"end\": \"2027-05-05T09:00:00Z\"}",
	MADE, {"2027-05-04T09:00:00Z", "2027-05-05T09:00:00Z", NULL}},
    {"{\"cron\": \"30 2 * * *\", \"time-zone\": \"Europe/Berlin\"}",
	"2028-03-25T12:00:00Z",
	{"2028-03-27T00:30:00Z", "2028-03-28T00:30:00Z"}},
    {"{\"cron\": \"30 2 * * *\", \"time-zone\": \"Europe/Berlin\","
     " \"gap\": \"after\"}",
	"2028-03-25T12:00:00Z",
	{"2028-03-26T01:00:00Z", "2028-03-27T00:30:00Z"}},
    {"{\"cron\": \"0 0 30 2 *\"}", MADE, {NULL}},
};

START_TEST(test_next)
{
	struct recurring at = schedule_of(cases[_i].text, MADE);
	int64_t times_s[4];
	size_t n = recur_times(&at, moment(cases[_i].after), times_s, 4);

	for (size_t i = 0; i < 4; i++) {
		bool last = i == 3 || cases[_i].next[i + 1] == NULL;

		if (cases[_i].next[i] == NULL) {
			ck_assert_uint_eq(n, i);
			return;
		}
		ck_assert_uint_gt(n, i);
		assert_time(times_s[i], cases[_i].next[i]);
		/* A table row names as many as it cares for. */
		if (last && i < 3 && strstr(cases[_i].text, "end") == NULL)
			return;
	}
}
END_TEST

/* At `now` nothing was begun for the time `run`. */
static const struct {
	const char *text, *run, *now, *wanted;
} late[] = {
    /* On time, and taken in advance. */
    {"{\"every\": \"1s\", \"catch-up\": \"none\"}", "2027-05-01T01:00:00Z",
	"2027-05-01T01:00:00Z", "2027-05-01T01:00:00Z"},
    {"{\"every\": \"1s\"}", "2027-05-01T01:00:00Z", "2027-05-01T00:59:50Z",
	"2027-05-01T01:00:00Z"},
    /* Nothing else has come meanwhile. */
    {"{\"cron\": \"0 9 * * *\"}", "2027-05-02T09:00:00Z",
	"2027-05-03T08:59:59Z", "2027-05-02T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"all\"}", "2027-05-02T09:00:00Z",
	"2027-05-03T08:59:59Z", "2027-05-02T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"none\"}",
	"2027-05-02T09:00:00Z", "2027-05-02T09:01:00Z", "2027-05-02T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"none\"}",
	"2027-05-02T09:00:00Z", "2027-05-02T09:01:01Z", "2027-05-03T09:00:00Z"},
    /* Three have. */
    {"{\"cron\": \"0 9 * * *\"}", "2027-05-02T09:00:00Z",
	"2027-05-04T09:00:00Z", "2027-05-04T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\"}", "2027-05-02T09:00:00Z",
	"2027-05-05T08:00:00Z", "2027-05-04T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"window\": \"1h\"}", "2027-05-02T09:00:00Z",
	"2027-05-04T10:00:00Z", "2027-05-04T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"window\": \"1h\"}", "2027-05-02T09:00:00Z",
	"2027-05-04T10:00:01Z", "2027-05-05T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"none\"}",
	"2027-05-02T09:00:00Z", "2027-05-04T09:00:59Z", "2027-05-04T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"all\", \"window\": \"30d\"}",
	"2027-05-02T09:00:00Z", "2027-05-04T12:00:00Z", "2027-05-02T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"all\", \"window\": \"24h\"}",
	"2027-05-02T09:00:00Z", "2027-05-04T09:00:00Z", "2027-05-03T09:00:00Z"},
    /* All: of a day, unless it says otherwise. */
    {"{\"cron\": \"0 9 * * *\", \"catch-up\": \"all\"}", "2027-05-02T09:00:00Z",
	"2027-05-04T12:00:00Z", "2027-05-04T09:00:00Z"},
    {"{\"every\": \"1h\", \"catch-up\": \"all\", \"window\": \"1s\"}",
	"2027-05-01T01:00:30Z", "2027-05-01T09:00:00Z", "2027-05-01T09:00:30Z"},
    /* A year of seconds. */
    {"{\"every\": \"1s\"}", "2027-05-02T09:00:00Z", "2028-05-02T09:00:00Z",
	"2028-05-02T09:00:00Z"},
    {"{\"cron\": \"*/7 * * * * *\"}", "2027-05-02T09:00:00Z",
	"2028-05-02T09:00:05Z", "2028-05-02T09:00:00Z"},
    /* It has ended meanwhile: the last one is made up for, or it is too late.
     */
    {"{\"cron\": \"0 9 * * *\", \"end\": \"2027-05-03T10:00:00Z\"}",
	"2027-05-02T09:00:00Z", "2027-05-09T00:00:00Z", "2027-05-03T09:00:00Z"},
    {"{\"cron\": \"0 9 * * *\", \"end\": \"2027-05-03T10:00:00Z\","
     " \"window\": \"1h\"}",
	"2027-05-02T09:00:00Z", "2027-05-09T00:00:00Z", NULL},
    {"{\"cron\": \"0 9 * * *\", \"end\": \"2027-05-03T10:00:00Z\","
     " \"catch-up\": \"all\"}",
	"2027-05-02T09:00:00Z", "2027-05-09T00:00:00Z", NULL},
};

START_TEST(test_wanted)
{
	struct recurring at = schedule_of(late[_i].text, MADE);
	int64_t wanted_s;
	bool some = recur_wanted(
	    &at, moment(late[_i].run), moment(late[_i].now), &wanted_s);

	ck_assert_int_eq(some, late[_i].wanted != NULL);
	if (some)
		assert_time(wanted_s, late[_i].wanted);
}
END_TEST

static const struct {
	const char *run, *now;
	bool missed;
} missed[] = {
    {"2027-05-02T09:00:00Z", "2027-05-02T08:00:00Z", false},
    {"2027-05-02T09:01:30Z", "2027-05-02T09:02:30Z", false},
    {"2027-05-02T09:01:30Z", "2027-05-02T09:02:31Z", true},
    {"2027-05-02T09:00:30Z", "2027-05-02T09:00:59Z", false},
    {"2027-05-02T09:00:30Z", "2027-05-02T09:01:00Z", true},
};

START_TEST(test_missed)
{
	struct recurring at =
	    schedule_of("{\"cron\": \"0,30 0-1 9 * * *\"}", MADE);

	ck_assert_int_eq(recur_is_missed(&at, moment(missed[_i].run),
			     moment(missed[_i].now)),
	    missed[_i].missed);
}
END_TEST

/* Beside one that goes from each to the next. */
START_TEST(test_last)
{
	static const char *const texts[] = {"{\"every\": \"7m\"}",
	    "{\"cron\": \"0,1,29 */3 * * *\"}",
	    "{\"cron\": \"30 2 * * *\", \"time-zone\": \"Europe/Berlin\"}",
	    "{\"cron\": \"*/25 * * * *\","
	    " \"time-zone\": \"Australia/Lord_Howe\"}"};
	struct recurring at = schedule_of(texts[_i], "2027-03-20T00:00:00Z");
	int64_t from_s, slow_s, next_s, until_s;

	ck_assert(recur_next(&at, at.since_s, &from_s));
	slow_s = from_s;
	for (until_s = from_s; until_s < from_s + 20 * 86400; until_s += 599) {
		while (recur_next(&at, slow_s, &next_s) && next_s <= until_s)
			slow_s = next_s;
		ck_assert_int_eq(recur_last(&at, from_s, until_s), slow_s);
	}
}
END_TEST

static const struct {
	const char *text, *where, *reason;
} refused[] = {
    {"[]", "", "must be an object"},
    {"{}", "", "must have cron or every"},
    {"{\"cron\": \"@daily\", \"every\": \"1d\"}", "", "not both"},
    {"{\"cron\": \"* * * *\"}", "/cron", "fields"},
    {"{\"cron\": 5}", "/cron", "must be a string"},
    {"{\"cron\": \"@daily\", \"cron\": \"@daily\"}", "/cron", "more than once"},
    {"{\"start\": \"2027-05-01T00:00:00Z\","
     " \"start\": \"2027-05-01T00:00:00Z\"}",
	"/start", "more than once"},
    {"{\"every\": \"0s\"}", "/every", "one at least"},
    {"{\"every\": \"1500ms\"}", "/every", "whole seconds"},
    {"{\"every\": \"36501d\"}", "/every", "at most 36500d"},
    {"{\"every\": \"1 h\"}", "/every", "must be a duration"},
    {"{\"every\": \"1h\", \"time-zone\": \"Etc/UTC\"}", "/time-zone",
	"goes with cron"},
    {"{\"every\": \"1h\", \"gap\": \"after\"}", "/gap", "goes with cron"},
    {"{\"cron\": \"@daily\", \"time-zone\": \"../x\"}", "/time-zone",
	"must be the name"},
    {"{\"cron\": \"@daily\", \"time-zone\": \"\"}", "/time-zone",
	"must be the name"},
    {"{\"cron\": \"@daily\", \"start\": 1795478410}", "/start", "a string"},
    {"{\"cron\": \"@daily\", \"start\": \"tomorrow\"}", "/start", "RFC 3339"},
    {"{\"cron\": \"@daily\", \"end\": \"1970-01-01T00:00:00Z\"}", "/end",
	"after 1970"},
    {"{\"cron\": \"@daily\", \"start\": \"2027-05-02T00:00:00Z\","
     " \"end\": \"2027-05-01T00:00:00Z\"}",
	"/end", "before start"},
    {"{\"cron\": \"@daily\", \"count\": 0}", "/count", "from 1"},
    {"{\"cron\": \"@daily\", \"count\": 1.5}", "/count", "whole number"},
    {"{\"cron\": \"@daily\", \"count\": \"5\"}", "/count", "whole number"},
    {"{\"cron\": \"@daily\", \"count\": 1000000001}", "/count", "1000000000"},
    {"{\"cron\": \"@daily\", \"overlap\": \"wait\"}", "/overlap",
	"must be skip, queue or allow"},
    {"{\"cron\": \"@daily\", \"catch-up\": \"some\"}", "/catch-up",
	"must be none, last or all"},
    {"{\"cron\": \"@daily\", \"catch-up\": \"none\", \"window\": \"1h\"}",
	"/window", "goes with"},
    {"{\"cron\": \"@daily\", \"window\": \"10ms\"}", "/window", "1s"},
    {"{\"cron\": \"@daily\", \"jitter\": \"25h\"}", "/jitter", "at most 1d"},
    {"{\"cron\": \"@daily\", \"gap\": \"before\"}", "/gap",
	"must be skip or after"},
    {"{\"cron\": \"@daily\", \"at\": \"9:00\"}", "", "unknown member"},
};

START_TEST(test_refused)
{
	ck_assert_int_eq(read_text(refused[_i].text), -1);
	ck_assert_str_eq(error.where, refused[_i].where);
	ck_assert_msg(strstr(error.reason, refused[_i].reason) != NULL,
	    "\"%s\" is not in \"%s\"", refused[_i].reason, error.reason);
}
END_TEST

START_TEST(test_members)
{
	ck_assert_int_eq(
	    read_text("{\"cron\": \"0 9 \\u002a * 1-5\", \"count\": 10,"
		      " \"time-zone\": \"America\\/New_York\","
		      " \"overlap\": \"queue\", \"catch-up\": \"all\","
		      " \"window\": \"90m\", \"jitter\": \"30s\","
		      " \"gap\": \"after\"}"),
	    0);
	ck_assert_str_eq(recur.zone, "America/New_York");
	ck_assert_int_eq(recur.count, 10);
	ck_assert_int_eq(recur.overlap, RECUR_QUEUE);
	ck_assert_int_eq(recur.catch_up, RECUR_ALL);
	ck_assert_int_eq(recur.window_s, 5400);
	ck_assert_int_eq(recur.jitter_ms, 30000);
	ck_assert_int_eq(recur.gap, CRON_AFTER);
	ck_assert_int_eq(read_text("{\"every\": \"2h\"}"), 0);
	ck_assert_int_eq(recur.every_s, 7200);
	ck_assert_int_eq(recur.overlap, RECUR_SKIP);
	ck_assert_int_eq(recur.catch_up, RECUR_LAST);
	ck_assert_int_eq(recur.window_s, 0);
}
END_TEST

START_TEST(test_too_long)
{
	char text[RECUR_TEXT_MAX + 200];

	(void)snprintf(
	    text, sizeof(text), "{\"cron\": \"@daily\"%*s}", 1100, "");
	ck_assert_int_eq(read_text(text), 0);
	(void)snprintf(
	    text, sizeof(text), "{\"cron\": \"@daily%*s\"}", 1100, "");
	ck_assert_int_eq(read_text(text), -1);
	(void)snprintf(text, sizeof(text), "{\"cron\": \"@daily\"%*s}",
	    RECUR_TEXT_MAX, "");
	ck_assert_int_eq(read_text(text), -1);
	ck_assert_str_eq(error.reason, "is too long");
}
END_TEST

/* Whether it comes, and not too often. */
static const struct {
	const char *text;
	int64_t min_ms;
	const char *reason; /* NULL: good */
} checked[] = {
    {"{\"every\": \"10s\"}", 10000, NULL},
    {"{\"every\": \"10s\"}", 10001, "more often"},
    {"{\"cron\": \"*/20 * * * * *\"}", 20000, NULL},
    {"{\"cron\": \"*/25 * * * * *\"}", 20000, "more often"},
    {"{\"cron\": \"58,59 23 * * mon\"}", 60000, NULL},
    {"{\"cron\": \"58,59 23 * * mon\"}", 61000, "more often"},
    {"{\"cron\": \"0 0 31 2 *\"}", 0, "no time to come"},
    /* Which a datastore may have. */
    {"{\"cron\": \"*/60 * * * *\"}", 0, NULL},
    {"{\"cron\": \"*/61 * * * *\"}", 0, "step of more"},
    {"{\"cron\": \"0 1-5/25 * * *\"}", 0, "step of more"},
    {"{\"every\": \"1h\", \"end\": \"2027-05-01T01:00:29Z\"}", 0,
	"no time to come"},
    {"{\"every\": \"1h\", \"end\": \"2027-05-01T01:00:30Z\"}", 0, NULL},
};

START_TEST(test_check)
{
	struct recurring at = schedule_of(checked[_i].text, MADE);
	int status = recur_check(&at, at.since_s, checked[_i].min_ms, &error);

	ck_assert_int_eq(status, checked[_i].reason == NULL ? 0 : -1);
	if (status == -1)
		ck_assert_msg(strstr(error.reason, checked[_i].reason) != NULL,
		    "%s", error.reason);
}
END_TEST

/* Within its bounds, the same for the same, and spread evenly. */
START_TEST(test_jitter)
{
	enum { RUNS = 4000, PARTS = 10 };
	int n[PARTS] = {0};

	ck_assert_int_eq(
	    read_text("{\"every\": \"1s\", \"jitter\": \"999ms\"}"), 0);
	for (int64_t s = 0; s < RUNS; s++) {
		int64_t ms = recur_jitter_ms(&recur, 7, s);

		ck_assert_int_ge(ms, 0);
		ck_assert_int_le(ms, 999);
		ck_assert_int_eq(recur_jitter_ms(&recur, 7, s), ms);
		n[ms / 100]++;
	}
	for (int i = 0; i < PARTS; i++)
		ck_assert_int_gt(n[i], RUNS / PARTS / 2);
	recur.jitter_ms = 0;
	ck_assert_int_eq(recur_jitter_ms(&recur, 7, 1), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("recur");
	TCase *tc = tcase_create("recur");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_next, 0, COUNT(cases));
	tcase_add_loop_test(tc, test_wanted, 0, COUNT(late));
	tcase_add_loop_test(tc, test_missed, 0, COUNT(missed));
	tcase_add_loop_test(tc, test_last, 0, 4);
	tcase_add_loop_test(tc, test_refused, 0, COUNT(refused));
	tcase_add_test(tc, test_members);
	tcase_add_test(tc, test_too_long);
	tcase_add_loop_test(tc, test_check, 0, COUNT(checked));
	tcase_add_test(tc, test_jitter);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
