/* SPDX-License-Identifier: ISC */
#include "base/tzif.h"

#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <check.h>

#include "base/buf.h"
#include "base/civil.h"
#include "base/file.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const char zone_dir[] = "/usr/share/zoneinfo";

static struct err err;

/* The zone of a file of that length, with no byte behind it. */
static struct tzif *
parse(struct slice file)
{
	char *bytes = malloc(file.len == 0 ? 1 : file.len);
	struct tzif *tz;

	memcpy(bytes, file.p, file.len);
	tz = tzif_parse(slice_of(bytes, file.len), &err);
	free(bytes);
	return tz;
}

static struct tzif *
load(const char *path)
{
	int fd = file_open(path, O_RDONLY, 0, &err);
	struct tzif *tz;
	size_t len;
	char *text;

	ck_assert_msg(fd != -1, "%s: %s", path, err.text);
	text = file_read(fd, TZIF_BYTES_MAX, &len, &err);
	ck_assert_msg(text != NULL, "%s: %s", path, err.text);
	tz = parse(slice_of(text, len));
	free(text);
	return tz;
}

static int64_t
at(int year, int month, int day, int hour, int minute)
{
	const struct civil c = {year, month, day, hour, minute, 0};

	return civil_seconds(&c);
}

/* ---- rules ---- */

static const struct {
	const char *text;
	int64_t utc_s;
	int32_t offset_s;
	int64_t from_s, to_s; /* 0, 0: no changes */
} rules[] = {
    {"UTC0", 0, 0, 0, 0},
    {"<+0545>-5:45", 0, 20700, 0, 0},
    {"<-02>2:00:01", 0, -7201, 0, 0},
    {"ABC+24:59:59", 0, -89999, 0, 0},
    {"CET-1CEST,M3.5.0,M10.5.0/3", 1805000000, 3600, 1792890000, 1806195600},
    {"CET-1CEST,M3.5.0,M10.5.0/3", 1806195600, 7200, 1806195600, 1824944400},
    {"CET-1CEST,M3.5.0,M10.5.0/3", 1806195599, 3600, 1792890000, 1806195600},
    /* Southern: daylight saving over the end of the year. */
    {"AEST-10AEDT,M10.1.0,M4.1.0/3", 1798761600, 39600, 1791043200, 1806768000},
    {"NZST-12NZDT,M9.5.0,M4.1.0/3", 1790431200, 46800, 1790431200, 1806760800},
    /* Negative daylight saving; both at one moment. */
    {"IST-1GMT0,M10.5.0,M3.5.0/1", 1805000000, 0, 1792890000, 1806195600},
    {"EET-2EEST,J60,J61", 1772323200, 10800, 1772323200, 1772406000},
    {"AAA0BBB,59/0,60/0", 1709164800, 3600, 1709164800, 1709247600},
    /* RFC 9636, 3.3.1: daylight saving all year, and times before the day and
     * beyond it. */
    {"EST3EDT4,0/0,J365/23", 1800000000, -14400, 1798772400, 1830308400},
    {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1806195599, -7200, 1792890000,
	1806195600},
    {"IST-2IDT,M3.4.4/26,M10.5.0", 1806019200, 10800, 1806019200, 1824937200},
};

START_TEST(test_rule)
{
	struct tz_rule rule;
	struct tz_span span;

	ck_assert_int_eq(
	    tz_rule_parse(slice_from_string(rules[_i].text), &rule), 0);
	span = tz_rule_span(&rule, rules[_i].utc_s);
	ck_assert_int_eq(span.offset_s, rules[_i].offset_s);
	if (rules[_i].to_s == 0) {
		ck_assert_int_eq(span.from_s, INT64_MIN);
		ck_assert_int_eq(span.to_s, INT64_MAX);
	} else {
		ck_assert_int_eq(span.from_s, rules[_i].from_s);
		ck_assert_int_eq(span.to_s, rules[_i].to_s);
	}
}
END_TEST

static const char *const no_rules[] = {
    "",
    "A",
    "AB1",
    "ABC",
    "ABC25",
    "ABC1:60",
    "ABC1:00:60",
    "ABC1:",
    "<AB>1",
    "<ABC1",
    "<A C>1",
    "A1C1",
    "ABC1DEF",
    "ABC1DEF,",
    "ABC1DEF,M3.5.0",
    "ABC1DEF,M3.5.0,",
    "ABC1DEF,M13.5.0,M1.1.0",
    "ABC1DEF,M0.5.0,M1.1.0",
    "ABC1DEF,M3.6.0,M1.1.0",
    "ABC1DEF,M3.0.0,M1.1.0",
    "ABC1DEF,M3.5.7,M1.1.0",
    "ABC1DEF,J0,J1",
    "ABC1DEF,J366,J1",
    "ABC1DEF,366,1",
    "ABC1DEF,0/168,1",
    "ABC1DEF,0/-168,1",
    "ABC1DEF,0,1 ",
    " ABC1",
    "ABC1DEF,0,1,2",
    "ABC99999999999999999999",
    ":Europe/Berlin",
};

START_TEST(test_no_rule)
{
	struct tz_rule rule;

	ck_assert_int_eq(
	    tz_rule_parse(slice_from_string(no_rules[_i]), &rule), -1);
}
END_TEST

/* ---- files ---- */

static void
put_u32(struct buf *out, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_append_char(out, (char)(value >> shift & 0xff));
}

static void
put_time(struct buf *out, size_t bytes, int64_t value)
{
	if (bytes == 8)
		put_u32(out, (uint32_t)((uint64_t)value >> 32));
	put_u32(out, (uint32_t)value);
}

struct made {
	int64_t version, isut, isstd, leap, time, type, chars;
	int64_t first_s, step_s; /* of the changes */
	int64_t offset_s;        /* of type 1; of type 0 it is 0 */
	int64_t is_dst, name;    /* of type 1 */
	int64_t last_index;
	const char *footer;
};

static const struct made sound = {
    .version = '2',
    .time = 2,
    .type = 2,
    .chars = 4,
    .first_s = 1000000,
    .step_s = DAY_S,
    .offset_s = 3600,
    .last_index = 0,
    .footer = "\nABC0\n",
};

static void
put_block(struct buf *out, const struct made *m, size_t bytes)
{
	static const char zeros[15];

	buf_append_string(out, "TZif");
	buf_append_char(out, (char)m->version);
	buf_append(out, zeros, sizeof(zeros));
	put_u32(out, (uint32_t)m->isut);
	put_u32(out, (uint32_t)m->isstd);
	put_u32(out, (uint32_t)m->leap);
	put_u32(out, (uint32_t)m->time);
	put_u32(out, (uint32_t)m->type);
	put_u32(out, (uint32_t)m->chars);
	for (int64_t i = 0; i < m->time && i < 100; i++)
		put_time(out, bytes, m->first_s + i * m->step_s);
	for (int64_t i = 0; i < m->time && i < 100; i++)
		buf_append_char(out,
		    (char)(i + 1 == m->time ? m->last_index : (i + 1) % 2));
	for (int64_t i = 0; i < m->type && i < 100; i++) {
		put_u32(out, i == 1 ? (uint32_t)m->offset_s : 0);
		buf_append_char(out, (char)(i == 1 ? m->is_dst : 0));
		buf_append_char(out, (char)(i == 1 ? m->name : 0));
	}
	buf_append(out, "ABC", m->chars == 0 ? 0 : 4);
	for (int64_t i = 0; i < m->leap && i < 100; i++) {
		put_time(out, bytes, 78796800);
		put_u32(out, 1);
	}
	for (int64_t i = 0; i < m->isstd + m->isut && i < 100; i++)
		buf_append_char(out, '\0');
}

static struct slice
make_file(struct buf *out, const struct made *m)
{
	buf_init(out, TZIF_BYTES_MAX * 2);
	put_block(out, m, 4);
	if (m->version != '\0') {
		put_block(out, m, 8);
		buf_append_string(out, m->footer);
	}
	ck_assert(!out->failed);
	return buf_slice(out);
}

/* Also of each version, and cut off at each byte. */
START_TEST(test_made_file)
{
	static const char versions[] = {'\0', '2', '3', '4', '5'};
	struct made m = sound;
	struct tzif *tz;
	struct buf out;
	struct slice file;

	m.version = versions[_i];
	file = make_file(&out, &m);
	for (size_t len = 0; len < file.len; len++) {
		tz = parse(slice_of(file.p, len));
		ck_assert_msg(tz == NULL, "%zu bytes of %zu", len, file.len);
	}
	tz = parse(file);
	ck_assert_msg(tz != NULL, "%s", err.text);
	ck_assert_int_eq(tzif_span(tz, 999999).offset_s, 0);
	ck_assert_int_eq(tzif_span(tz, 999999).from_s, INT64_MIN);
	ck_assert_int_eq(tzif_span(tz, 999999).to_s, 1000000);
	ck_assert_int_eq(tzif_span(tz, 1000000).offset_s, 3600);
	ck_assert_int_eq(tzif_span(tz, 1000000).to_s, 1000000 + DAY_S);
	ck_assert_int_eq(tzif_span(tz, 1000000 + DAY_S).offset_s, 0);
	ck_assert_int_eq(tzif_span(tz, 1000000 + DAY_S).to_s, INT64_MAX);
	tzif_free(&tz);
	buf_free(&out);
}
END_TEST

/* One thing of the sound file that is otherwise. */
static const struct {
	size_t number; /* which member */
	int64_t value;
	const char *footer;
	const char *reason;
} damaged[] = {
    {offsetof(struct made, version), '1', NULL, "version"},
    {offsetof(struct made, type), 0, NULL, "counts"},
    {offsetof(struct made, chars), 0, NULL, "counts"},
    {offsetof(struct made, isut), 1, NULL, "counts"},
    {offsetof(struct made, isstd), 3, NULL, "counts"},
    {offsetof(struct made, leap), 1, NULL, "leap seconds"},
    {offsetof(struct made, time), 0xffffffff, NULL, "cut off"},
    {offsetof(struct made, type), 0xffffffff, NULL, "cut off"},
    {offsetof(struct made, leap), 0x80000000, NULL, "cut off"},
    {offsetof(struct made, step_s), 0, NULL, "time of change"},
    {offsetof(struct made, step_s), -1, NULL, "time of change"},
    {offsetof(struct made, first_s), INT64_MIN, NULL, "time of change"},
    {offsetof(struct made, offset_s), 26 * 3600 + 1, NULL, "local time type"},
    {offsetof(struct made, offset_s), INT32_MIN, NULL, "local time type"},
    {offsetof(struct made, is_dst), 2, NULL, "local time type"},
    {offsetof(struct made, name), 4, NULL, "local time type"},
    {offsetof(struct made, last_index), 2, NULL, "local time type"},
    {offsetof(struct made, last_index), 255, NULL, "local time type"},
    {0, 0, "ABC0\n", "cut off"},
    {0, 0, "\nABC0", "cut off"},
    {0, 0, "", "cut off"},
    {0, 0, "\nABC\n", "its rule \"ABC\""},
};

START_TEST(test_damaged)
{
	struct made m = sound;
	struct buf out;

	if (damaged[_i].footer != NULL)
		m.footer = damaged[_i].footer;
	else
		memcpy((char *)&m + damaged[_i].number, &damaged[_i].value,
		    sizeof(damaged[_i].value));
	ck_assert_ptr_null(parse(make_file(&out, &m)));
	ck_assert_msg(
	    strstr(err.text, damaged[_i].reason) != NULL, "%s", err.text);
	buf_free(&out);
}
END_TEST

/* No footer: the last offset stays. Beyond its table a file is read over. */
START_TEST(test_no_footer)
{
	struct made m = sound;
	struct tzif *tz;
	struct buf out;

	m.footer = "\n\n";
	m.last_index = 1;
	tz = parse(make_file(&out, &m));
	ck_assert_ptr_nonnull(tz);
	ck_assert_int_eq(tzif_span(tz, TZIF_TIME_MAX_S).offset_s, 3600);
	tzif_free(&tz);
	for (size_t i = out.len; i < TZIF_BYTES_MAX; i++)
		buf_append_char(&out, 'x');
	tz = parse(buf_slice(&out));
	ck_assert_ptr_nonnull(tz);
	tzif_free(&tz);
	buf_append_char(&out, 'x');
	ck_assert_ptr_null(parse(buf_slice(&out)));
	ck_assert_ptr_nonnull(strstr(err.text, "more than"));
	buf_free(&out);
}
END_TEST

/* ---- local times ---- */

static const struct {
	const char *zone;
	int year, month, day, hour, minute;
	int fit;
	int32_t first_offset_s, last_offset_s; /* of a gap: before, after */
} locals[] = {
    {"Europe/Berlin", 2027, 3, 28, 1, 59, TZ_ONCE, 3600, 3600},
    {"Europe/Berlin", 2027, 3, 28, 2, 0, TZ_GAP, 3600, 7200},
    {"Europe/Berlin", 2027, 3, 28, 2, 59, TZ_GAP, 3600, 7200},
    {"Europe/Berlin", 2027, 3, 28, 3, 0, TZ_ONCE, 7200, 7200},
    {"Europe/Berlin", 2027, 10, 31, 1, 59, TZ_ONCE, 7200, 7200},
    {"Europe/Berlin", 2027, 10, 31, 2, 0, TZ_TWICE, 7200, 3600},
    {"Europe/Berlin", 2027, 10, 31, 2, 59, TZ_TWICE, 7200, 3600},
    {"Europe/Berlin", 2027, 10, 31, 3, 0, TZ_ONCE, 3600, 3600},
    {"Europe/Berlin", 2527, 7, 1, 0, 0, TZ_ONCE, 7200, 7200},
    {"Europe/Dublin", 2027, 3, 28, 1, 30, TZ_GAP, 0, 3600},
    {"America/New_York", 2026, 11, 1, 1, 30, TZ_TWICE, -14400, -18000},
    /* Half an hour; a day that does not exist; a change of a table, without a
     * rule: of the past, which no later table changes. */
    {"Australia/Lord_Howe", 2027, 4, 4, 1, 45, TZ_TWICE, 39600, 37800},
    {"Australia/Lord_Howe", 2027, 10, 3, 2, 15, TZ_GAP, 37800, 39600},
    {"Pacific/Apia", 2011, 12, 30, 12, 0, TZ_GAP, -36000, 50400},
    {"Africa/Casablanca", 2024, 3, 10, 2, 30, TZ_TWICE, 3600, 0},
    {"Asia/Kolkata", 2027, 2, 7, 2, 30, TZ_ONCE, 19800, 19800},
    {"Etc/UTC", 2027, 2, 7, 2, 30, TZ_ONCE, 0, 0},
};

START_TEST(test_local)
{
	int64_t local_s = at(locals[_i].year, locals[_i].month, locals[_i].day,
	    locals[_i].hour, locals[_i].minute);
	struct tz_local local;
	struct tzif *tz;
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", zone_dir, locals[_i].zone);
	tz = load(path);
	ck_assert_msg(tz != NULL, "%s", err.text);
	local = tzif_local(tz, local_s);
	ck_assert_int_eq(local.fit, locals[_i].fit);
	if (local.fit == TZ_GAP) {
		ck_assert_int_eq(local.first_s, local.last_s);
		ck_assert_int_eq(
		    tzif_span(tz, local.first_s).from_s, local.first_s);
		ck_assert_int_eq(tzif_span(tz, local.first_s - 1).offset_s,
		    locals[_i].first_offset_s);
		ck_assert_int_eq(tzif_span(tz, local.first_s).offset_s,
		    locals[_i].last_offset_s);
	} else {
		ck_assert_int_eq(
		    local.first_s, local_s - locals[_i].first_offset_s);
		ck_assert_int_eq(
		    local.last_s, local_s - locals[_i].last_offset_s);
	}
	tzif_free(&tz);
}
END_TEST

/* ---- all zones, beside the C library ---- */

static int n_zones, n_times;

static int32_t
libc_offset(int64_t utc_s)
{
	time_t s = (time_t)utc_s;
	struct tm tm;

	n_times++;
	return localtime_r(&s, &tm) == NULL ? INT32_MAX : (int32_t)tm.tm_gmtoff;
}

/* A change, as local times see it. */
static void
check_change(const struct tzif *tz, const struct tz_span *span, int32_t before)
{
	int64_t early_s = span->from_s + before;
	int64_t late_s = span->from_s + span->offset_s;
	struct tz_local local =
	    tzif_local(tz, early_s < late_s ? early_s : late_s);

	if (early_s < late_s) { /* the first that does not exist */
		ck_assert_int_eq(local.fit, TZ_GAP);
		ck_assert_int_eq(local.first_s, span->from_s);
	} else if (late_s < early_s && span->to_s > span->from_s + DAY_S) {
		ck_assert_int_eq(local.fit, TZ_TWICE);
		ck_assert_int_eq(local.last_s, span->from_s);
		ck_assert_int_eq(local.first_s, late_s - before);
	}
}

static int
check_zone(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	int64_t until_s = at(2060, 1, 1, 0, 0), from_s = at(1880, 1, 1, 0, 0);
	struct tz_span span = {.to_s = from_s};
	struct tzif *tz;
	char name[300];
	int32_t before = 0;

	(void)ftw;
	/* The same zones, with and without leap seconds. */
	if (strcmp(path, "/usr/share/zoneinfo/right") == 0 ||
	    strcmp(path, "/usr/share/zoneinfo/posix") == 0)
		return FTW_SKIP_SUBTREE;
	if (flag != FTW_F || !S_ISREG(st->st_mode) ||
	    strchr(path + sizeof(zone_dir), '.') != NULL)
		return FTW_CONTINUE;
	tz = load(path);
	if (tz == NULL) { /* leapseconds, tzdata.zi */
		ck_assert_str_eq(err.text, "no TZif file");
		return FTW_CONTINUE;
	}
	n_zones++;
	(void)snprintf(name, sizeof(name), ":%s", path);
	ck_assert_int_eq(setenv("TZ", name, 1), 0);
	tzset();
	for (; span.to_s < until_s; before = span.offset_s) {
		span = tzif_span(tz, span.to_s);
		if (span.from_s > from_s) {
			ck_assert(libc_offset(span.from_s - 1) == before &&
				  libc_offset(span.from_s) == span.offset_s);
			check_change(tz, &span, before);
		}
	}
	for (int64_t s = from_s; s < until_s; s += 397 * DAY_S + 12345) {
		span = tzif_span(tz, s);
		ck_assert_msg(span.offset_s == libc_offset(s), "%s at %lld",
		    path, (long long)s);
		ck_assert(span.from_s <= s && s < span.to_s);
	}
	tzif_free(&tz);
	return FTW_CONTINUE;
}

START_TEST(test_all_zones)
{
	ck_assert_int_eq(
	    nftw(zone_dir, check_zone, 16, FTW_ACTIONRETVAL | FTW_PHYS), 0);
	printf("%d zones, %d times\n", n_zones, n_times);
	ck_assert_int_gt(n_zones, 300);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tzif");
	TCase *tc = tcase_create("tzif");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_rule, 0, COUNT(rules));
	tcase_add_loop_test(tc, test_no_rule, 0, COUNT(no_rules));
	tcase_add_loop_test(tc, test_made_file, 0, 5);
	tcase_add_loop_test(tc, test_damaged, 0, COUNT(damaged));
	tcase_add_test(tc, test_no_footer);
	tcase_add_loop_test(tc, test_local, 0, COUNT(locals));
	tcase_add_test(tc, test_all_zones);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
