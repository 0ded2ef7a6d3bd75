/* SPDX-License-Identifier: ISC */
#include "base/rfc3339.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	const char *text;
	int64_t ms;
} times[] = {
    /* RFC 3339, 5.8 */
    {"1985-04-12T23:20:50.52Z", INT64_C(482196050520)},
    {"1996-12-19T16:39:57-08:00", INT64_C(851042397000)},
    {"1990-12-31T23:59:60Z", INT64_C(662688000000)},
    {"1990-12-31T15:59:60-08:00", INT64_C(662688000000)},
    {"1937-01-01T12:00:27.87+00:20", INT64_C(-1041337172130)},

    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01t00:00:00z", 0},
    {"1970-01-01T00:00:00-00:00", 0},
    {"1970-01-01T00:00:00.001Z", 1},
    {"1970-01-01T00:00:00.0019999999999999999999Z", 1},
    {"1970-01-01T00:00:00.9Z", 900},
    {"1969-12-31T23:59:59.999Z", -1},
    {"2024-02-29T00:00:00+23:59", INT64_C(1709078460000)},
    {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
    {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
    {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    {"9999-12-31T23:59:59-23:59", INT64_C(253402387139000)},
};

static const char *const none[] = {
    "", "1970", "1970-01-01", "1970-01-01T", "1970-01-01T00:00:00",
    "1970-01-01 00:00:00Z", "1970-01-01T00:00Z", "1970-1-01T00:00:00Z",
    "+970-01-01T00:00:00Z", "1970-00-01T00:00:00Z", "1970-13-01T00:00:00Z",
    "1970-01-00T00:00:00Z", "1970-01-32T00:00:00Z", "1970-04-31T00:00:00Z",
    "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "1970-01-01T24:00:00Z",
    "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T12:00:60Z",
    "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00,5Z",
    "1970-01-01T00:00:00.5", "1970-01-01T00:00:00+24:00",
    "1970-01-01T00:00:00+00:60", "1970-01-01T00:00:00+0000",
    "1970-01-01T00:00:00+00", "1970-01-01T00:00:00ZZ",
    "1970-01-01T00:00:00Z ", " 1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00*00:00", "10000-01-01T00:00:00Z",
};

/* With no byte behind it. */
static int
parse(const char *text, int64_t *ms)
{
	size_t len = strlen(text);
	char *bytes = malloc(len);
	int result;

	memcpy(bytes, text, len);
	result = rfc3339_parse(slice_of(bytes, len), ms);
	free(bytes);
	return result;
}

START_TEST(test_time)
{
	int64_t ms;

	ck_assert_int_eq(parse(times[_i].text, &ms), 0);
	ck_assert_int_eq(ms, times[_i].ms);
}
END_TEST

START_TEST(test_none)
{
	int64_t ms;

	ck_assert_int_eq(parse(none[_i], &ms), -1);
}
END_TEST

static const struct {
	int64_t ms;
	int32_t offset_s;
	const char *text;
} written[] = {
    {0, 0, "1970-01-01T00:00:00Z"},
    {1806210000000, 7200, "2027-03-28T07:00:00+02:00"},
    {1806210000250, -12600, "2027-03-28T01:30:00.250-03:30"},
    {1806210000005, 2700, "2027-03-28T05:45:00.005+00:45"},
    {-1, 0, "1969-12-31T23:59:59.999Z"},
    /* Mean time of a place, of which there is no such text. */
    {0, 3208, "1970-01-01T00:00:00Z"},
    {253402300799999, 0, "9999-12-31T23:59:59.999Z"},
};

START_TEST(test_write)
{
	char text[RFC3339_TEXT];
	int64_t ms;

	rfc3339_write(written[_i].ms, written[_i].offset_s, text);
	ck_assert_str_eq(text, written[_i].text);
	ck_assert_int_eq(parse(text, &ms), 0);
	ck_assert_int_eq(ms, written[_i].ms);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rfc3339");
	TCase *tc = tcase_create("rfc3339");

	tcase_add_loop_test(tc, test_time, 0, COUNT(times));
	tcase_add_loop_test(tc, test_none, 0, COUNT(none));
	tcase_add_loop_test(tc, test_write, 0, COUNT(written));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
