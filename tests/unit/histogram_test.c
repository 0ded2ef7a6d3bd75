/* SPDX-License-Identifier: ISC */
#include "bench/histogram.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

static struct histogram h;

static void
setup(void)
{
	ck_assert_int_eq(histogram_init(&h), 0);
}

static void
teardown(void)
{
	histogram_fini(&h);
}

START_TEST(empty)
{
	ck_assert_int_eq(histogram_quantile_us(&h, 0.5), 0);
	ck_assert_double_eq(histogram_mean_us(&h), 0);
}
END_TEST

static const int64_t values[] = {
    0, 1, 2, 999, 2047, 2048, 2049, 4095, 4096, 123456, 999999, 1000000,
    3600000000, (INT64_C(1) << 36) - 1,
};

START_TEST(three_digits)
{
	int64_t value = values[_i], got;

	/* A larger one keeps the maximum out of the answer. */
	histogram_add(&h, value);
	histogram_add(&h, INT64_C(1) << 40);
	got = histogram_quantile_us(&h, 0.5);
	ck_assert_int_ge(got, value);
	ck_assert_int_le(got - value, value / 1000);
	ck_assert_int_eq(h.min_us, value);
}
END_TEST

START_TEST(quantiles)
{
	static const struct {
		double part;
		int64_t value;
	} rows[] = {
	    {0, 1}, {0.001, 1}, {0.5, 500}, {0.9, 900}, {0.99, 990},
	    {0.999, 999}, {1, 1000},
	};

	for (int64_t i = 1000; i >= 1; i--)
		histogram_add(&h, i);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(histogram_quantile_us(&h, rows[i].part),
		    rows[i].value);
	ck_assert_double_eq(histogram_mean_us(&h), 500.5);
	ck_assert_int_eq(h.max_us, 1000);
}
END_TEST

START_TEST(beyond_the_range)
{
	histogram_add(&h, -5);
	histogram_add(&h, INT64_MAX);
	ck_assert_int_eq(h.min_us, 0);
	ck_assert_int_eq(histogram_quantile_us(&h, 0.5), 0);
	ck_assert_int_eq(
	    histogram_quantile_us(&h, 1), (INT64_C(1) << 36) - 1);
	ck_assert_int_eq(h.max_us, INT64_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, empty);
	tcase_add_loop_test(
	    tc, three_digits, 0, (int)(sizeof(values) / sizeof(values[0])));
	tcase_add_test(tc, quantiles);
	tcase_add_test(tc, beyond_the_range);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
