/* SPDX-License-Identifier: ISC */
#include "base/json_write.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static const struct {
	struct slice text, json;
} strings[] = {
    {SLICE_INIT(""), SLICE_INIT("\"\"")},
    {{NULL, 0}, SLICE_INIT("\"\"")},
    {SLICE_INIT("plain /'\x7f"), SLICE_INIT("\"plain /'\\u007f\"")},
    {SLICE_INIT("\"\\"), SLICE_INIT("\"\\\"\\\\\"")},
    {SLICE_INIT("a\b\f\n\r\tb"), SLICE_INIT("\"a\\b\\f\\n\\r\\tb\"")},
    {SLICE_INIT("\0\x01\x1f "), SLICE_INIT("\"\\u0000\\u0001\\u001f \"")},
    {SLICE_INIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	SLICE_INIT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"")},
    {SLICE_INIT("a\xffz\x80"), SLICE_INIT("\"a" BAD "z" BAD "\"")},
    {SLICE_INIT("\xe2\x82"), SLICE_INIT("\"" BAD BAD "\"")},
    {SLICE_INIT("\xed\xa0\x80"), SLICE_INIT("\"" BAD BAD BAD "\"")},
    {SLICE_INIT("\xc2\x9b\xc2\xa0\xd8\x9c\xe2\x80\xae\xef\xbb\xbf."),
	SLICE_INIT("\"\\u009b\xc2\xa0\\u061c\\u202e\\ufeff.\"")},
    {SLICE_INIT("\xc3\""), SLICE_INIT("\"" BAD "\\\"\"")},
};

START_TEST(test_string)
{
	struct buf out;

	buf_init(&out, 100);
	ck_assert_int_eq(json_write_string(&out, strings[_i].text), 0);
	ck_assert(slice_eq(buf_slice(&out), strings[_i].json));
	buf_free(&out);
}
END_TEST

static const struct {
	int64_t ms;
	const char *json;
} seconds[] = {
    {0, "0"},
    {1, "0.001"},
    {10, "0.01"},
    {100, "0.1"},
    {120, "0.12"},
    {999, "0.999"},
    {1000, "1"},
    {10000, "10"},
    {INT64_C(1524141245000), "1524141245"},
    {INT64_C(1524141245250), "1524141245.25"},
    {INT64_C(1524141245007), "1524141245.007"},
    {INT64_C(253402300799999), "253402300799.999"},
    {-1500, "-1.5"},
    {INT64_MIN, "-9223372036854775.808"},
};

START_TEST(test_seconds)
{
	struct buf out;

	buf_init(&out, 100);
	ck_assert_int_eq(json_write_seconds(&out, seconds[_i].ms), 0);
	ck_assert(
	    slice_eq(buf_slice(&out), slice_from_string(seconds[_i].json)));
	buf_free(&out);
}
END_TEST

/* Whichever append fails, the last result tells. */
START_TEST(test_no_room)
{
	for (size_t max = 0; max < 12; max++) {
		struct buf out;

		buf_init(&out, max);
		ck_assert_int_eq(
		    json_write_string(&out, SLICE_LITERAL("ab\"cd\nef")), -1);
		buf_reset(&out);
		ck_assert_int_eq(
		    json_write_seconds(&out, INT64_C(-1234567890123)), -1);
		ck_assert_uint_le(out.len, max);
		buf_free(&out);
	}
}
END_TEST

START_TEST(test_writer)
{
	struct buf out;
	struct json_writer w = {.out = &out};

	buf_init(&out, 200);
	json_object(&w, NULL);
	json_object(&w, "none");
	json_end_object(&w);
	json_array(&w, "l\"");
	json_array(&w, NULL);
	json_end_array(&w);
	json_object(&w, NULL);
	json_number(&w, "n", INT64_MIN);
	json_seconds(&w, "s", 1500);
	json_end_object(&w);
	json_raw(&w, NULL, SLICE_LITERAL("[1, 2]"));
	json_text(&w, NULL, SLICE_LITERAL("a\0"));
	json_end_array(&w);
	json_lines(&w, "lines", SLICE_LITERAL("a: \"\n\nb\n"));
	json_lines(&w, "no-lines", slice_of(NULL, 0));
	json_string(&w, "last", "\xff");
	json_end_object(&w);
	ck_assert(!out.failed);
	ck_assert(slice_eq(buf_slice(&out),
	    SLICE_LITERAL("{\"none\":{},\"l\\\"\":[[],"
			  "{\"n\":-9223372036854775808,\"s\":1.5},[1, 2],"
			  "\"a\\u0000\"],\"lines\":[\"a: \\\"\",\"\",\"b\"],"
			  "\"no-lines\":[],\"last\":\"" BAD "\"}")));
	buf_free(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("json_write");
	TCase *tc = tcase_create("json_write");

	tcase_add_loop_test(tc, test_string, 0, COUNT(strings));
	tcase_add_loop_test(tc, test_seconds, 0, COUNT(seconds));
	tcase_add_test(tc, test_no_room);
	tcase_add_test(tc, test_writer);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
