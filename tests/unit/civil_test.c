/* SPDX-License-Identifier: ISC */
#include "base/civil.h"

#include <stdlib.h>
#include <time.h>

#include <check.h>

#include "suite.h"

/* Each day of eight hundred years, and some far ones, as the C library has it.
 */
START_TEST(test_days)
{
	static const int64_t from[] = {-1000000 * INT64_C(365), -2440588,
	    -200000, 0, 1000000 * INT64_C(365)};

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		for (int64_t day = from[i]; day < from[i] + 40000; day++) {
			time_t s = (time_t)(day * DAY_S + day % DAY_S);
			struct civil c = civil_of_seconds(s);
			struct tm tm;

			/* One assertion: each of them costs much more. */
			ck_assert(
			    gmtime_r(&s, &tm) != NULL &&
			    c.year == tm.tm_year + INT64_C(1900) &&
			    c.month == tm.tm_mon + 1 && c.day == tm.tm_mday &&
			    c.hour == tm.tm_hour && c.minute == tm.tm_min &&
			    c.second == tm.tm_sec && civil_seconds(&c) == s &&
			    civil_weekday(civil_days(c.year, c.month, c.day)) ==
				tm.tm_wday);
		}
}
END_TEST

START_TEST(test_days_of_month)
{
	ck_assert_int_eq(civil_days_of_month(2024, 2), 29);
	ck_assert_int_eq(civil_days_of_month(2023, 2), 28);
	ck_assert_int_eq(civil_days_of_month(1900, 2), 28);
	ck_assert_int_eq(civil_days_of_month(2000, 2), 29);
	ck_assert_int_eq(civil_days_of_month(-4, 2), 29);
	ck_assert_int_eq(civil_days_of_month(2023, 4), 30);
	ck_assert_int_eq(civil_days_of_month(2023, 12), 31);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("civil");
	TCase *tc = tcase_create("civil");

	tcase_add_test(tc, test_days);
	tcase_add_test(tc, test_days_of_month);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
