/* SPDX-License-Identifier: ISC */
#include "event/event_patch.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* RFC 7396, appendix A, as far as the patch is an object; and more. */
static const struct {
	const char *target, *patch, *result;
} merges[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
	"{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    {"5", "{}", "{}"},
    {" { \"a\" : 1.0 } ", "{ \"b\" : [ 2 ] }", "{\"a\":1.0,\"b\":[ 2 ]}"},
    /* twice the same name: the last one counts */
    {"{}", "{\"a\":1,\"a\":2}", "{\"a\":2}"},
    {"{\"a\":1}", "{\"a\":1,\"a\":null}", "{}"},
};

static struct event_patch
patch_of(const char *text)
{
	struct event_patch patch = {.has_body = true};

	ck_assert_int_eq(
	    json_scan(slice_from_string(text), &patch.body, NULL), 0);
	return patch;
}

START_TEST(test_merge)
{
	struct event ev = {.body = slice_from_string(merges[_i].target)};
	struct event_patch patch = patch_of(merges[_i].patch);
	struct buf body;

	buf_init(&body, 1000);
	ck_assert_int_eq(event_patch_apply(&patch, &ev, &body), 0);
	ck_assert_msg(slice_eq(ev.body, slice_from_string(merges[_i].result)),
	    "%.*s", (int)ev.body.len, ev.body.p);
	buf_free(&body);
}
END_TEST

/* A text is no object, whatever stands in it. */
START_TEST(test_text)
{
	struct event ev = {
	    .body = SLICE_LITERAL("{\"a\":1}"), .body_is_text = true};
	struct event_patch patch = patch_of("{\"b\":2}");
	struct buf body;

	buf_init(&body, 1000);
	ck_assert_int_eq(event_patch_apply(&patch, &ev, &body), 0);
	ck_assert(slice_eq(ev.body, SLICE_LITERAL("{\"b\":2}")));
	ck_assert(!ev.body_is_text);
	buf_free(&body);
}
END_TEST

START_TEST(test_bounds)
{
	struct event ev = {.body = SLICE_LITERAL("{\"a\":1}")};
	struct event_patch patch = patch_of("{\"b\":2}");
	struct buf body, text;

	buf_init(&body, strlen("{\"a\":1,\"b\":2}") - 1);
	ck_assert_int_eq(event_patch_apply(&patch, &ev, &body), -1);
	buf_free(&body);
	for (int n = EVENT_PATCH_MEMBERS_MAX; n <= EVENT_PATCH_MEMBERS_MAX + 1;
	     n++) {
		buf_init(&text, 10000);
		for (int i = 0; i < n; i++)
			buf_printf(&text, "%s\"%d\":0", i == 0 ? "{" : ",", i);
		(void)buf_append(&text, "}", 2);
		patch = patch_of(text.p);
		buf_init(&body, 10000);
		ev.body = SLICE_LITERAL("{}");
		ck_assert_int_eq(event_patch_apply(&patch, &ev, &body),
		    n > EVENT_PATCH_MEMBERS_MAX ? -1 : 0);
		buf_free(&body);
		buf_free(&text);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event_patch");
	TCase *tc = tcase_create("event_patch");

	tcase_add_loop_test(tc, test_merge, 0, COUNT(merges));
	tcase_add_test(tc, test_text);
	tcase_add_test(tc, test_bounds);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
