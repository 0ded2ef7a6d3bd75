/* SPDX-License-Identifier: ISC */
#include "event/event_options.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* Texts as a datastore may have them; what is written of what was read. */
static const struct {
	struct slice text;
	unsigned forgiven;
	struct slice again;
} texts[] = {
    {SLICE_INIT(""), 0, SLICE_INIT("")},
    {SLICE_INIT("{}"), 0, SLICE_INIT("")},
    {SLICE_INIT(" { } "), 0, SLICE_INIT("")},
    {SLICE_INIT("{\"forgiven\":1}"), 1, SLICE_INIT("{\"forgiven\":1}")},
    {SLICE_INIT("{\"forgiven\" : 1000000}"), 1000000,
	SLICE_INIT("{\"forgiven\":1000000}")},
    {SLICE_INIT("{\"forgiven\":2,\"forgiven\":3}"), 3,
	SLICE_INIT("{\"forgiven\":3}")},
    {SLICE_INIT("{\"not-after-ms\":5}"), 0,
	SLICE_INIT("{\"not-after-ms\":5}")},
    {SLICE_INIT("{\"retry\":{}}"), 0, SLICE_INIT("")},
    {SLICE_INIT("{\"retry\":{\"on\":[\"timeout\",\"503\",\"\\u0034xx\"],"
		"\"jitter\":0,\"delays\":[\"0ms\",\"90s\",\"48h\"],"
		"\"attempts\":1001},\"forgiven\":1}"),
	1,
	SLICE_INIT("{\"forgiven\":1,\"retry\":{\"attempts\":1001,"
		   "\"delays\":[\"0s\",\"90s\",\"2d\"],\"jitter\":0,"
		   "\"on\":[\"4xx\",\"503\",\"timeout\"]}}")},
    {SLICE_INIT("{\"time-zone\":\"Europe/Berlin\",\"at-local-s\":7}"), 0,
	SLICE_INIT("{\"at-local-s\":7,\"time-zone\":\"Europe/Berlin\"}")},
    {SLICE_INIT("{\"at-local-s\":7}"), 0, SLICE_INIT("")},
    {SLICE_INIT("{\"schedule\":[9223372036854775807, 5, 1]}"), 0,
	SLICE_INIT("{\"schedule\":[9223372036854775807,5,1]}")},
    {SLICE_INIT("{\"on-failure\":{ \"url\":7},\"on-complete\":\"x\"}"), 0,
	SLICE_INIT("{\"on-complete\":\"x\",\"on-failure\":{ \"url\":7}}")},
    {SLICE_INIT("{\"complete-by-ms\":5}"), 0,
	SLICE_INIT("{\"ack-key\":\"00000000000000000000000000000000\","
		   "\"complete-by-ms\":5}")},
    {SLICE_INIT("{\"complete-by-ms\":5,"
		"\"ack-key\":\"0123456789abcdef0123456789abcdef\"}"),
	0,
	SLICE_INIT("{\"ack-key\":\"0123456789abcdef0123456789abcdef\","
		   "\"complete-by-ms\":5}")},
    {SLICE_INIT("{\"ack-key\":\"0123456789abcdef0123456789abcdef\"}"), 0,
	SLICE_INIT("")},
    {SLICE_INIT("{\"retry\":{},\"labels\":{\"a\":\"\\\"\"}}"), 0,
	SLICE_INIT("{\"labels\":{\"a\":\"\\\"\"}}")},
    /* of a newer version */
    {SLICE_INIT("{\"later\":{\"a\":[1, 2]}}"), 0,
	SLICE_INIT("{\"later\":{\"a\":[1, 2]}}")},
    {SLICE_INIT("{\"a\":\"}\",\"forgiven\":7,\"b\":null,\"\":0}"), 7,
	SLICE_INIT("{\"forgiven\":7,\"a\":\"}\",\"b\":null,\"\":0}")},
    /* We write no escapes in names: another one. */
    {SLICE_INIT("{\"\\u0066orgiven\":7}"), 0,
	SLICE_INIT("{\"\\u0066orgiven\":7}")},
};

START_TEST(test_text)
{
	struct event_options options;
	struct err err = {""};
	struct buf out;

	buf_init(&out, EVENT_OPTIONS_MAX);
	ck_assert_msg(event_options_parse(texts[_i].text, &options, &err) == 0,
	    "%s", err.text);
	ck_assert_uint_eq(options.forgiven, texts[_i].forgiven);
	ck_assert_int_eq(
	    event_options_write(&out, &options, texts[_i].text), 0);
	ck_assert_msg(slice_eq(buf_slice(&out), texts[_i].again), "%.*s",
	    (int)out.len, out.p);
	buf_free(&out);
}
END_TEST

static const struct slice damaged[] = {
    SLICE_INIT("x"),
    SLICE_INIT("\0"),
    SLICE_INIT("{"),
    SLICE_INIT("[]"),
    SLICE_INIT("7"),
    SLICE_INIT("\"\""),
    SLICE_INIT("{\"forgiven\":0}"),
    SLICE_INIT("{\"not-after-ms\":-1}"),
    SLICE_INIT("{\"not-after-ms\":281474976710657}"),
    SLICE_INIT("{\"not-after-ms\":\"5\"}"),
    SLICE_INIT("{\"retry\":[]}"),
    SLICE_INIT("{\"retry\":{\"attempts\":1002}}"),
    SLICE_INIT("{\"retry\":{\"later\":1}}"),
    SLICE_INIT("{\"time-zone\":7}"),
    SLICE_INIT("{\"time-zone\":\"\"}"),
    SLICE_INIT("{\"time-zone\":\"Europe\\/Berlin\"}"),
    SLICE_INIT("{\"time-zone\":\"../passwd\"}"),
    SLICE_INIT("{\"at-local-s\":-1}"),
    SLICE_INIT("{\"at-local-s\":274877906945}"),
    SLICE_INIT("{\"schedule\":7}"),
    SLICE_INIT("{\"schedule\":[7,5]}"),
    SLICE_INIT("{\"schedule\":[7,5,1,1]}"),
    SLICE_INIT("{\"schedule\":[0,5,1]}"),
    SLICE_INIT("{\"schedule\":[7,5,2]}"),
    SLICE_INIT("{\"schedule\":[7,-5,1]}"),
    SLICE_INIT("{\"schedule\":[7,5,\"1\"]}"),
    SLICE_INIT("{\"complete-by-ms\":-5}"),
    SLICE_INIT("{\"ack-key\":5}"),
    SLICE_INIT("{\"ack-key\":\"\"}"),
    SLICE_INIT("{\"ack-key\":\"0123456789ABCDEF0123456789abcdef\"}"),
    SLICE_INIT("{\"ack-key\":\"0123456789abcdef0123456789abcdef0\"}"),
    SLICE_INIT("{\"on-complete\":7}"),
    SLICE_INIT("{\"on-failure\":[]}"),
    SLICE_INIT("{\"forgiven\":-1}"),
    SLICE_INIT("{\"forgiven\":1.5}"),
    SLICE_INIT("{\"forgiven\":1e3}"),
    SLICE_INIT("{\"forgiven\":\"1\"}"),
    SLICE_INIT("{\"forgiven\":null}"),
    SLICE_INIT("{\"forgiven\":1000001}"),
    SLICE_INIT("{\"forgiven\":18446744073709551617}"),
};

START_TEST(test_damaged)
{
	struct event_options options;
	struct err err = {""};

	ck_assert_int_eq(event_options_parse(damaged[_i], &options, &err), -1);
	ck_assert_str_ne(err.text, "");
}
END_TEST

/* Once, and only in the place that we made for it. */
START_TEST(test_key)
{
	struct event_options options = {.complete_by_ms = 5,
	    .on_complete = SLICE_LITERAL(
		"{\"ack-key\":\"00000000000000000000000000000000\"}")};
	char first[EVENT_ACK_KEY_LEN];
	struct buf out;

	buf_init(&out, EVENT_OPTIONS_MAX);
	ck_assert_int_eq(
	    event_options_write(&out, &options, slice_of("", 0)), 0);
	ck_assert_int_eq(
	    event_options_parse(buf_slice(&out), &options, NULL), 0);
	ck_assert_uint_eq(options.ack_key.len, 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(event_options_draw_key(buf_slice(&out)), 0);
		ck_assert_int_eq(
		    event_options_parse(buf_slice(&out), &options, NULL), 0);
		ck_assert_uint_eq(options.ack_key.len, EVENT_ACK_KEY_LEN);
		if (i == 0)
			memcpy(first, options.ack_key.p, sizeof(first));
		ck_assert_int_eq(
		    memcmp(first, options.ack_key.p, sizeof(first)), 0);
	}
	ck_assert(slice_eq(options.on_complete,
	    SLICE_LITERAL(
		"{\"ack-key\":\"00000000000000000000000000000000\"}")));
	buf_reset(&out);
	options.complete_by_ms = 0;
	ck_assert_int_eq(
	    event_options_write(&out, &options, slice_of("", 0)), 0);
	ck_assert_int_eq(event_options_draw_key(buf_slice(&out)), 0);
	ck_assert(memmem(out.p, out.len, first, sizeof(first)) == NULL);
	ck_assert_int_eq(event_options_draw_key(slice_of("", 0)), 0);
	buf_free(&out);
}
END_TEST

START_TEST(test_too_long)
{
	static const struct slice text = SLICE_INIT("{\"later\":1}");
	const struct event_options options = {.forgiven = 1};
	struct event_options read;
	struct buf large, out;

	buf_init(&large, EVENT_OPTIONS_MAX + 1);
	ck_assert_int_eq(buf_append_slice(&large, text), 0);
	while (large.len < EVENT_OPTIONS_MAX)
		ck_assert_int_eq(buf_append_char(&large, ' '), 0);
	ck_assert_int_eq(
	    event_options_parse(buf_slice(&large), &read, NULL), 0);
	ck_assert_int_eq(buf_append_char(&large, ' '), 0);
	ck_assert_int_eq(
	    event_options_parse(buf_slice(&large), &read, NULL), -1);
	buf_init(&out, text.len + 10);
	ck_assert_int_eq(event_options_write(&out, &options, text), -1);
	buf_free(&out);
	buf_init(&out, EVENT_OPTIONS_MAX);
	ck_assert_int_eq(
	    event_options_write(&out, &options, SLICE_LITERAL("{")), -1);
	buf_free(&out);
	buf_free(&large);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event_options");
	TCase *tc = tcase_create("event_options");

	tcase_add_loop_test(tc, test_text, 0, COUNT(texts));
	tcase_add_loop_test(tc, test_damaged, 0, COUNT(damaged));
	tcase_add_test(tc, test_too_long);
	tcase_add_test(tc, test_key);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
