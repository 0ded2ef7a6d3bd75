/* SPDX-License-Identifier: ISC */
#include "store/row_id.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define NOW_MS INT64_C(1800000000000)

START_TEST(test_rises)
{
	static const int64_t clock_ms[] = {
	    NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS - 5000, 0, -1, NOW_MS + 2};
	int64_t last = 0;

	for (int i = 0; i < COUNT(clock_ms); i++) {
		int64_t id = row_id_make(clock_ms[i]);

		ck_assert_int_gt(id, last);
		last = id;
	}
	/* More in one millisecond than the counter has values. */
	for (int i = 0; i < (1 << 22) + 10; i++) {
		int64_t id = row_id_make(NOW_MS + 3);

		if (id <= last)
			ck_abort_msg("%d: not rising", i);
		last = id;
	}
}
END_TEST

START_TEST(test_follows_the_clock)
{
	const int64_t later_ms = NOW_MS + 1000000; /* than in other tests */
	int64_t a = row_id_make(later_ms), b = row_id_make(later_ms + 1000);

	/* 2020-01-01 in milliseconds. */
	ck_assert_int_eq(a >> 22, later_ms - INT64_C(1577836800000));
	ck_assert_int_eq((b >> 22) - (a >> 22), 1000);
	ck_assert_int_gt(row_id_make(INT64_C(3700000000000)), 0);
	ck_assert_int_eq(row_id_made_ms(a), later_ms);
	ck_assert_int_eq(row_id_made_ms(b), later_ms + 1000);
	ck_assert_int_le(row_id_first(later_ms), a);
	ck_assert_int_gt(row_id_first(later_ms + 1), a);
	ck_assert_int_eq(row_id_made_ms(row_id_first(later_ms)), later_ms);
	ck_assert_int_eq(row_id_first(-1000), 0);
	ck_assert_int_gt(row_id_first(INT64_MAX), b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("row_id");
	TCase *tc = tcase_create("row_id");

	tcase_add_test(tc, test_rises);
	tcase_add_test(tc, test_follows_the_clock);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
