/* SPDX-License-Identifier: ISC */
#include "base/slice.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	struct slice a, b;
	bool equal, equal_without_case;
} pairs[] = {
    {SLICE_INIT(""), SLICE_INIT(""), true, true},
    {{NULL, 0}, SLICE_INIT(""), true, true},
    {SLICE_INIT("Host"), SLICE_INIT("Host"), true, true},
    {SLICE_INIT("Host"), SLICE_INIT("hOST"), false, true},
    {SLICE_INIT("Host"), SLICE_INIT("Hos"), false, false},
    {SLICE_INIT("Host"), SLICE_INIT("Hose"), false, false},
    {SLICE_INIT("a\0b"), SLICE_INIT("A\0B"), false, true},
    {SLICE_INIT("a\0b"), SLICE_INIT("a\0c"), false, false},
    /* Neighbours of the letters, and the same bits outside ASCII. */
    {SLICE_INIT("@["), SLICE_INIT("`{"), false, false},
    {SLICE_INIT("\xc3\x84"), SLICE_INIT("\xc3\xa4"), false, false},
};

START_TEST(test_equality)
{
	ck_assert(slice_eq(pairs[_i].a, pairs[_i].b) == pairs[_i].equal);
	ck_assert(slice_ieq(pairs[_i].a, pairs[_i].b) ==
		  pairs[_i].equal_without_case);
}
END_TEST

static const struct {
	struct slice in, out;
} trims[] = {
    {SLICE_INIT(""), SLICE_INIT("")},
    {SLICE_INIT(" \t "), SLICE_INIT("")},
    {SLICE_INIT("a"), SLICE_INIT("a")},
    {SLICE_INIT(" a b\t"), SLICE_INIT("a b")},
    {SLICE_INIT("\r\n a"), SLICE_INIT("\r\n a")},
};

START_TEST(test_trim)
{
	ck_assert(slice_eq(slice_trim(trims[_i].in), trims[_i].out));
}
END_TEST

static const struct {
	struct slice text;
	uint64_t max;
	int result;
	uint64_t value;
} numbers[] = {
    {SLICE_INIT("0"), 0, 0, 0},
    {SLICE_INIT("007"), 7, 0, 7},
    {SLICE_INIT("8"), 7, -1, 0},
    {SLICE_INIT("10"), 9, -1, 0},
    {SLICE_INIT("65535"), 65535, 0, 65535},
    {SLICE_INIT("65536"), 65535, -1, 0},
    {SLICE_INIT("18446744073709551615"), UINT64_MAX, 0, UINT64_MAX},
    {SLICE_INIT("18446744073709551616"), UINT64_MAX, -1, 0},
    {SLICE_INIT("99999999999999999999"), UINT64_MAX, -1, 0},
    {SLICE_INIT(""), 9, -1, 0},
    {SLICE_INIT("+1"), 9, -1, 0},
    {SLICE_INIT("-1"), 9, -1, 0},
    {SLICE_INIT(" 1"), 9, -1, 0},
    {SLICE_INIT("1 "), 9, -1, 0},
    {SLICE_INIT("1\0"), 9, -1, 0},
    {SLICE_INIT("0x1"), 9, -1, 0},
    {SLICE_INIT("/"), 99, -1, 0},
    {SLICE_INIT(":"), 99, -1, 0},
};

START_TEST(test_to_u64)
{
	uint64_t value = 0;

	ck_assert_int_eq(
	    slice_to_u64(numbers[_i].text, numbers[_i].max, &value),
	    numbers[_i].result);
	ck_assert_uint_eq(value, numbers[_i].value);
}
END_TEST

static const struct {
	struct slice text;
	bool ok;
} texts[] = {
    {SLICE_INIT(""), true},
    {SLICE_INIT("plain \x01\x7f\0."), true},
    {SLICE_INIT("\xc2\x80 \xdf\xbf"), true},
    {SLICE_INIT("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80"), true},
    {SLICE_INIT("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"), true},
    /* Alone, cut short, or with a wrong follower. */
    {SLICE_INIT("\x80"), false},
    {SLICE_INIT("a\xc3"), false},
    {SLICE_INIT("\xc3("), false},
    {SLICE_INIT("\xe2\x82"), false},
    {SLICE_INIT("\xe2\x82("), false},
    {SLICE_INIT("\xf0\x9f\x98"), false},
    {SLICE_INIT("\xf0\x9f\x98\xc0"), false},
    /* Overlong, surrogates, beyond U+10FFFF, never valid. */
    {SLICE_INIT("\xc0\xaf"), false},
    {SLICE_INIT("\xc1\xbf"), false},
    {SLICE_INIT("\xe0\x9f\xbf"), false},
    {SLICE_INIT("\xf0\x8f\xbf\xbf"), false},
    {SLICE_INIT("\xed\xa0\x80"), false},
    {SLICE_INIT("\xed\xbf\xbf"), false},
    {SLICE_INIT("\xf4\x90\x80\x80"), false},
    {SLICE_INIT("\xf5\x80\x80\x80"), false},
    {SLICE_INIT("\xfe"), false},
    {SLICE_INIT("\xff"), false},
};

START_TEST(test_utf8)
{
	/* A copy of the exact size lets the sanitizer see a byte too far. */
	struct slice text = texts[_i].text;
	char *copy = malloc(text.len + (text.len == 0));

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text.p, text.len);
	ck_assert(slice_is_utf8(slice_of(copy, text.len)) == texts[_i].ok);
	free(copy);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("slice");
	TCase *tc = tcase_create("slice");

	tcase_add_loop_test(tc, test_equality, 0, COUNT(pairs));
	tcase_add_loop_test(tc, test_trim, 0, COUNT(trims));
	tcase_add_loop_test(tc, test_to_u64, 0, COUNT(numbers));
	tcase_add_loop_test(tc, test_utf8, 0, COUNT(texts));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
