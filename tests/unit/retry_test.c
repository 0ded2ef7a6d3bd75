/* SPDX-License-Identifier: ISC */
#include "event/retry.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define LEAST  UINT32_C(0)
#define MIDDLE UINT32_C(0x80000000)
#define MOST   UINT32_MAX

/* 100 years, to show that no product overflows. */
#define CENTURY_MS INT64_C(3153600000000)

static const struct retry_policy plain = {
    .max_retries = 5,
    .n_delays = 3,
    .delay_ms = {10000, 60000, 600000},
    .jitter_percent = 20,
    .retry_after_max_ms = 3600000,
};
static const struct retry_policy steady = {
    .max_retries = 1, .n_delays = 1, .delay_ms = {1999}};
static const struct retry_policy never = {
    .max_retries = 0, .n_delays = 1, .delay_ms = {1000}};
static const struct retry_policy at_once = {
    .max_retries = 1, .n_delays = 1, .delay_ms = {0}, .jitter_percent = 20};
static const struct retry_policy full = {
    .max_retries = 1, .n_delays = 1, .delay_ms = {1}, .jitter_percent = 100};
static const struct retry_policy ages = {.max_retries = 1,
    .n_delays = 1,
    .delay_ms = {CENTURY_MS},
    .jitter_percent = 100};

static const struct {
	const struct retry_policy *policy;
	unsigned attempt;
	int64_t retry_after_ms;
	uint32_t random;
	int64_t wait_ms;
} rows[] = {
    /* The list of delays; the last one repeats. */
    {&plain, 1, 0, MIDDLE, 10000},
    {&plain, 2, 0, MIDDLE, 60000},
    {&plain, 3, 0, MIDDLE, 600000},
    {&plain, 4, 0, MIDDLE, 600000},
    {&plain, 5, 0, MIDDLE, 600000},
    {&plain, 6, 0, MIDDLE, -1},
    {&plain, 6, 5000, MIDDLE, -1},
    {&plain, UINT32_MAX, 0, MIDDLE, -1},
    {&never, 1, 0, MIDDLE, -1},
    /* Jitter. */
    {&plain, 1, 0, LEAST, 8000},
    {&plain, 1, 0, MOST, 12000},
    {&plain, 1, 0, UINT32_C(0x40000000), 9000},
    {&plain, 1, 0, UINT32_C(0xc0000000), 11000},
    {&steady, 1, 0, LEAST, 1999},
    {&steady, 1, 0, MOST, 1999},
    {&at_once, 1, 0, LEAST, 0},
    {&at_once, 1, 0, MOST, 0},
    {&full, 1, 0, LEAST, 0},
    {&full, 1, 0, MOST, 2},
    {&ages, 1, 0, LEAST, 0},
    {&ages, 1, 0, MIDDLE, CENTURY_MS},
    /* Retry-After lengthens the wait, up to its cap, and never cuts it. */
    {&plain, 1, 9999, MIDDLE, 10000},
    {&plain, 1, 10001, MIDDLE, 10001},
    {&plain, 1, 3600000, MIDDLE, 3600000},
    {&plain, 1, 3600001, MIDDLE, 3600000},
    {&plain, 1, INT64_MAX, MIDDLE, 3600000},
    {&plain, 1, -5, MIDDLE, 10000},
    {&steady, 1, 5000, MIDDLE, 1999},
};

START_TEST(test_wait)
{
	ck_assert_int_eq(retry_wait_ms(rows[_i].policy, rows[_i].attempt,
			     rows[_i].retry_after_ms, rows[_i].random),
	    rows[_i].wait_ms);
}
END_TEST

/* Even steps of the random number give even steps of the wait. */
START_TEST(test_even_spread)
{
	unsigned hits[5] = {0};

	for (uint64_t random = 0; random <= UINT32_MAX; random += 1U << 20) {
		int64_t wait = retry_wait_ms(&plain, 1, 0, (uint32_t)random);

		ck_assert_int_ge(wait, 8000);
		ck_assert_int_le(wait, 12000);
		hits[(wait - 8000) * 4 / 4000]++;
	}
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_ge(hits[i], 1020);
		ck_assert_uint_le(hits[i], 1028);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("retry");
	TCase *tc = tcase_create("retry");

	tcase_add_loop_test(tc, test_wait, 0, COUNT(rows));
	tcase_add_test(tc, test_even_spread);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
