/* SPDX-License-Identifier: ISC */
#include "base/buf.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

static void
assert_content(const struct buf *buf, const char *text)
{
	ck_assert(slice_eq(buf_slice(buf), slice_from_string(text)));
}

START_TEST(test_appends_in_order)
{
	struct buf buf;

	buf_init(&buf, 1000);
	ck_assert_uint_eq(buf.cap, 0);
	assert_content(&buf, "");
	ck_assert_int_eq(buf_append(&buf, NULL, 0), 0);
	ck_assert_int_eq(buf_append(&buf, "ab", 2), 0);
	ck_assert_int_eq(buf_append_slice(&buf, SLICE_LITERAL("cd")), 0);
	ck_assert_int_eq(buf_append_string(&buf, "ef"), 0);
	ck_assert_int_eq(buf_append_char(&buf, 'g'), 0);
	ck_assert_int_eq(buf_printf(&buf, "%d%s", 1, "h"), 0);
	ck_assert_int_eq(buf_printf(&buf, "%s", ""), 0);
	assert_content(&buf, "abcdefg1h");
	buf_free(&buf);
	ck_assert_ptr_null(buf.p);
	ck_assert_uint_eq(buf.max, 1000);
	ck_assert_int_eq(buf_append_char(&buf, 'x'), 0);
	buf_free(&buf);
}
END_TEST

START_TEST(test_budget)
{
	struct buf_budget budget = {.max = 40000};
	struct buf one, other;

	buf_init_within(&one, 100000, &budget);
	buf_init_within(&other, 100000, &budget);
	ck_assert_int_eq(buf_reserve(&one, 30000), 0);
	ck_assert_uint_eq(budget.used, 30000);
	ck_assert_int_eq(buf_reserve(&other, 10001), -1);
	ck_assert(!other.failed);
	ck_assert_int_eq(buf_reserve(&other, 10000), 0);
	ck_assert_uint_eq(budget.used, 40000);
	other.len = other.cap;
	ck_assert_int_eq(buf_append_char(&other, 'x'), -1);
	ck_assert(other.failed);
	/* A small one is counted, not refused. */
	buf_free(&other);
	ck_assert_uint_eq(budget.used, 30000);
	ck_assert_int_eq(buf_reserve(&one, 40000), 0);
	ck_assert_int_eq(buf_reserve(&other, BUF_SMALL_BYTES), 0);
	ck_assert_uint_eq(budget.used, 40000 + BUF_SMALL_BYTES);
	other.len = other.cap;
	ck_assert_int_eq(buf_append_char(&other, 'x'), -1);
	buf_free(&other);
	buf_free(&one);
	ck_assert_uint_eq(budget.used, 0);
}
END_TEST

START_TEST(test_part_of_a_budget)
{
	enum { KIB = 1024 };
	struct buf_budget whole = {.max = 128 * KIB};
	struct buf_budget one = {.max = 16 * KIB, .whole = &whole};
	struct buf_budget two = one, three = one;
	struct buf a, b, c, d;

	buf_init_within(&a, SIZE_MAX / 2, &one);
	buf_init_within(&b, SIZE_MAX / 2, &two);
	buf_init_within(&c, SIZE_MAX / 2, &three);
	buf_init_within(&d, SIZE_MAX / 2, &one);
	/* Half for one; then half of the rest for another one. */
	ck_assert_int_eq(buf_reserve(&a, 65 * KIB), -1);
	ck_assert_int_eq(buf_reserve(&a, 64 * KIB), 0);
	ck_assert_int_eq(buf_reserve(&d, 16 * KIB), -1);
	ck_assert_int_eq(buf_reserve(&b, 33 * KIB), -1);
	ck_assert_int_eq(buf_reserve(&b, 32 * KIB), 0);
	/* Its own, whatever the others have, as long as it is there. */
	ck_assert_int_eq(buf_reserve(&c, 17 * KIB), -1);
	ck_assert_int_eq(buf_reserve(&c, 16 * KIB), 0);
	ck_assert_uint_eq(whole.used, 112 * KIB);
	buf_move(&a, &whole);
	ck_assert_uint_eq(one.used, 0);
	ck_assert_uint_eq(whole.used, 112 * KIB);
	buf_free(&a);
	buf_move(&b, &one);
	ck_assert_uint_eq(one.used, 32 * KIB);
	ck_assert_uint_eq(two.used, 0);
	buf_free(&b);
	buf_free(&c);
	ck_assert_uint_eq(whole.used, 0);
}
END_TEST

START_TEST(test_ample)
{
	struct buf_budget whole = {.max = 128}, part = {.whole = &whole};

	whole.used = 32;
	ck_assert(buf_budget_is_ample(&whole));
	ck_assert(buf_budget_is_ample(&part));
	whole.used = 33;
	ck_assert(!buf_budget_is_ample(&whole));
	ck_assert(!buf_budget_is_ample(&part));
}
END_TEST

START_TEST(test_maximum)
{
	struct buf buf;

	buf_init(&buf, 5);
	ck_assert_int_eq(buf_append_string(&buf, "abc"), 0);
	ck_assert_int_eq(buf_append_string(&buf, "def"), -1);
	ck_assert(buf.failed);
	assert_content(&buf, "abc");
	/* It would fit, but the chain is broken. */
	ck_assert_int_eq(buf_append_char(&buf, 'd'), -1);
	ck_assert_int_eq(buf_append(&buf, NULL, 0), -1);
	ck_assert_int_eq(buf_printf(&buf, "d"), -1);
	assert_content(&buf, "abc");

	buf_reset(&buf);
	ck_assert(!buf.failed);
	assert_content(&buf, "");
	ck_assert_int_eq(buf_append_string(&buf, "abcde"), 0);
	ck_assert_int_eq(buf_append_char(&buf, 'f'), -1);
	assert_content(&buf, "abcde");
	buf_free(&buf);
}
END_TEST

START_TEST(test_printf_fills_to_the_maximum)
{
	struct buf buf;

	buf_init(&buf, 6);
	ck_assert_int_eq(buf_printf(&buf, "%s", "abc"), 0);
	ck_assert_int_eq(buf_printf(&buf, "%s", "def"), 0);
	assert_content(&buf, "abcdef");
	ck_assert_int_eq(buf_printf(&buf, "%s", "g"), -1);
	ck_assert(buf.failed);
	assert_content(&buf, "abcdef");
	buf_free(&buf);
}
END_TEST

START_TEST(test_printf_grows)
{
	enum { TIMES = 1000 };
	const size_t width = 10;
	struct buf buf;

	buf_init(&buf, width * TIMES);
	for (int i = 0; i < TIMES; i++)
		ck_assert_int_eq(buf_printf(&buf, "%010d", i), 0);
	ck_assert_uint_eq(buf.len, width * TIMES);
	ck_assert_uint_le(buf.cap, buf.max);
	for (size_t i = 0; i < TIMES; i++) {
		struct slice number = slice_of(buf.p + width * i, width);
		uint64_t value;

		ck_assert_int_eq(slice_to_u64(number, TIMES, &value), 0);
		ck_assert_uint_eq(value, i);
	}
	buf_free(&buf);
}
END_TEST

START_TEST(test_reserve)
{
	struct buf buf;

	buf_init(&buf, 300);
	ck_assert_int_eq(buf_reserve(&buf, 0), 0);
	ck_assert_int_eq(buf_reserve(&buf, 1), 0);
	ck_assert_uint_ge(buf.cap, 1);
	ck_assert_int_eq(buf_reserve(&buf, 300), 0);
	ck_assert_uint_eq(buf.cap, 300);
	ck_assert_int_eq(buf_append_char(&buf, 'a'), 0);
	ck_assert_int_eq(buf_reserve(&buf, 300), -1);
	ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX), -1);
	ck_assert_int_eq(buf_reserve(&buf, 299), 0);
	buf_free(&buf);
}
END_TEST

START_TEST(test_beyond_any_memory)
{
	struct buf buf;

	buf_init(&buf, SIZE_MAX);
	ck_assert_int_eq(buf_append_char(&buf, 'a'), 0);
	ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX - 1), -1);
	assert_content(&buf, "a");
	buf_free(&buf);
}
END_TEST

START_TEST(test_consume)
{
	struct buf buf;

	buf_init(&buf, 10);
	buf_consume(&buf, 0);
	ck_assert_int_eq(buf_append_string(&buf, "0123456789"), 0);
	buf_consume(&buf, 3);
	assert_content(&buf, "3456789");
	ck_assert_int_eq(buf_append_string(&buf, "abc"), 0);
	assert_content(&buf, "3456789abc");
	buf_consume(&buf, 10);
	assert_content(&buf, "");
	buf_free(&buf);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tc = tcase_create("buf");

	tcase_add_test(tc, test_appends_in_order);
	tcase_add_test(tc, test_budget);
	tcase_add_test(tc, test_part_of_a_budget);
	tcase_add_test(tc, test_ample);
	tcase_add_test(tc, test_maximum);
	tcase_add_test(tc, test_printf_fills_to_the_maximum);
	tcase_add_test(tc, test_printf_grows);
	tcase_add_test(tc, test_reserve);
	tcase_add_test(tc, test_beyond_any_memory);
	tcase_add_test(tc, test_consume);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
