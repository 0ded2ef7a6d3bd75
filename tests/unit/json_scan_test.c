/* SPDX-License-Identifier: ISC */
#include "base/json_scan.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>
#include <json-c/json.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/*
 * json-c is the oracle, but not for what some version of it takes although
 * RFC 8259 does not: that is lax.
 */
enum verdict { ACCEPT, REJECT, REJECT_LAX };

static const struct {
	struct slice text;
	enum verdict verdict;
} texts[] = {
    /* Scalars at the top, white space. */
    {SLICE_INIT("null"), ACCEPT}, {SLICE_INIT("true"), ACCEPT},
    {SLICE_INIT("false"), ACCEPT}, {SLICE_INIT("\"\""), ACCEPT},
    {SLICE_INIT(" \t\r\n1 \t\r\n"), ACCEPT},
    {SLICE_INIT("[\t1\r,\n2 ]"), ACCEPT}, {SLICE_INIT(""), REJECT},
    {SLICE_INIT(" "), REJECT}, {SLICE_INIT("\v1"), REJECT_LAX},
    {SLICE_INIT("\f1"), REJECT_LAX}, {SLICE_INIT("\xc2\xa0[]"), REJECT},
    {SLICE_INIT("\xef\xbb\xbf{}"), REJECT}, {SLICE_INIT("1\0"), REJECT_LAX},
    {SLICE_INIT("[1\0]"), REJECT}, {SLICE_INIT("True"), REJECT},
    {SLICE_INIT("NULL"), REJECT}, {SLICE_INIT("nul"), REJECT},
    {SLICE_INIT("nulll"), REJECT}, {SLICE_INIT("truefalse"), REJECT},
    {SLICE_INIT("1 2"), REJECT}, {SLICE_INIT("{}}"), REJECT},
    {SLICE_INIT("[]{}"), REJECT}, {SLICE_INIT("abc"), REJECT},
    {SLICE_INIT("'a'"), REJECT}, {SLICE_INIT("/**/1"), REJECT},
    {SLICE_INIT("[1]//"), REJECT},
    /* Numbers. */
    {SLICE_INIT("0"), ACCEPT}, {SLICE_INIT("-0"), ACCEPT},
    {SLICE_INIT("-1"), ACCEPT}, {SLICE_INIT("10"), ACCEPT},
    {SLICE_INIT("0.0"), ACCEPT}, {SLICE_INIT("-0.5"), ACCEPT},
    {SLICE_INIT("1.500"), ACCEPT}, {SLICE_INIT("1e5"), ACCEPT},
    {SLICE_INIT("1E+5"), ACCEPT}, {SLICE_INIT("0e1"), ACCEPT},
    {SLICE_INIT("1.2e-003"), ACCEPT},
    {SLICE_INIT("[123456789012345678901234567890.123456789]"), ACCEPT},
    {SLICE_INIT("-"), REJECT}, {SLICE_INIT("+1"), REJECT},
    {SLICE_INIT("00"), REJECT_LAX}, {SLICE_INIT("01"), REJECT_LAX},
    {SLICE_INIT("-01"), REJECT_LAX}, {SLICE_INIT("1."), REJECT_LAX},
    {SLICE_INIT("[1.]"), REJECT_LAX}, {SLICE_INIT(".5"), REJECT},
    {SLICE_INIT("-.5"), REJECT_LAX}, {SLICE_INIT("1.e5"), REJECT_LAX},
    {SLICE_INIT("1e"), REJECT}, {SLICE_INIT("1e+"), REJECT},
    {SLICE_INIT("1e1.5"), REJECT}, {SLICE_INIT("1.2.3"), REJECT},
    {SLICE_INIT("--1"), REJECT}, {SLICE_INIT("- 1"), REJECT},
    {SLICE_INIT("0x10"), REJECT}, {SLICE_INIT("1a"), REJECT},
    {SLICE_INIT("1_000"), REJECT}, {SLICE_INIT("NaN"), REJECT_LAX},
    {SLICE_INIT("nan"), REJECT}, {SLICE_INIT("Infinity"), REJECT_LAX},
    {SLICE_INIT("-Infinity"), REJECT_LAX},
    {SLICE_INIT("\xef\xbc\x91"), REJECT}, /* full-width digit */
    /* Arrays. */
    {SLICE_INIT("[]"), ACCEPT}, {SLICE_INIT("[[],[[]],{}]"), ACCEPT},
    {SLICE_INIT("[1,\"a\",null,true,false,{\"a\":[]}]"), ACCEPT},
    {SLICE_INIT("[ ]"), ACCEPT}, {SLICE_INIT("["), REJECT},
    {SLICE_INIT("]"), REJECT}, {SLICE_INIT("[1"), REJECT},
    {SLICE_INIT("[1,"), REJECT}, {SLICE_INIT("[1,]"), REJECT},
    {SLICE_INIT("[,1]"), REJECT}, {SLICE_INIT("[,]"), REJECT},
    {SLICE_INIT("[1,,2]"), REJECT}, {SLICE_INIT("[1 2]"), REJECT},
    {SLICE_INIT("[1}"), REJECT}, {SLICE_INIT("[1:2]"), REJECT},
    {SLICE_INIT("[\"a\":1]"), REJECT}, {SLICE_INIT("[1]]"), REJECT},
    /* Objects. */
    {SLICE_INIT("{}"), ACCEPT},
    {SLICE_INIT("{ \"a\" : 1 , \"b\" : { } }"), ACCEPT},
    {SLICE_INIT("{\"\":0}"), ACCEPT}, {SLICE_INIT("{\"a\":1,\"a\":1}"), ACCEPT},
    {SLICE_INIT("{\"a\":{\"b\":[{\"c\":\"}]\"}]},\"d\":0}"), ACCEPT},
    {SLICE_INIT("{"), REJECT}, {SLICE_INIT("}"), REJECT},
    {SLICE_INIT("{\"a\""), REJECT}, {SLICE_INIT("{\"a\"}"), REJECT},
    {SLICE_INIT("{\"a\":}"), REJECT}, {SLICE_INIT("{\"a\":1"), REJECT},
    {SLICE_INIT("{\"a\":1,}"), REJECT}, {SLICE_INIT("{,\"a\":1}"), REJECT},
    {SLICE_INIT("{\"a\" 1}"), REJECT}, {SLICE_INIT("{\"a\"::1}"), REJECT},
    {SLICE_INIT("{\"a\",1}"), REJECT},
    {SLICE_INIT("{\"a\":1 \"b\":2}"), REJECT},
    {SLICE_INIT("{\"a\":1]"), REJECT}, {SLICE_INIT("{a:1}"), REJECT},
    {SLICE_INIT("{'a':1}"), REJECT_LAX}, {SLICE_INIT("{1:1}"), REJECT},
    {SLICE_INIT("{null:1}"), REJECT}, {SLICE_INIT("{[]:1}"), REJECT},
    /* Strings and escapes. */
    {SLICE_INIT("\"a b\x7f\""), ACCEPT},
    {SLICE_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), ACCEPT},
    {SLICE_INIT("\"\\u0000\""), ACCEPT},
    {SLICE_INIT("\"a\\u0041\\u00e9\\u20AC\\uFFFFz\""), ACCEPT},
    {SLICE_INIT("\"\\uD83D\\uDE00\""), ACCEPT},
    {SLICE_INIT("\"\\ud800\\udc00\\udbff\\udfff\""), ACCEPT},
    {SLICE_INIT("[\"\\\\\",\"]\",\"\\\"\"]"), ACCEPT},
    {SLICE_INIT("\""), REJECT}, {SLICE_INIT("\"a"), REJECT},
    {SLICE_INIT("\"\\\""), REJECT}, {SLICE_INIT("\"\\"), REJECT},
    {SLICE_INIT("\"\\a\""), REJECT}, {SLICE_INIT("\"\\'\""), REJECT},
    {SLICE_INIT("\"\\x41\""), REJECT}, {SLICE_INIT("\"\\0\""), REJECT},
    {SLICE_INIT("\"\\\0\""), REJECT}, {SLICE_INIT("\"\\U0041\""), REJECT},
    {SLICE_INIT("\"\\u\""), REJECT}, {SLICE_INIT("\"\\u004\""), REJECT},
    {SLICE_INIT("\"\\u00g1\""), REJECT}, {SLICE_INIT("\"\\u-041\""), REJECT},
    {SLICE_INIT("\"\\u 041\""), REJECT},
    {SLICE_INIT("\"\\uD800\""), REJECT_LAX},
    {SLICE_INIT("\"\\uDC00\""), REJECT_LAX},
    {SLICE_INIT("\"\\uDC00\\uD800\""), REJECT_LAX},
    {SLICE_INIT("\"\\uD800\\uD800\""), REJECT_LAX},
    {SLICE_INIT("\"\\uD800\\u0041\""), REJECT_LAX},
    {SLICE_INIT("\"\\uD800\\n\""), REJECT_LAX},
    {SLICE_INIT("\"\\uD800x\""), REJECT_LAX},
    {SLICE_INIT("\"\\uD83D\xef\xbf\xbd\""), REJECT_LAX},
    {SLICE_INIT("\"\n\""), REJECT_LAX}, {SLICE_INIT("\"\t\""), REJECT_LAX},
    {SLICE_INIT("\"\x1f\""), REJECT_LAX}, {SLICE_INIT("\"a\0b\""), REJECT_LAX},
    {SLICE_INIT("{\"a\nb\":1}"), REJECT_LAX},
    {SLICE_INIT("{\"\\uD800\":1}"), REJECT_LAX},
    /* UTF-8 in strings: the edges of each length, and beyond them. */
    {SLICE_INIT("\"\xc2\x80\xdf\xbf\""), ACCEPT},
    {SLICE_INIT("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
	ACCEPT},
    {SLICE_INIT("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), ACCEPT},
    {SLICE_INIT("{\"\xc3\xa9\":\"\xe2\x82\xac\"}"), ACCEPT},
    {SLICE_INIT("\"\x80\""), REJECT}, {SLICE_INIT("\"\xff\""), REJECT},
    {SLICE_INIT("\"\xc3\""), REJECT}, {SLICE_INIT("\"\xc0\x80\""), REJECT_LAX},
    {SLICE_INIT("\"\xc1\xbf\""), REJECT_LAX},
    {SLICE_INIT("\"\xe0\x80\x80\""), REJECT_LAX},
    {SLICE_INIT("\"\xe2\x82\""), REJECT},
    {SLICE_INIT("\"\xed\xa0\x80\""), REJECT_LAX},
    {SLICE_INIT("\"\xf0\x80\x80\x80\""), REJECT_LAX},
    {SLICE_INIT("\"\xf4\x90\x80\x80\""), REJECT_LAX},
    {SLICE_INIT("\"\xf8\x88\x80\x80\x80\""), REJECT},
    {SLICE_INIT("\"\xe9\""), REJECT}, /* ISO 8859-1 */
};

/* Pages that end where reading must end. */
static size_t page_bytes;
static char *page;

static void
setup(void)
{
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	page = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mprotect(page + page_bytes, page_bytes, PROT_NONE), 0);
}

static void
teardown(void)
{
	munmap(page, 2 * page_bytes);
}

/* A copy that ends at the unreadable page. */
static struct slice
at_the_edge(struct slice text)
{
	char *p = page + page_bytes - text.len;

	ck_assert_uint_le(text.len, page_bytes);
	memcpy(p, text.p, text.len);
	return slice_of(p, text.len);
}

static bool
is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.p[i] >= 0x80)
			return false;
	return true;
}

/*
 * The whole text as json-c reads it; *ok is false when it does not. When it is
 * strict, its version 0.18 takes what is not ASCII for control characters.
 */
static struct json_object *
oracle(struct slice text, bool *ok)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	struct json_object *object;

	json_tokener_set_flags(tokener,
	    JSON_TOKENER_VALIDATE_UTF8 |
		(is_ascii(text) ? JSON_TOKENER_STRICT : 0));
	object = json_tokener_parse_ex(tokener, text.p, (int)text.len);
	/* A number at the top ends only with the text. */
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		object = json_tokener_parse_ex(tokener, "\n", 1);
	*ok = json_tokener_get_error(tokener) == json_tokener_success;
	json_tokener_free(tokener);
	return object;
}

static void compare(
    const struct json_value *value, struct json_object *expected);

static void
compare_object(const struct json_value *value, struct json_object *expected)
{
	struct json_value member;
	struct slice key;
	const char *at = NULL;
	char name[64];

	while (json_next_member(value, &at, &key, &member)) {
		struct json_object *found;

		key = json_unescape(key);
		ck_assert_uint_lt(key.len, sizeof(name));
		memcpy(name, key.p, key.len);
		name[key.len] = '\0';
		ck_assert(json_object_object_get_ex(expected, name, &found));
		compare(&member, found);
	}
}

static void
compare_array(const struct json_value *value, struct json_object *expected)
{
	struct json_value element;
	const char *at = NULL;
	size_t n = 0;

	while (json_next_element(value, &at, &element))
		compare(&element, json_object_array_get_idx(expected, n++));
	ck_assert_uint_eq(n, json_object_array_length(expected));
}

static void
compare_string(const struct json_value *value, struct json_object *expected)
{
	struct slice text = json_unescape(value->raw);

	ck_assert(
	    slice_eq(text, slice_of(json_object_get_string(expected),
			       (size_t)json_object_get_string_len(expected))));
}

static void
compare(const struct json_value *value, struct json_object *expected)
{
	static const enum json_value_type json_c_types[] = {
	    [json_type_null] = JSON_NULL,
	    [json_type_double] = JSON_NUMBER,
	    [json_type_int] = JSON_NUMBER,
	    [json_type_object] = JSON_OBJECT,
	    [json_type_array] = JSON_ARRAY,
	    [json_type_string] = JSON_STRING,
	};

	if (json_object_is_type(expected, json_type_boolean)) {
		ck_assert_int_eq(value->type,
		    json_object_get_boolean(expected) ? JSON_TRUE : JSON_FALSE);
		return;
	}
	ck_assert_int_eq(
	    value->type, json_c_types[json_object_get_type(expected)]);
	if (value->type == JSON_OBJECT)
		compare_object(value, expected);
	else if (value->type == JSON_ARRAY)
		compare_array(value, expected);
	else if (value->type == JSON_STRING)
		compare_string(value, expected);
}

START_TEST(test_against_json_c)
{
	struct slice text = at_the_edge(texts[_i].text);
	bool accept = texts[_i].verdict == ACCEPT, ok;
	struct json_object *expected = oracle(texts[_i].text, &ok);
	struct json_value value;
	struct err err;

	if (texts[_i].verdict != REJECT_LAX)
		ck_assert_int_eq(ok, accept);
	ck_assert_int_eq(json_scan(text, &value, &err), accept ? 0 : -1);
	if (accept)
		compare(&value, expected);
	else
		ck_assert(strncmp(err.text, "line 1 column ", 14) == 0);
	json_object_put(expected);
}
END_TEST

/* A part of a text is no text, but for numbers and white space at the end. */
START_TEST(test_truncated)
{
	struct slice text = texts[_i].text;
	struct json_value value;
	char first = text.len == 0 ? '\0' : text.p[0];

	for (size_t len = 0; len < text.len; len++) {
		struct slice part = at_the_edge(slice_of(text.p, len));
		int result = json_scan(part, &value, NULL);

		if (first == '{' || first == '[' || first == '"')
			ck_assert(result == -1 || texts[_i].verdict != ACCEPT);
		if (result == 0)
			ck_assert_uint_le(value.raw.len, part.len);
	}
}
END_TEST

static void
fill_depth(char *text, size_t depth)
{
	for (size_t i = 0; i < depth; i++) {
		text[i] = '[';
		text[2 * depth - 1 - i] = ']';
	}
}

START_TEST(test_depth)
{
	char text[2 * (JSON_DEPTH_MAX + 1)];
	char objects[JSON_DEPTH_MAX * 6 + 1];
	struct json_value value;
	struct err err;
	size_t n = 0;

	fill_depth(text, JSON_DEPTH_MAX);
	ck_assert_int_eq(
	    json_scan(slice_of(text, 2 * JSON_DEPTH_MAX), &value, &err), 0);
	fill_depth(text, JSON_DEPTH_MAX + 1);
	ck_assert_int_eq(
	    json_scan(slice_of(text, sizeof(text)), &value, &err), -1);
	ck_assert_str_eq(err.text, "line 1 column 65: nested too deeply");

	for (int i = 0; i < JSON_DEPTH_MAX; i++, n += 5)
		memcpy(objects + n, "{\"a\":", 5);
	objects[n++] = '1';
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		objects[n++] = '}';
	ck_assert_int_eq(json_scan(slice_of(objects, n), &value, &err), 0);
	ck_assert_uint_eq(value.raw.len, n);
}
END_TEST

static const struct {
	struct slice text;
	const char *reason;
} reasons[] = {
    {SLICE_INIT(""), "line 1 column 1: unexpected end of the text"},
    {{NULL, 0}, "line 1 column 1: unexpected end of the text"},
    {SLICE_INIT("{\n \"a\": 1,\n}"),
	"line 3 column 1: a member name in quotes is expected"},
    {SLICE_INIT("[1\n 2]"), "line 2 column 2: ',' or ']' is expected"},
    {SLICE_INIT("{\"a\":1;}"), "line 1 column 7: ',' or '}' is expected"},
    {SLICE_INIT("{\"a\" 1}"), "line 1 column 6: ':' is expected"},
    {SLICE_INIT("[tru"), "line 1 column 5: unexpected end of the text"},
    {SLICE_INIT("[trie]"), "line 1 column 4: not a JSON value"},
    {SLICE_INIT("[+1]"), "line 1 column 2: not a JSON value"},
    {SLICE_INIT("[01]"), "line 1 column 3: a number starts with 0"},
    {SLICE_INIT("[1.]"), "line 1 column 4: a digit is missing in a number"},
    /* A column is a character, not a byte. */
    {SLICE_INIT("\"\xe2\x82\xac\xc3\xa9\n\""),
	"line 1 column 4: control character in a string"},
    {SLICE_INIT("\"a\xff\""), "line 1 column 3: not UTF-8"},
    {SLICE_INIT("\"a\\q\""), "line 1 column 3: unknown escape in a string"},
    {SLICE_INIT("\"\\u12\""),
	"line 1 column 2: \\u needs four hexadecimal digits"},
    {SLICE_INIT("\"\\uDEAD\""), "line 1 column 2: lone surrogate"},
    {SLICE_INIT("{} x"), "line 1 column 4: more after the end of the value"},
};

START_TEST(test_reason)
{
	struct json_value value;
	struct err err;

	ck_assert_int_eq(json_scan(reasons[_i].text, &value, &err), -1);
	ck_assert_str_eq(err.text, reasons[_i].reason);
}
END_TEST

/* The bytes of a part are those of the text. */
START_TEST(test_extents)
{
	char text[] =
	    " { \"a\" : { \"z\":1.50 ,\"b\": [ 1e400 ] } ,\"k\\\"\":[ ],"
	    "\"n\":-0.10\n} ";
	static const struct {
		const char *key, *raw;
		enum json_value_type type;
	} parts[] = {
	    {"\"a\"", "{ \"z\":1.50 ,\"b\": [ 1e400 ] }", JSON_OBJECT},
	    {"\"k\\\"\"", "[ ]", JSON_ARRAY},
	    {"\"n\"", "-0.10", JSON_NUMBER},
	};
	struct json_value value, member;
	struct slice key;
	const char *at = NULL;
	struct err err;

	ck_assert_int_eq(json_scan(slice_from_string(text), &value, &err), 0);
	ck_assert_int_eq(value.type, JSON_OBJECT);
	ck_assert_ptr_eq(value.raw.p, text + 1);
	ck_assert_uint_eq(value.raw.len, strlen(text) - 2);
	for (int i = 0; i < COUNT(parts); i++) {
		ck_assert_int_eq(
		    json_next_member(&value, &at, &key, &member), 1);
		ck_assert(slice_eq(key, slice_from_string(parts[i].key)));
		ck_assert(
		    slice_eq(member.raw, slice_from_string(parts[i].raw)));
		ck_assert_int_eq(member.type, parts[i].type);
	}
	ck_assert_int_eq(json_next_member(&value, &at, &key, &member), 0);
}
END_TEST

START_TEST(test_extent_of_scalars)
{
	static const char *const all[] = {"\"a b \"", "-1.5", "true", "null"};

	for (int i = 0; i < COUNT(all); i++) {
		struct json_value value;
		char text[32];

		(void)snprintf(text, sizeof(text), " \n%s\t ", all[i]);
		ck_assert_int_eq(
		    json_scan(slice_from_string(text), &value, NULL), 0);
		ck_assert(slice_eq(value.raw, slice_from_string(all[i])));
	}
}
END_TEST

static const struct {
	struct slice raw, text;
} escapes[] = {
    {SLICE_INIT("\"\""), SLICE_INIT("")},
    {SLICE_INIT("\"plain \xc3\xa9\""), SLICE_INIT("plain \xc3\xa9")},
    {SLICE_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	SLICE_INIT("\"\\/\b\f\n\r\t")},
    {SLICE_INIT("\"a\\u0000b\""), SLICE_INIT("a\0b")},
    {SLICE_INIT("\"\\u007f\\u0080\\u07FF\\u0800\\uffff\""),
	SLICE_INIT("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
    {SLICE_INIT("\"\\uD83D\\uDE00\""), SLICE_INIT("\xf0\x9f\x98\x80")},
    {SLICE_INIT("\"\\uD800\\uDC00\\uDBFF\\uDFFF.\""),
	SLICE_INIT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf.")},
    {SLICE_INIT("\"\\\\u0041\""), SLICE_INIT("\\u0041")},
    {SLICE_INIT("\"\\\\\\\"\""), SLICE_INIT("\\\"")},
};

START_TEST(test_unescape)
{
	struct slice raw = at_the_edge(escapes[_i].raw);

	ck_assert(slice_eq(json_unescape(raw), escapes[_i].text));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("json_scan");
	TCase *tc = tcase_create("json_scan");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_against_json_c, 0, COUNT(texts));
	tcase_add_loop_test(tc, test_truncated, 0, COUNT(texts));
	tcase_add_test(tc, test_depth);
	tcase_add_loop_test(tc, test_reason, 0, COUNT(reasons));
	tcase_add_test(tc, test_extents);
	tcase_add_test(tc, test_extent_of_scalars);
	tcase_add_loop_test(tc, test_unescape, 0, COUNT(escapes));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
