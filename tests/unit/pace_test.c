/* SPDX-License-Identifier: ISC */
#include "base/pace.h"

#include <check.h>

#include "base/clock.h"
#include "suite.h"

static void
work_ms(int64_t ms)
{
	int64_t end_ms = clock_mono_ms() + ms;

	while (clock_mono_ms() < end_ms)
		;
}

START_TEST(test_rests)
{
	struct pace pace = {.rests = 3};
	int64_t begin_ms, since_us;

	pace_begin(&pace);
	since_us = pace.since_us;
	pace_begin(&pace);
	ck_assert_int_eq(pace.since_us, since_us);
	work_ms(10);
	begin_ms = clock_mono_ms();
	pace_rest(&pace);
	/* Of a millisecond a part may be lost at either end. */
	ck_assert_int_ge(clock_mono_ms() - begin_ms, 3 * 9 - 1);
	ck_assert_int_gt(pace.since_us, since_us);
}
END_TEST

START_TEST(test_has_none)
{
	struct pace pace = {.rests = 0};
	int64_t since_us;

	pace_begin(&pace);
	since_us = pace.since_us;
	work_ms(2);
	pace_rest(&pace);
	ck_assert_int_eq(pace.since_us, since_us);
}
END_TEST

/* An hour would be waited for, and the test would not end: of one second, and of
 * an hour, for which the process was stopped. */
START_TEST(test_is_bounded)
{
	static const int64_t worked_us[] = {1000000, INT64_C(3600000000)};

	for (size_t i = 0; i < sizeof(worked_us) / sizeof(worked_us[0]); i++) {
		struct pace pace = {.rests = 3600};
		int64_t since_us;

		pace_begin(&pace);
		since_us = pace.since_us -= worked_us[i];
		pace_rest(&pace);
		ck_assert_int_gt(pace.since_us, since_us);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pace");
	TCase *tc = tcase_create("pace");

	tcase_add_test(tc, test_rests);
	tcase_add_test(tc, test_has_none);
	tcase_add_test(tc, test_is_bounded);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
