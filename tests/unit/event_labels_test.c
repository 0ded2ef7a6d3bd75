/* SPDX-License-Identifier: ISC */
#include "event/event_labels.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static struct json_value
json_of(const char *text)
{
	struct json_value value;
	struct err err = {""};

	ck_assert_msg(json_scan(slice_from_string(text), &value, &err) == 0,
	    "%s: %s", text, err.text);
	return value;
}

static void
expect(const struct event_labels *labels, const char *text)
{
	struct event_labels again;
	struct buf out;

	buf_init(&out, EVENT_LABELS_TEXT_MAX);
	ck_assert_int_eq(event_labels_write(&out, labels), 0);
	ck_assert_msg(slice_eq(buf_slice(&out), slice_from_string(text)),
	    "%.*s", (int)out.len, out.p);
	event_labels_parse(buf_slice(&out), &again);
	ck_assert_uint_eq(again.n, labels->n);
	ck_assert(event_labels_have(&again, labels));
	buf_free(&out);
}

#define TEN      "0123456789"
#define A32      "abcdefghijklmnopqrstuvwxyz._-019"
#define V64      TEN TEN TEN TEN TEN TEN "1234"
#define ESCAPED8 "\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041"
#define QUOTES8  "\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\""
#define QUOTES64 QUOTES8 QUOTES8 QUOTES8 QUOTES8 QUOTES8 QUOTES8 QUOTES8 QUOTES8

static const struct {
	const char *text, *written;
} good[] = {
    {"{}", ""},
    {"{\"a\":\"\"}", "{\"a\":\"\"}"},
    {" { \"b\" : \"2\" , \"a\" : \"1\" } ", "{\"a\":\"1\",\"b\":\"2\"}"},
    {"{\"\\u0061\":\"\\u00e9\\\\\\\"\"}", "{\"a\":\"\xc3\xa9\\\\\\\"\"}"},
    {"{\"a\":\"" ESCAPED8 "\"}", "{\"a\":\"AAAAAAAA\"}"},
    {"{\"a\":\"x=y z\"}", "{\"a\":\"x=y z\"}"},
    {"{\"" A32 "\":\"" V64 "\"}", "{\"" A32 "\":\"" V64 "\"}"},
    {"{\"h\":\"\",\"g\":\"\",\"f\":\"\",\"e\":\"\",\"d\":\"\",\"c\":\"\","
     "\"b\":\"\",\"B\":\"\"}",
	"{\"B\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\",\"f\":\"\","
	"\"g\":\"\",\"h\":\"\"}"},
};

START_TEST(test_read)
{
	struct event_labels_error error;
	struct event_labels labels;
	struct json_value value = json_of(good[_i].text);

	ck_assert_int_eq(event_labels_read(&value, &labels, &error), 0);
	expect(&labels, good[_i].written);
}
END_TEST

static const struct {
	const char *text, *where, *reason;
} bad[] = {
    {"null", "", "must be an object"},
    {"[]", "", "must be an object"},
    {"\"a=1\"", "", "must be an object"},
    {"{\"a\":null}", "", "must have strings"},
    {"{\"a\":\"1\",\"a\":\"1\"}", "", "each name once"},
    {"{\"a\":1}", "/a", "must be a string"},
    {"{\"b\":{}}", "/b", "must be a string"},
    {"{\"\":\"1\"}", "", "1 to 32 bytes"},
    {"{\"x" A32 "\":\"1\"}", "", "1 to 32 bytes"},
    {"{\"" V64 V64 V64 V64 "\":\"1\"}", "", "1 to 32 bytes"},
    {"{\"a b\":\"1\"}", "", "letters, digits"},
    {"{\"a=\":\"1\"}", "", "letters, digits"},
    {"{\"a/\":\"1\"}", "", "letters, digits"},
    {"{\"\xc3\xa9\":\"1\"}", "", "letters, digits"},
    {"{\"a\\u0000\":\"1\"}", "", "letters, digits"},
    {"{\"a\":\"1" V64 "\"}", "/a", "at most 64 bytes"},
    {"{\"a\":\"" V64 V64 V64 V64 V64 V64 V64 "\"}", "/a", "at most 64 bytes"},
    {"{\"a\":\"\\u0000\"}", "/a", "control characters"},
    {"{\"a\":\"1\\n\"}", "/a", "control characters"},
    {"{\"a\":\"\\u202e\"}", "/a", "control characters"},
    {"{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\","
     "\"7\":\"\",\"8\":\"\",\"9\":\"\"}",
	"/9", "at most 8"},
};

START_TEST(test_bad)
{
	struct event_labels_error error;
	struct event_labels labels;
	struct json_value value = json_of(bad[_i].text);

	ck_assert_int_eq(event_labels_read(&value, &labels, &error), -1);
	ck_assert_str_eq(error.where, bad[_i].where);
	ck_assert_msg(
	    strstr(error.reason, bad[_i].reason) != NULL, "%s", error.reason);
	/* What the datastore says so is none. */
	event_labels_parse(slice_from_string(bad[_i].text), &labels);
	ck_assert_uint_eq(labels.n, 0);
}
END_TEST

/* The longest text has room. */
START_TEST(test_longest)
{
	struct event_labels labels = {0};
	struct buf text;

	buf_init(&text, 4096);
	for (int i = 0; i < EVENT_LABELS_MAX; i++)
		buf_printf(&text, "%s\"%d%s\":\"" QUOTES64 "\"",
		    i == 0 ? "{" : ",", i, A32 + 1);
	buf_append_string(&text, "}");
	ck_assert(!text.failed);
	ck_assert_uint_lt(text.len, EVENT_LABELS_TEXT_MAX);
	event_labels_parse(buf_slice(&text), &labels);
	ck_assert_uint_eq(labels.n, EVENT_LABELS_MAX);
	buf_append_char(&text, '\0');
	expect(&labels, text.p);
	buf_free(&text);
}
END_TEST

static const struct {
	const char *before, *patch, *after;
} patches[] = {
    {"{}", "{\"a\":\"1\"}", "{\"a\":\"1\"}"},
    {"{\"a\":\"1\",\"b\":\"2\"}", "{\"b\":null,\"c\":\"3\"}",
	"{\"a\":\"1\",\"c\":\"3\"}"},
    {"{\"a\":\"1\"}", "{\"a\":\"2\",\"x\":null}", "{\"a\":\"2\"}"},
    {"{\"a\":\"1\"}", "{\"a\":null}", ""},
    {"{\"a\":\"1\"}", "null", ""},
    {"{\"a\":\"1\"}", "{}", "{\"a\":\"1\"}"},
    /* What goes makes room, though it is named behind. */
    {"{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\","
     "\"7\":\"\",\"8\":\"\"}",
	"{\"9\":\"n\",\"1\":null}",
	"{\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\","
	"\"8\":\"\",\"9\":\"n\"}"},
    {"{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\","
     "\"7\":\"\",\"8\":\"\"}",
	"{\"9\":\"n\"}", NULL},
    {"{}", "{\"a b\":null}", NULL},
    {"{}", "[]", NULL},
};

START_TEST(test_patch)
{
	struct json_value patch = json_of(patches[_i].patch);
	struct event_labels_error error;
	struct event_labels labels;
	int result;

	event_labels_parse(slice_from_string(patches[_i].before), &labels);
	result = event_labels_patch(&patch, &labels, &error);
	ck_assert_int_eq(result, patches[_i].after == NULL ? -1 : 0);
	if (result == 0)
		expect(&labels, patches[_i].after);
}
END_TEST

static const struct {
	const char *text, *reason; /* NULL: it is one */
} words[] = {
    {"a=", NULL},
    {"a=b=c", NULL},
    {"a=\xc3\xa9 \"", NULL},
    {A32 "=" V64, NULL},
    {"a", "NAME=VALUE"},
    {"", "NAME=VALUE"},
    {"=1", "1 to 32 bytes"},
    {"a b=1", "letters, digits"},
    {"a=1" V64, "at most 64 bytes"},
    {"a=\n", "control characters"},
    {"a=\xff", "control characters"},
    {"there=1", "two labels of one name"},
};

START_TEST(test_add)
{
	struct event_labels labels = {0};
	const char *reason;

	ck_assert_ptr_null(event_labels_add(&labels, SLICE_LITERAL("there=0")));
	reason = event_labels_add(&labels, slice_from_string(words[_i].text));
	if (words[_i].reason == NULL)
		ck_assert_ptr_null(reason);
	else
		ck_assert_msg(
		    reason != NULL && strstr(reason, words[_i].reason) != NULL,
		    "%s", reason == NULL ? "taken" : reason);
	ck_assert_uint_eq(labels.n, words[_i].reason == NULL ? 2 : 1);
}
END_TEST

START_TEST(test_have)
{
	struct event_labels labels, some;

	event_labels_parse(
	    SLICE_LITERAL("{\"a\":\"1\",\"b\":\"\",\"c\":\"33\"}"), &labels);
	event_labels_parse(SLICE_LITERAL(""), &some);
	ck_assert(event_labels_have(&labels, &some));
	event_labels_parse(SLICE_LITERAL("{\"a\":\"1\",\"c\":\"33\"}"), &some);
	ck_assert(event_labels_have(&labels, &some));
	ck_assert(!event_labels_have(&some, &labels));
	event_labels_parse(SLICE_LITERAL("{\"a\":\"1\",\"c\":\"3\"}"), &some);
	ck_assert(!event_labels_have(&labels, &some));
}
END_TEST

/* It is of all three, each in its place. */
START_TEST(test_key)
{
	static const char *const all[] = {"a=1", "a=2", "b=1", "a1=", "a=="};
	struct event_key keys[COUNT(all) + 1];

	for (int i = 0; i < COUNT(all); i++) {
		struct event_labels labels = {0};

		ck_assert_ptr_null(
		    event_labels_add(&labels, slice_from_string(all[i])));
		ck_assert_int_eq(event_label_key(SLICE_LITERAL("app"),
				     &labels.list[0], &keys[i]),
		    0);
		if (i == 0)
			ck_assert_int_eq(
			    event_label_key(SLICE_LITERAL("other"),
				&labels.list[0], &keys[COUNT(all)]),
			    0);
	}
	for (int i = 0; i < COUNT(keys); i++)
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(
			    keys[i].bytes, keys[j].bytes, EVENT_KEY_BYTES);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event_labels");
	TCase *tc = tcase_create("event_labels");

	tcase_add_loop_test(tc, test_read, 0, COUNT(good));
	tcase_add_loop_test(tc, test_bad, 0, COUNT(bad));
	tcase_add_test(tc, test_longest);
	tcase_add_loop_test(tc, test_patch, 0, COUNT(patches));
	tcase_add_loop_test(tc, test_add, 0, COUNT(words));
	tcase_add_test(tc, test_have);
	tcase_add_test(tc, test_key);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
