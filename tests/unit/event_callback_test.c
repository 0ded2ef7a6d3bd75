/* SPDX-License-Identifier: ISC */
#include "event/event_callback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/json_scan.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	const char *json, *url, *headers;
} good[] = {
    {"\"http://a/\"", "http://a/", ""},
    {"\"http:\\/\\/a\\u002f\"", "http://a/", ""},
    {"{\"url\":\"https://a:1/b\"}", "https://a:1/b", ""},
    {"{\"headers\":{},\"url\":\"http://a\"}", "http://a", ""},
    {" { \"headers\" : { \"X-A\" : \" b c \" , \"\\u0058-B\":\"\" },"
     " \"url\" : \"http://a/\" } ",
	"http://a/", "X-A: b c\nX-B: \n"},
};

static void
ck_assert_text(struct slice text, const char *expected)
{
	ck_assert_msg(slice_eq(text, slice_from_string(expected)), "%.*s",
	    (int)text.len, text.p);
}

START_TEST(test_read)
{
	struct event_callback callback;
	struct event_callback_error error;
	struct buf room;

	buf_init(&room, 1000);
	ck_assert_int_eq(buf_append_string(&room, "before"), 0);
	ck_assert_int_eq(event_callback_read(slice_from_string(good[_i].json),
			     &room, &callback, &error),
	    0);
	ck_assert_text(callback.url, good[_i].url);
	ck_assert_text(callback.headers, good[_i].headers);
	ck_assert_int_eq(memcmp(room.p, "before", 6), 0);
	buf_free(&room);
}
END_TEST

static const struct {
	const char *json, *where, *reason;
} bad[] = {
    {"7", "", "must be a URL"},
    {"[]", "", "must be a URL"},
    {"{", "", "is no JSON"},
    {"\"ftp://a/\"", "", "must start with http"},
    {"\"http://u@a/\"", "", "user information"},
    {"{}", "/url", "required"},
    {"{\"url\":7}", "/url", "must be a string"},
    {"{\"url\":\"x\"}", "/url", "must start with http"},
    {"{\"url\":\"http://a\",\"url\":\"http://a\"}", "/url", "second time"},
    {"{\"url\":\"http://a\",\"uri\":1}", "", "unknown member"},
    {"{\"url\":\"http://a\",\"headers\":[]}", "/headers", "an object"},
    {"{\"url\":\"http://a\",\"headers\":{\"A\":1}}", "/headers", "no string"},
    {"{\"url\":\"http://a\",\"headers\":{\"A\":\"b\\nc\"}}", "/headers",
	"control character"},
    {"{\"url\":\"http://a\",\"headers\":{\"A:\":\"\"}}", "/headers",
	"character in its name"},
    {"{\"url\":\"http://a\",\"headers\":{\"\":\"\"}}", "/headers", "no name"},
    {"{\"url\":\"http://a\",\"headers\":{\"Host\":\"b\"}}", "/headers",
	"must not be set"},
    {"{\"url\":\"http://a\",\"headers\":{\"cassata-due\":\"b\"}}", "/headers",
	"must not be set"},
    {"{\"headers\":{\"A\":\"b\"},\"headers\":{\"A\":\"b\"}}", "/headers",
	"second time"},
};

START_TEST(test_refused)
{
	struct event_callback callback;
	struct event_callback_error error;
	struct buf room;

	buf_init(&room, 1000);
	ck_assert_int_eq(event_callback_read(slice_from_string(bad[_i].json),
			     &room, &callback, &error),
	    -1);
	ck_assert_str_eq(error.where, bad[_i].where);
	ck_assert_msg(
	    strstr(error.reason, bad[_i].reason) != NULL, "%s", error.reason);
	buf_free(&room);
}
END_TEST

START_TEST(test_too_large)
{
	struct event_callback callback;
	struct event_callback_error error;
	struct buf json, room;

	buf_init(&json, EVENT_CALLBACK_MAX + 1);
	buf_init(&room, 2 * EVENT_CALLBACK_MAX + 2);
	(void)buf_append_string(&json, "\"http://a/\"");
	while (json.len < EVENT_CALLBACK_MAX)
		(void)buf_append_char(&json, ' ');
	ck_assert_msg(event_callback_read(
			  buf_slice(&json), &room, &callback, &error) == 0,
	    "%s", error.reason);
	buf_reset(&room);
	(void)buf_append_char(&json, ' ');
	ck_assert_int_eq(
	    event_callback_read(buf_slice(&json), &room, &callback, &error),
	    -1);
	ck_assert_str_eq(error.reason, "is too large");
	ck_assert(!room.failed);
	buf_free(&json);
	buf_free(&room);
}
END_TEST

static const struct event_end plain = {
    .app = SLICE_INIT("app"),
    .id = SLICE_INIT("id"),
    .state = EVENT_COMPLETED,
    .attempts = 2,
    .expiry_ms = 1000,
    .at_ms = 2500,
    .code = 200,
};

#define HEAD                                                                   \
	"{\"application-id\":\"app\",\"event-id\":\"id\",\"status\":"          \
	"\"COMPLETED\",\"expiry\":1,\"finished\":2.5,\"attempts\":2,"          \
	"\"last-response-code\":200"

static void
make(struct buf *text, struct event *ev, const char *json,
    const struct event_end *end)
{
	buf_init(text, EVENT_CALLBACK_ROOM);
	ck_assert_int_eq(
	    event_callback_make(slice_from_string(json), end, text, ev), 0);
}

START_TEST(test_event)
{
	struct buf text;
	struct event ev;

	make(&text, &ev, "{\"url\":\"http://a/\",\"headers\":{\"X\":\"y\"}}",
	    &plain);
	ck_assert_text(ev.app, "app");
	ck_assert_text(ev.id, "id.on-complete.2");
	ck_assert_text(ev.method, "POST");
	ck_assert_text(ev.url, "http://a/");
	ck_assert_text(ev.headers, "X: y\nContent-Type: application/json\n");
	ck_assert_text(ev.body, HEAD "}");
	ck_assert_text(ev.options, "");
	ck_assert_int_eq(ev.expiry_ms, 2500);
	buf_free(&text);
	make(&text, &ev,
	    "{\"headers\":{\"content-type\":\"a/b\"},\"url\":\"http://a/\"}",
	    &plain);
	ck_assert_text(ev.headers, "content-type: a/b\n");
	buf_free(&text);
}
END_TEST

START_TEST(test_failure)
{
	struct event_end end = plain;
	struct buf text;
	struct event ev;

	end.state = EVENT_FAILED;
	end.code = 0;
	end.error = SLICE_LITERAL("no \"name\"");
	make(&text, &ev, "\"http://a/\"", &end);
	ck_assert_text(ev.id, "id.on-failure.2");
	ck_assert_text(ev.headers, "Content-Type: application/json\n");
	ck_assert_text(ev.body,
	    "{\"application-id\":\"app\",\"event-id\":\"id\",\"status\":"
	    "\"FAILED\",\"expiry\":1,\"finished\":2.5,\"attempts\":2,"
	    "\"last-error\":\"no \\\"name\\\"\"}");
	buf_free(&text);
}
END_TEST

static const struct {
	struct slice response;
	bool cut;
	const char *body;
} answers[] = {
    {SLICE_INIT("a\xc3\xa9"), false, ",\"response-body\":\"a\xc3\xa9\"}"},
    {SLICE_INIT("a\xc3"), true,
	",\"response-body\":\"a\",\"response-cut\":true}"},
    {SLICE_INIT("a\xf0\x9f\x98"), true,
	",\"response-body\":\"a\",\"response-cut\":true}"},
    {SLICE_INIT("a\xc3"), false, ",\"response-body-base64\":\"YcM=\"}"},
    {SLICE_INIT("\xff\0\xff"), true,
	",\"response-body-base64\":\"/wD/\",\"response-cut\":true}"},
    {SLICE_INIT("012345678901234567890123456789012345678901234567\xff"), false,
	",\"response-body-base64\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5M"
	"DEyMzQ1Njc4OTAxMjM0NTY3/w==\"}"},
};

START_TEST(test_answer)
{
	struct event_end end = plain;
	struct json_value value;
	struct buf text, body;
	struct event ev;

	end.headers = SLICE_LITERAL("A: b\nC: \xff\n");
	end.response = answers[_i].response;
	end.cut = answers[_i].cut;
	make(&text, &ev, "\"http://a/\"", &end);
	buf_init(&body, 1000);
	(void)buf_append_string(
	    &body, HEAD ",\"response-headers\":[\"A: b\",\"C: \xef\xbf\xbd\"]");
	(void)buf_append_string(&body, answers[_i].body);
	(void)buf_append_char(&body, '\0');
	ck_assert_text(ev.body, body.p);
	ck_assert_int_eq(json_scan(ev.body, &value, NULL), 0);
	buf_free(&body);
	buf_free(&text);
}
END_TEST

/* No longer than an id may be, and another one for each event. */
START_TEST(test_long_id)
{
	char id[EVENT_ID_MAX];
	struct event_end end = plain;
	struct event_key key;
	struct buf text;
	struct event ev;
	char hex[2 * EVENT_KEY_BYTES + 2] = "~";

	memset(id, 'x', sizeof(id));
	end.id = slice_of(id, sizeof(id) - strlen(".on-complete.2"));
	make(&text, &ev, "\"http://a/\"", &end);
	ck_assert_uint_eq(ev.id.len, EVENT_ID_MAX);
	ck_assert_int_eq(memcmp(ev.id.p, id, end.id.len), 0);
	buf_free(&text);
	end.id.len++;
	/* The last character that has room goes as a whole. */
	memcpy(id + EVENT_ID_MAX - strlen(".on-complete.2") - 33 - 1,
	    "\xc3\xa9", 2);
	make(&text, &ev, "\"http://a/\"", &end);
	ck_assert_uint_eq(ev.id.len, EVENT_ID_MAX - 1);
	ck_assert(slice_is_utf8(ev.id));
	ck_assert_int_eq(event_key_make(end.app, end.id, &key), 0);
	for (size_t i = 0; i < sizeof(key.bytes); i++)
		(void)snprintf(hex + 1 + 2 * i, 3, "%02x", key.bytes[i]);
	ck_assert(memmem(ev.id.p, ev.id.len, hex, strlen(hex)) != NULL);
	buf_free(&text);
}
END_TEST

START_TEST(test_no_room)
{
	struct event_end end = plain;
	struct buf text;
	struct event ev;

	/* Wherever it ends, that is told from what is damaged. */
	for (size_t max = 0; max <= 150; max++) {
		buf_init(&text, max);
		ck_assert_int_eq(event_callback_make(
				     SLICE_LITERAL("\"http://a/\""), &end,
				     &text, &ev),
		    -1);
		ck_assert(text.failed);
		buf_free(&text);
	}
	buf_init(&text, 1000);
	ck_assert_int_eq(
	    event_callback_make(SLICE_LITERAL("7"), &end, &text, &ev), -1);
	ck_assert(!text.failed);
	buf_free(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event_callback");
	TCase *tcase = tcase_create("callback");

	tcase_add_loop_test(tcase, test_read, 0, COUNT(good));
	tcase_add_loop_test(tcase, test_refused, 0, COUNT(bad));
	tcase_add_test(tcase, test_too_large);
	tcase_add_test(tcase, test_event);
	tcase_add_test(tcase, test_failure);
	tcase_add_loop_test(tcase, test_answer, 0, COUNT(answers));
	tcase_add_test(tcase, test_long_id);
	tcase_add_test(tcase, test_no_room);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
