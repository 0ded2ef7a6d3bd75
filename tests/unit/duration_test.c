/* SPDX-License-Identifier: ISC */
#include "base/duration.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { DAY_MS = 86400000 };

static const struct {
	const char *text;
	int64_t max_ms;
	int64_t ms; /* -1: refused */
} durations[] = {
    {"0ms", 0, 0},
    {"0d", 0, 0},
    {"250ms", 1000, 250},
    {"10s", DAY_MS, 10000},
    {"007s", DAY_MS, 7000},
    {"30m", DAY_MS, 1800000},
    {"2h", DAY_MS, 7200000},
    {"1d", DAY_MS, DAY_MS},
    {"2d", DAY_MS, -1},
    {"24h", DAY_MS, DAY_MS},
    {"86400001ms", DAY_MS, -1},
    {"106751991167d", INT64_MAX, INT64_C(106751991167) * DAY_MS},
    {"106751991168d", INT64_MAX, -1},
    {"99999999999999999999d", INT64_MAX, -1},
    {"18446744073709551616ms", INT64_MAX, -1},
    {"", DAY_MS, -1},
    {"s", DAY_MS, -1},
    {"1", DAY_MS, -1},
    {"1 s", DAY_MS, -1},
    {" 1s", DAY_MS, -1},
    {"1s ", DAY_MS, -1},
    {"1S", DAY_MS, -1},
    {"1M", DAY_MS, -1},
    {"-1s", DAY_MS, -1},
    {"+1s", DAY_MS, -1},
    {"1.5h", DAY_MS, -1},
    {"1h30m", DAY_MS, -1},
    {"1w", DAY_MS, -1},
};

START_TEST(test_duration)
{
	size_t len = strlen(durations[_i].text);
	char *bytes = malloc(len == 0 ? 1 : len); /* no byte behind it */
	int64_t ms = -1;
	int status;

	memcpy(bytes, durations[_i].text, len);
	status =
	    duration_parse(slice_of(bytes, len), durations[_i].max_ms, &ms);
	free(bytes);
	ck_assert_int_eq(status, durations[_i].ms == -1 ? -1 : 0);
	ck_assert_int_eq(ms, durations[_i].ms);
}
END_TEST

static const struct {
	int64_t ms;
	const char *text;
} written[] = {
    {0, "0s"},
    {1, "1ms"},
    {999, "999ms"},
    {1000, "1s"},
    {60000, "1m"},
    {90000, "90s"},
    {3600000, "1h"},
    {86400000, "1d"},
    {90000000, "25h"},
    {INT64_MAX, "9223372036854775807ms"},
};

START_TEST(test_write)
{
	char text[DURATION_TEXT];
	int64_t ms;

	duration_write(written[_i].ms, text);
	ck_assert_str_eq(text, written[_i].text);
	ck_assert_int_eq(
	    duration_parse(slice_from_string(text), INT64_MAX, &ms), 0);
	ck_assert_int_eq(ms, written[_i].ms);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("duration");
	TCase *tc = tcase_create("duration");

	tcase_add_loop_test(tc, test_duration, 0, COUNT(durations));
	tcase_add_loop_test(tc, test_write, 0, COUNT(written));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
