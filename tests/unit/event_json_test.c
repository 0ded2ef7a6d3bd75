/* SPDX-License-Identifier: ISC */
#include "event/event_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

#include "event/event_labels.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { TEXT_MAX = 128 * 1024 };

static char text[TEXT_MAX];
static struct buf scratch;
static struct event ev;
static struct err err;
static struct field_errors errors;
static const struct event_retry_limits limits = {
    .max_attempts = 100, .min_delay_ms = 10};

static struct event_context context = {.retry_limits = &limits};

static void
setup(void)
{
	buf_init(&scratch, EVENT_SCRATCH_MAX);
	context.zones = zones_create("/usr/share/zoneinfo");
	ck_assert_ptr_nonnull(context.zones);
}

static void
teardown(void)
{
	buf_free(&scratch);
	zones_free(&context.zones);
}

/* By --wrap, so that there is none when a test wants that. */
static bool is_memory_short;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *
__wrap_realloc(void *p, size_t size)
{
	return is_memory_short ? NULL : __real_realloc(p, size);
}

static enum event_json_result
read_bytes(struct slice json)
{
	ck_assert_uint_le(json.len, sizeof(text));
	memmove(text, json.p, json.len);
	return event_from_json(
	    text, json.len, &context, &scratch, &ev, &err, &errors);
}

/*
 * A good event with one member replaced or added; value NULL leaves it out.
 */
static enum event_json_result
read_with(const char *name, const char *value)
{
	static const struct {
		const char *name, *value;
	} good[] = {
	    {"event-id", "\"order-1\""},
	    {"application-id", "\"orders\""},
	    {"event", "{}"},
	    {"expiry", "1524141245"},
	    {"url", "\"http://localhost/\""},
	};
	struct buf json;
	enum event_json_result result;
	bool replaced = false;

	buf_init(&json, TEXT_MAX);
	for (int i = 0; i < COUNT(good); i++) {
		bool same = strcmp(name, good[i].name) == 0;
		const char *use = same ? value : good[i].value;

		replaced |= same;
		if (use != NULL)
			buf_printf(&json, "%c\"%s\":%s",
			    json.len == 0 ? '{' : ',', good[i].name, use);
	}
	if (!replaced)
		buf_printf(&json, ",\"%s\":%s", name, value);
	buf_append_char(&json, '}');
	ck_assert(!json.failed);
	result = read_bytes(buf_slice(&json));
	buf_free(&json);
	return result;
}

/* The one error, at that pointer, with that in its detail. */
static void
expect_error(const char *pointer, const char *detail)
{
	ck_assert_uint_eq(errors.total, 1);
	ck_assert_uint_eq(errors.len, 1);
	ck_assert_str_eq(errors.list[0].pointer, pointer);
	ck_assert_msg(strstr(errors.list[0].detail, detail) != NULL,
	    "\"%s\" is not in \"%s\"", detail, errors.list[0].detail);
}

static void
expect_slice(struct slice got, const char *expected)
{
	ck_assert_msg(slice_eq(got, slice_from_string(expected)),
	    "\"%.*s\" is not \"%s\"", (int)got.len, got.p, expected);
}

START_TEST(test_whole_event)
{
	ck_assert_int_eq(
	    read_bytes(SLICE_LITERAL(
		" {\"event-id\": \"def381e4\",\n"
		"\"application-id\":\"order\\u002dmanagement\\/\\u00e9\","
		"\"event\": {\"b\" : 1.50, \"a\":[ 1e400 ]} ,"
		"\"expiry\":1524141245.5,"
		"\"\\u0075rl\":\"https:\\/\\/[::1]:8443/x?y#z\","
		"\"method\":\"PUT\","
		"\"request-headers\":[\"Content-Type: text/plain\","
		"\"X-One:1\", \"X-Two: \\t a b \\t\",\"X-Empty:\"]}\n")),
	    EVENT_JSON_OK);
	ck_assert_uint_eq(errors.total, 0);
	expect_slice(ev.id, "def381e4");
	expect_slice(ev.app, "order-management/\xc3\xa9");
	expect_slice(ev.body, "{\"b\" : 1.50, \"a\":[ 1e400 ]}");
	ck_assert(!ev.body_is_text);
	ck_assert_int_eq(ev.expiry_ms, INT64_C(1524141245500));
	expect_slice(ev.url, "https://[::1]:8443/x?y#z");
	expect_slice(ev.method, "PUT");
	expect_slice(ev.headers,
	    "Content-Type: text/plain\nX-One: 1\nX-Two: a b\nX-Empty: \n");
}
END_TEST

START_TEST(test_defaults)
{
	ck_assert_int_eq(read_with("event", "1"), EVENT_JSON_OK);
	expect_slice(ev.method, "POST");
	expect_slice(ev.headers, "Content-Type: application/json\n");
	ck_assert_int_eq(read_with("event", "\"text\""), EVENT_JSON_OK);
	expect_slice(ev.headers, "Content-Type: text/plain; charset=utf-8\n");
	ck_assert_int_eq(read_with("request-headers", "[ ]"), EVENT_JSON_OK);
	expect_slice(ev.headers, "");
}
END_TEST

START_TEST(test_no_id)
{
	ck_assert_int_eq(read_with("event-id", NULL), EVENT_JSON_OK);
	ck_assert_ptr_null(ev.id.p);
}
END_TEST

static const struct {
	const char *json;
	bool is_text;
	struct slice body;
} bodies[] = {
    {"null", false, SLICE_INIT("null")},
    {"true", false, SLICE_INIT("true")},
    {"123456789012345678901234567890.10e+007", false,
	SLICE_INIT("123456789012345678901234567890.10e+007")},
    {"[ 1 ,\t2\r\n]", false, SLICE_INIT("[ 1 ,\t2\r\n]")},
    {"{\"z\":1,\"a\":2,\"z\":\"\\u0041\xe2\x82\xac\"}", false,
	SLICE_INIT("{\"z\":1,\"a\":2,\"z\":\"\\u0041\xe2\x82\xac\"}")},
    {"\"\"", true, SLICE_INIT("")},
    {"\"plain \xe2\x82\xac\"", true, SLICE_INIT("plain \xe2\x82\xac")},
    {"\"{\\\"a\\\":\\n\\u0000\\ud83d\\ude00}\"", true,
	SLICE_INIT("{\"a\":\n\0\xf0\x9f\x98\x80}")},
};

START_TEST(test_body)
{
	ck_assert_int_eq(read_with("event", bodies[_i].json), EVENT_JSON_OK);
	ck_assert(ev.body_is_text == bodies[_i].is_text);
	ck_assert(slice_eq(ev.body, bodies[_i].body));
}
END_TEST

static const struct {
	const char *json;
	int64_t ms;
	const char *detail; /* of the refusal, or NULL */
} expiries[] = {
    {"0", 0, NULL},
    {"-0", 0, NULL},
    {"-0.000e9", 0, NULL},
    {"0e999999999999999999999", 0, NULL},
    {"1", 1000, NULL},
    {"0.001", 1, NULL},
    {"0.0019999999999999999999", 1, NULL},
    {"0.0009", 0, NULL},
    {"1.5", 1500, NULL},
    {"1.25", 1250, NULL},
    {"4.35", 4350, NULL}, /* times 1000 in a double: 4349.99… */
    {"1524141245.0070", INT64_C(1524141245007), NULL},
    {"1e9", INT64_C(1000000000000), NULL},
    {"1E+9", INT64_C(1000000000000), NULL},
    {"1.524141245007e9", INT64_C(1524141245007), NULL},
    {"15241412450075e-4", INT64_C(1524141245007), NULL},
    {"0.0000000001524141245e19", INT64_C(1524141245000), NULL},
    {"1e-3", 1, NULL},
    {"1e-4", 0, NULL},
    {"1e-999999999999999999999", 0, NULL},
    {"100000000000000000000e-20", 1000, NULL},
    {"253402300799", INT64_C(253402300799000), NULL},
    {"253402300799.9999", INT64_C(253402300799999), NULL},
    {"253402300800", 0, "beyond the year 9999"},
    {"946684799999", 0, "beyond the year 9999"},
    {"946684800000", 0, "looks like milliseconds"},
    {"1524141245000", 0, "looks like milliseconds"},
    {"4102444799999.9", 0, "looks like milliseconds"},
    {"4102444800000", 0, "beyond the year 9999"},
    {"1524141245000000", 0, "beyond the year 9999"},
    {"1e999999999", 0, "beyond the year 9999"},
    {"1e99999999999999999999999999", 0, "beyond the year 9999"},
    {"99999999999999999999999999999", 0, "beyond the year 9999"},
    {"-1", 0, "negative"},
    {"-0.0000001", 0, "negative"},
    {"-1e999999999", 0, "negative"},
    {"\"2018-04-19T12:34:05Z\"", INT64_C(1524141245000), NULL},
    {"\"2018-04-19T14:34:05.0079+02:00\"", INT64_C(1524141245007), NULL},
    {"\"2018-04-19T12:34:05\\u005a\"", INT64_C(1524141245000), NULL},
    {"\"1970-01-01T00:00:00Z\"", 0, NULL},
    {"\"1970-01-01T00:59:59+01:00\"", 0, "before 1970"},
    {"\"9999-12-31T23:59:59.9999Z\"", INT64_C(253402300799999), NULL},
    {"\"9999-12-31T23:59:59-00:01\"", 0, "beyond the year 9999"},
    {"\"2018-04-19T12:34:05\"", 0, "no date-time of RFC 3339"},
    {"\"2018-04-19\"", 0, "no date-time of RFC 3339"},
    {"\"\"", 0, "no date-time of RFC 3339"},
    {"\"1524141245\"", 0, "no date-time of RFC 3339"},
    {"null", 0, "must be a number"},
    {"true", 0, "must be a number"},
    {"[1]", 0, "must be a number"},
};

START_TEST(test_expiry)
{
	enum event_json_result result = read_with("expiry", expiries[_i].json);

	if (expiries[_i].detail == NULL) {
		ck_assert_int_eq(result, EVENT_JSON_OK);
		ck_assert_int_eq(ev.expiry_ms, expiries[_i].ms);
	} else {
		ck_assert_int_eq(result, EVENT_JSON_INVALID);
		expect_error("/expiry", expiries[_i].detail);
	}
}
END_TEST

/* The members that say when, alone and together. */
static const struct {
	const char *json;
	int64_t in_ms; /* -1: refused */
	const char *pointer, *detail;
} times[] = {
    {"\"in\":\"30m\"", 1800000, NULL, NULL},
    {"\"in\":\"0\\u006ds\"", 0, NULL, NULL},
    {"\"in\":\"36500d\"", INT64_C(36500) * 86400000, NULL, NULL},
    {"\"in\":\"36501d\"", -1, "/in", "must be a duration"},
    {"\"in\":\"30\"", -1, "/in", "must be a duration"},
    {"\"in\":\"-1s\"", -1, "/in", "must be a duration"},
    {"\"in\":30", -1, "/in", "must be a string"},
    {"\"in\":null", -1, "/in", "must be a string"},
    {"\"in\":\"30m\",\"in\":\"30m\"", -1, "/in", "more than once"},
    {"\"in\":\"30m\",\"expiry\":1", -1, "/in", "give one of"},
    {"\"expiry\":1,\"in\":\"30m\"", -1, "/in", "give one of"},
    {"\"event-id\":\"x\"", -1, "/expiry", "required member is missing"},
};

START_TEST(test_times)
{
	enum event_json_result result;
	char json[300];
	int n = snprintf(json, sizeof(json),
	    "{\"application-id\":\"a\",\"event\":1,\"url\":\"http://a/\",%s}",
	    times[_i].json);

	result = read_bytes(slice_of(json, (size_t)n));
	if (times[_i].detail == NULL) {
		ck_assert_int_eq(result, EVENT_JSON_OK);
		ck_assert_int_eq(ev.time, EVENT_IN);
		ck_assert_int_eq(ev.in_ms, times[_i].in_ms);
		event_resolve(&ev, 1000);
		ck_assert_int_eq(ev.expiry_ms, 1000 + times[_i].in_ms);
	} else {
		ck_assert_int_eq(result, EVENT_JSON_INVALID);
		expect_error(times[_i].pointer, times[_i].detail);
	}
}
END_TEST

static const struct {
	const char *json;
	int64_t ms; /* -1: refused */
	const char *pointer, *detail;
} locals[] = {
#define BERLIN ",\"time-zone\":\"Europe/Berlin\""
    {"\"at-local\":\"2027-07-01T09:00:00\"" BERLIN, INT64_C(1814425200000),
	NULL, NULL},
    {"\"at-local\":\"2027-01-04t09:00:00\"" BERLIN, INT64_C(1799049600000),
	NULL, NULL},
    /* Clocks go from two to three, and from three to two. */
    {"\"at-local\":\"2027-03-28T02:30:00\"" BERLIN, INT64_C(1806195600000),
	NULL, NULL},
    {"\"at-local\":\"2027-10-31T02:30:00\"" BERLIN, INT64_C(1824942600000),
	NULL, NULL},
    {"\"time-zone\":\"UTC\",\"at-local\":\"1970-01-01T00:00:01\"", 1000, NULL,
	NULL},
    {"\"at-local\":\"1970-01-01T00:00:01\"" BERLIN, -1, "/time-zone",
	"is not between"},
    {"\"at-local\":\"9999-12-31T23:59:59\",\"time-zone\":\"Etc/GMT+1\"", -1,
	"/time-zone", "is not between"},
    {"\"at-local\":\"1969-12-31T23:59:59\"" BERLIN, -1, "/at-local",
	"before 1970"},
    {"\"at-local\":\"2027-07-01T09:00:00Z\"" BERLIN, -1, "/at-local",
	"without an offset"},
    {"\"at-local\":\"2027-07-01T09:00:60\"" BERLIN, -1, "/at-local",
	"without an offset"},
    {"\"at-local\":\"2027-07-01T09:00:00.5\"" BERLIN, -1, "/at-local",
	"without an offset"},
    {"\"at-local\":\"2027-02-29T09:00:00\"" BERLIN, -1, "/at-local",
	"without an offset"},
    {"\"at-local\":1" BERLIN, -1, "/at-local", "must be a string"},
    {"\"at-local\":\"2027-07-01T09:00:00\"", -1, "/time-zone",
	"required member is missing"},
    {"\"in\":\"1s\"" BERLIN, -1, "/time-zone", "goes with at-local only"},
    {"\"in\":\"1s\",\"at-local\":\"2027-07-01T09:00:00\"" BERLIN, -1,
	"/at-local", "give one of"},
    {"\"at-local\":\"2027-07-01T09:00:00\",\"time-zone\":\"Europe/Bonn\"", -1,
	"/time-zone", "Bonn"},
    {"\"at-local\":\"2027-07-01T09:00:00\",\"time-zone\":\"../etc/x\"", -1,
	"/time-zone", "name of a time zone"},
    {"\"at-local\":\"2027-07-01T09:00:00\",\"time-zone\":1", -1, "/time-zone",
	"must be a string"},
#undef BERLIN
};

START_TEST(test_local_times)
{
	uint8_t print[EVENT_KEY_BYTES];
	enum event_json_result result;
	char json[300];
	int n = snprintf(json, sizeof(json),
	    "{\"application-id\":\"a\",\"event\":1,\"url\":\"http://a/\",%s}",
	    locals[_i].json);

	result = read_bytes(slice_of(json, (size_t)n));
	if (locals[_i].ms == -1) {
		ck_assert_int_eq(result, EVENT_JSON_INVALID);
		expect_error(locals[_i].pointer, locals[_i].detail);
		return;
	}
	ck_assert_int_eq(result, EVENT_JSON_OK);
	ck_assert_int_eq(ev.time, EVENT_AT_LOCAL);
	event_resolve(&ev, 1000);
	ck_assert_int_eq(ev.expiry_ms, locals[_i].ms);
	ck_assert_int_eq(event_fingerprint(&ev, print), 0);
}
END_TEST

/* One member with a value that is refused: detail, or accepted: NULL. */
static const struct {
	const char *name, *json, *pointer, *detail;
} fields[] = {
    {"application-id", "\"\"", "/application-id", "1 to 100 bytes"},
    {"application-id", "7", "/application-id", "must be a string"},
    {"application-id", "\"a\\u001f\"", "/application-id", "control"},
    {"application-id", "\"a\\u0000b\"", "/application-id", "control"},
    {"event-id", "\"\"", "/event-id", "1 to 255 bytes"},
    {"event-id", "null", "/event-id", "must be a string"},
    {"event-id", "\"\\u007f\"", "/event-id", "control"},
    {"event-id", "\" /%?\\\\ \xc2\xa0\"", NULL, NULL},
    {"event-id", "\"...\"", NULL, NULL},

    {"url", "1", "/url", "must be a string"},
    {"url", "null", "/url", "must be a string"},
    {"url", "\"\"", "/url", "http:// or https://"},
    {"url", "\"localhost/x\"", "/url", "http:// or https://"},
    {"url", "\"ftp://a/\"", "/url", "http:// or https://"},
    {"url", "\"file:///etc/passwd\"", "/url", "http:// or https://"},
    {"event-id", "\"a\\u0085b\"", "/event-id", "marks of direction"},
    {"event-id", "\"\\u061c\"", "/event-id", "marks of direction"},
    {"event-id", "\"\\u200e\"", "/event-id", "marks of direction"},
    {"event-id", "\"\xe2\x80\xaezzz\"", "/event-id", "marks of direction"},
    {"event-id", "\"\xe2\x81\xa9\"", "/event-id", "marks of direction"},
    {"event-id", "\"\xe2\x80\xa8\"", "/event-id", "line separators"},
    {"application-id", "\"\\ufeff\"", "/application-id", "control"},
    {"application-id", "\".\"", "/application-id", "must not be \".\""},
    {"event-id", "\"\\u002e.\"", "/event-id", "must not be \".\""},
    {"event-id", "\"\\u200b \\u00a0\\u2027\\u202f\\u2065\\u206a\\u05d0\"", NULL,
	NULL},
    {"url", "\"http:/a\"", "/url", "http:// or https://"},
    {"url", "\"//a/\"", "/url", "http:// or https://"},
    {"url", "\"HTTPS://EXAMPLE.com\"", NULL, NULL},
    {"url", "\"hTTp://a\"", NULL, NULL},
    {"url", "\"http://\"", "/url", "has no host"},
    {"url", "\"http:///x\"", "/url", "has no host"},
    {"url", "\"http://?x\"", "/url", "has no host"},
    {"url", "\"http://#x\"", "/url", "has no host"},
    {"url", "\"http://:80/\"", "/url", "has no host"},
    {"url", "\"http://a b/\"", "/url", "spaces"},
    {"url", "\"http://a/b c\"", "/url", "spaces"},
    {"url", "\"http://a/\\r\\nX: y\"", "/url", "control"},
    {"url", "\"http://a/\\u0000\"", "/url", "control"},
    {"url", "\"http://a/\\u007f\"", "/url", "control"},
    {"url", "\"http://a/\xc3\xa9\"", "/url", "non-ASCII"},
    {"url", "\"http://user@a/\"", "/url", "credentials in a header"},
    {"url", "\"http://user:pw@a:1/\"", "/url", "credentials in a header"},
    {"url", "\"http://a/user@b?c@d\"", NULL, NULL},
    {"url", "\"http://a?b@c\"", NULL, NULL},
    {"url", "\"http://a:1/\"", NULL, NULL},
    {"url", "\"http://a:65535\"", NULL, NULL},
    {"url", "\"http://a:0/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://a:65536/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://a:/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://a:8x/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://a:-1/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://a:1:2/\"", "/url", "no host name"},
    {"url", "\"http://192.0.2.1/\"", NULL, NULL},
    {"url", "\"http://a_b-c.example./\"", NULL, NULL},
    {"url", "\"http://a\\\\b/\"", "/url", "no host name"},
    {"url", "\"http://a%00/\"", "/url", "no host name"},
    {"url", "\"http://[::1]/\"", NULL, NULL},
    {"url", "\"http://[2001:db8::1]:80/\"", NULL, NULL},
    {"url", "\"http://::1/\"", "/url", "no host name"},
    {"url", "\"http://[::1/\"", "/url", "no host name"},
    {"url", "\"http://[]/\"", "/url", "no host name"},
    {"url", "\"http://[::g]/\"", "/url", "no host name"},
    {"url", "\"http://[::1]:/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://[::1]x/\"", "/url", "port from 1 to 65535"},
    {"url", "\"http://a]/\"", "/url", "no host name"},

    {"method", "\"GET\"", NULL, NULL},
    {"method", "\"HEAD\"", NULL, NULL},
    {"method", "\"POST\"", NULL, NULL},
    {"method", "\"PUT\"", NULL, NULL},
    {"method", "\"PATCH\"", NULL, NULL},
    {"method", "\"DELETE\"", NULL, NULL},
    {"method", "\"OPTIONS\"", NULL, NULL},
    {"method", "\"post\"", "/method", "did you mean POST?"},
    {"method", "\"Delete\"", "/method", "did you mean DELETE?"},
    {"method", "\"CONNECT\"", "/method", "must be GET, HEAD, POST,"},
    {"method", "\"TRACE\"", "/method", "must be GET, HEAD, POST,"},
    {"method", "\"POST \"", "/method", "must be GET, HEAD, POST,"},
    {"method", "\"\"", "/method", "must be GET, HEAD, POST,"},
    {"method", "null", "/method", "must be a string"},

    {"request-headers", "null", "/request-headers", "must be an array"},
    {"request-headers", "{}", "/request-headers", "must be an array"},
    {"request-headers", "\"A: b\"", "/request-headers", "must be an array"},
    {"request-headers", "[\"A: b\",1]", "/request-headers/1",
	"must be a string"},
    {"request-headers", "[[\"A: b\"]]", "/request-headers/0",
	"must be a string"},
    {"request-headers", "[\"A: b\",\"C: d\",\"E\"]", "/request-headers/2",
	"must look like \"Name: value\""},
    {"request-headers", "[\"\"]", "/request-headers/0", "must look like"},
    {"request-headers", "[\": b\"]", "/request-headers/0", "has no name"},
    {"request-headers", "[\"A : b\"]", "/request-headers/0", "in its name"},
    {"request-headers", "[\" A: b\"]", "/request-headers/0", "in its name"},
    {"request-headers", "[\"A(: b\"]", "/request-headers/0", "in its name"},
    {"request-headers", "[\"A\\u0000: b\"]", "/request-headers/0",
	"in its name"},
    {"request-headers", "[\"\xc3\xa9: b\"]", "/request-headers/0",
	"in its name"},
    {"request-headers", "[\"A: b\\r\\nHost: c\"]", "/request-headers/0",
	"control character"},
    {"request-headers", "[\"A: b\\n\"]", "/request-headers/0",
	"control character"},
    {"request-headers", "[\"A: b\\u0000\"]", "/request-headers/0",
	"control character"},
    {"request-headers", "[\"A: \\u007f\"]", "/request-headers/0",
	"control character"},
    {"request-headers", "[\"A: b\\tc\"]", NULL, NULL},
    {"request-headers", "[\"A: caf\xc3\xa9 \\\"x\\\" a:b\"]", NULL, NULL},
    {"request-headers", "[\"!#$%&'*+-.^_`|~09azAZ: x\"]", NULL, NULL},
    {"request-headers", "[\"User-Agent: mine/1\"]", NULL, NULL},
    {"request-headers", "[\"Test: 1\",\"Hosts: 1\",\"Proxy: 1\"]", NULL, NULL},
    {"request-headers", "[\"Cassata: 1\"]", NULL, NULL},
    {"request-headers", "[\"Host: a\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"cOnTent-lengTH: 1\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"Transfer-Encoding:\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"Connection: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"Keep-Alive: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"proxy-authorization: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"Proxy-: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"TE: x\"]", "/request-headers/0", "must not be set"},
    {"request-headers", "[\"Trailer: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"Upgrade: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"Expect: x\"]", "/request-headers/0",
	"must not be set"},
    {"request-headers", "[\"cassata-event-id: x\"]", "/request-headers/0",
	"must not be set"},

    {"expirey", "1", "/expirey", "unknown member; did you mean expiry?"},
    {"eventId", "1", "/eventId", "did you mean event-id?"},
    {"event_id", "1", "/event_id", "did you mean event-id?"},
    {"aplication-id", "1", "/aplication-id", "did you mean application-id?"},
    {"evnet", "1", "/evnet", "did you mean event?"},
    {"uri", "1", "/uri", "did you mean url?"},
    {"request_header", "[]", "/request_header",
	"did you mean request-headers?"},
    {"Method", "1", "/Method", "did you mean method?"},
    {"priority", "1", "/priority", "unknown member"},
    {"", "1", "/", "unknown member"},
    {"a/b~c", "1", "/a~1b~0c", "unknown member"},
    {"a\\u0000z", "1", "/a\xef\xbf\xbdz", "unknown member"},
    {"\xc3\xa9\\n", "1", "/\xc3\xa9\n", "unknown member"},
    {"expiry\\u0000", "1", "/expiry\xef\xbf\xbd", "unknown member"},

    {"application-id", NULL, "/application-id", "required member is missing"},
    {"event", NULL, "/event", "required member is missing"},
    {"expiry", NULL, "/expiry", "required member is missing"},
    {"url", NULL, "/url", "required member is missing"},
};

START_TEST(test_field)
{
	enum event_json_result result =
	    read_with(fields[_i].name, fields[_i].json);

	if (fields[_i].detail == NULL) {
		ck_assert_int_eq(result, EVENT_JSON_OK);
		ck_assert_uint_eq(errors.total, 0);
	} else {
		ck_assert_int_eq(result, EVENT_JSON_INVALID);
		expect_error(fields[_i].pointer, fields[_i].detail);
	}
}
END_TEST

/* The longest value of each, and one byte more. */
static const struct {
	const char *name, *before, *after;
	size_t max;
	const char *detail;
} lengths[] = {
    {"application-id", "", "", EVENT_APP_MAX, "1 to 100 bytes"},
    {"event-id", "", "", EVENT_ID_MAX, "1 to 255 bytes"},
    {"url", "http://a/", "?", EVENT_URL_MAX, "too long"},
};

static enum event_json_result
read_filled(const char *name, const char *before, size_t len, const char *after)
{
	enum event_json_result result;
	struct buf value;

	buf_init(&value, TEXT_MAX);
	buf_printf(&value, "\"%s", before);
	while (value.len + strlen(after) < len + 1)
		buf_append_char(&value, 'x');
	buf_printf(&value, "%s\"", after);
	buf_append_char(&value, '\0');
	ck_assert(!value.failed);
	result = read_with(name, value.p);
	buf_free(&value);
	return result;
}

START_TEST(test_length)
{
	char pointer[32];

	ck_assert_int_eq(read_filled(lengths[_i].name, lengths[_i].before,
			     lengths[_i].max, lengths[_i].after),
	    EVENT_JSON_OK);
	ck_assert_int_eq(read_filled(lengths[_i].name, lengths[_i].before,
			     lengths[_i].max + 1, lengths[_i].after),
	    EVENT_JSON_INVALID);
	(void)snprintf(pointer, sizeof(pointer), "/%s", lengths[_i].name);
	expect_error(pointer, lengths[_i].detail);
}
END_TEST

/* n headers of len bytes each, as they are kept: with ": " and LF. */
static enum event_json_result
read_headers(int n, size_t len)
{
	enum event_json_result result;
	struct buf value;

	buf_init(&value, TEXT_MAX);
	for (int i = 0; i < n; i++) {
		buf_append_string(&value, i == 0 ? "[\"A: " : ",\"A: ");
		for (size_t j = 4; j < len; j++)
			buf_append_char(&value, 'x');
		buf_append_char(&value, '"');
	}
	buf_append_char(&value, ']');
	buf_append_char(&value, '\0');
	ck_assert(!value.failed);
	result = read_with("request-headers", value.p);
	buf_free(&value);
	return result;
}

START_TEST(test_header_limits)
{
	ck_assert_int_eq(read_headers(64, 16384 / 64), EVENT_JSON_OK);
	ck_assert_uint_eq(ev.headers.len, 16384);
	ck_assert_int_eq(read_headers(65, 10), EVENT_JSON_INVALID);
	expect_error("/request-headers", "more than 64");
	ck_assert_int_eq(read_headers(2, 8193), EVENT_JSON_INVALID);
	expect_error("/request-headers", "too large");
	/* Beyond the scratch as well; the next event is not touched by it. */
	ck_assert_int_eq(read_headers(64, 1000), EVENT_JSON_INVALID);
	expect_error("/request-headers", "too large");
	ck_assert_int_eq(read_headers(1, 10), EVENT_JSON_OK);
	ck_assert_uint_eq(ev.headers.len, 10);
}
END_TEST

static const struct {
	struct slice json;
	const char *reason;
} malformed[] = {
    {SLICE_INIT(""), "line 1 column 1: unexpected end of the text"},
    {SLICE_INIT("{\"event\":{},\n}"), "line 2 column 1: "},
    {SLICE_INIT("{\"event\":\"\xff\"}"), "line 1 column 11: not UTF-8"},
    {SLICE_INIT("{\"event\":\"\\ud800\"}"), "line 1 column 11: lone surrogate"},
    {SLICE_INIT("{\"expiry\":01}"), "line 1 column 12: "},
    {SLICE_INIT("{} {}"), "line 1 column 4: "},
    {SLICE_INIT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
	"line 1 column 65: nested too deeply"},
};

START_TEST(test_malformed)
{
	ck_assert_int_eq(read_bytes(malformed[_i].json), EVENT_JSON_MALFORMED);
	ck_assert_msg(strncmp(err.text, malformed[_i].reason,
			  strlen(malformed[_i].reason)) == 0,
	    "%s", err.text);
}
END_TEST

START_TEST(test_no_object)
{
	static const char *const json[] = {
	    "[]", "null", "1", "\"{}\"", "[{\"event\":1}]"};

	for (int i = 0; i < COUNT(json); i++) {
		ck_assert_int_eq(
		    read_bytes(slice_from_string(json[i])), EVENT_JSON_INVALID);
		expect_error("", "must be an object");
	}
}
END_TEST

/* Names are compared after decoding. */
START_TEST(test_duplicate)
{
	ck_assert_int_eq(read_with("\\u0065xpiry", "1"), EVENT_JSON_INVALID);
	expect_error("/expiry", "more than once");
}
END_TEST

START_TEST(test_all_errors_in_one_pass)
{
	static const char *const pointers[] = {"/expirey", "/event-id",
	    "/request-headers/0", "/request-headers/2", "/method", "/event-id",
	    "/application-id", "/url", "/expiry"};

	ck_assert_int_eq(read_bytes(SLICE_LITERAL(
			     "{\"expirey\":1,\"event-id\":\"\",\"event\":1,"
			     "\"request-headers\":[\"x\",\"A: b\",7],"
			     "\"method\":null,\"event-id\":\"a\"}")),
	    EVENT_JSON_INVALID);
	ck_assert_uint_eq(errors.total, (size_t)COUNT(pointers));
	for (int i = 0; i < COUNT(pointers); i++)
		ck_assert_str_eq(errors.list[i].pointer, pointers[i]);
}
END_TEST

START_TEST(test_more_errors_than_kept)
{
	struct buf json;

	buf_init(&json, TEXT_MAX);
	buf_append_char(&json, '{');
	for (int i = 0; i < 100; i++)
		buf_printf(&json, "\"unknown-%d\":%d,", i, i);
	buf_append_string(&json, "\"event\":1}");
	ck_assert_int_eq(read_bytes(buf_slice(&json)), EVENT_JSON_INVALID);
	ck_assert_uint_eq(errors.len, FIELD_ERRORS_MAX);
	ck_assert_uint_eq(errors.total, 103);
	ck_assert_str_eq(errors.list[31].pointer, "/unknown-31");
	buf_free(&json);
}
END_TEST

/* CPU time for a body full of members of that name, the least of three. */
static clock_t
time_of_members(const char *name)
{
	clock_t least = 0;
	struct buf json;

	buf_init(&json, TEXT_MAX);
	buf_append_char(&json, '{');
	while (json.len < TEXT_MAX - 100)
		buf_printf(&json, "\"%s\":1,", name);
	buf_append_string(&json, "\"event\":1}");
	for (int i = 0; i < 3; i++) {
		clock_t took = clock();

		ck_assert_int_eq(
		    read_bytes(buf_slice(&json)), EVENT_JSON_INVALID);
		took = clock() - took;
		if (i == 0 || took < least)
			least = took;
	}
	buf_free(&json);
	return least;
}

/* Nobody reads what would be told of the ten thousandth. */
START_TEST(test_time_of_unknown_members)
{
	clock_t known = time_of_members("application-id");
	clock_t unknown = time_of_members("application-no");

	ck_assert_msg(unknown < 8 * known, "%ld, but %ld when known",
	    (long)unknown, (long)known);
}
END_TEST

/* A long name is cut between characters, wherever the cut falls. */
START_TEST(test_long_pointer)
{
	char json[1000];
	int n = snprintf(json, sizeof(json), "{\"%.*s", _i, "xxxx");
	struct slice pointer;

	for (int i = 0; i < 100; i++)
		n += snprintf(
		    json + n, sizeof(json) - (size_t)n, "\xf0\x9f\x98\x80");
	n += snprintf(json + n, sizeof(json) - (size_t)n, "\":1}");
	ck_assert_int_eq(
	    read_bytes(slice_of(json, (size_t)n)), EVENT_JSON_INVALID);
	pointer = slice_from_string(errors.list[0].pointer);
	ck_assert_uint_gt(pointer.len, sizeof(errors.list[0].pointer) - 5);
	ck_assert(slice_is_utf8(pointer));
}
END_TEST

static const struct {
	const char *value, *options;
} retries[] = {
    {"{}", ""},
    {"{\"attempts\":100}", "{\"retry\":{\"attempts\":100}}"},
    {"{\"delays\":[\"10ms\",\"30d\"]}",
	"{\"retry\":{\"delays\":[\"10ms\",\"30d\"]}}"},
    {"{\"jitter\":100, \"on\":[\"\\u0035xx\"]}",
	"{\"retry\":{\"jitter\":100,\"on\":[\"5xx\"]}}"},
};

START_TEST(test_retry)
{
	ck_assert_int_eq(read_with("retry", retries[_i].value), EVENT_JSON_OK);
	expect_slice(ev.options, retries[_i].options);
	expect_slice(ev.headers, "Content-Type: application/json\n");
}
END_TEST

static const struct {
	const char *value, *pointer, *detail;
} bad_retries[] = {
    {"[]", "/retry", "must be an object"},
    {"null", "/retry", "must be an object"},
    {"{\"attempt\":1}", "/retry", "attempts, delays, jitter and on"},
    {"{\"attempts\":0}", "/retry/attempts", "from 1 to 100"},
    {"{\"attempts\":101}", "/retry/attempts", "from 1 to 100"},
    {"{\"attempts\":1.5}", "/retry/attempts", "from 1 to 100"},
    {"{\"attempts\":1,\"attempts\":1}", "/retry/attempts", "more than once"},
    {"{\"delays\":\"1s\"}", "/retry/delays", "must be an array"},
    {"{\"delays\":[]}", "/retry/delays", "must not be empty"},
    {"{\"delays\":[\"1s\",\"9ms\"]}", "/retry/delays/1", "at least 10ms"},
    {"{\"delays\":[\"31d\"]}", "/retry/delays/0", "at most 30d"},
    {"{\"delays\":[10]}", "/retry/delays/0", "must be a duration"},
    {"{\"delays\":[\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\","
     "\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\","
     "\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\",\"1s\","
     "\"1s\",\"1s\",\"1s\",\"1s\",\"1s\"]}",
	"/retry/delays/32", "beyond the 32"},
    {"{\"jitter\":101}", "/retry/jitter", "from 0 to 100"},
    {"{\"jitter\":-1}", "/retry/jitter", "from 0 to 100"},
    {"{\"on\":[\"503\",\"2xx\"]}", "/retry/on/1", "must be a status"},
    {"{\"on\":[503]}", "/retry/on/0", "must be a status"},
    {"{\"on\":[\"a word that is longer than any of ours could ever be in"
     " this place, by far\"]}",
	"/retry/on/0", "must be a status"},
};

START_TEST(test_bad_retry)
{
	ck_assert_int_eq(
	    read_with("retry", bad_retries[_i].value), EVENT_JSON_INVALID);
	expect_error(bad_retries[_i].pointer, bad_retries[_i].detail);
}
END_TEST

START_TEST(test_not_after)
{
	ck_assert_int_eq(read_with("not-after", "1524141245"), EVENT_JSON_OK);
	expect_slice(ev.options, "{\"not-after-ms\":1524141245000}");
	ck_assert_int_eq(read_with("not-after", "\"2018-04-19T12:34:05.5Z\""),
	    EVENT_JSON_OK);
	expect_slice(ev.options, "{\"not-after-ms\":1524141245500}");
	ck_assert_int_eq(
	    read_with("not-after", "1524141244.999"), EVENT_JSON_INVALID);
	expect_error("/not-after", "is before expiry");
	ck_assert_int_eq(read_with("not-after", "true"), EVENT_JSON_INVALID);
	expect_error("/not-after", "must be a number");
	ck_assert_int_eq(read_with("not-after", "0"), EVENT_JSON_INVALID);
	expect_error("/not-after", "has long passed");
}
END_TEST

START_TEST(test_on_conflict)
{
	ck_assert_int_eq(read_with("on-conflict", "\"replace\""), EVENT_JSON_OK);
	ck_assert_int_eq(ev.on_conflict, ON_CONFLICT_REPLACE);
	expect_slice(ev.options, "");
	ck_assert_int_eq(read_with("on-conflict",
			     "\"debounce\",\"debounce-max\":\"5m\""),
	    EVENT_JSON_OK);
	ck_assert_int_eq(ev.on_conflict, ON_CONFLICT_DEBOUNCE);
	ck_assert_int_eq(ev.debounce_max_ms, 300000);
}
END_TEST

static const struct {
	const char *value, *pointer, *detail;
} bad_on_conflict[] = {
    {"1", "/on-conflict", "must be a string"},
    {"\"update\"", "/on-conflict", "must be reject, ignore"},
    {"\"replace\",\"debounce-max\":\"5m\"", "/debounce-max",
	"debounce only"},
    {"\"debounce\",\"debounce-max\":\"0s\"", "/debounce-max",
	"longer than 0"},
    {"\"debounce\",\"debounce-max\":\"5 m\"", "/debounce-max",
	"must be a duration"},
};

START_TEST(test_bad_on_conflict)
{
	ck_assert_int_eq(read_with("on-conflict", bad_on_conflict[_i].value),
	    EVENT_JSON_INVALID);
	expect_error(bad_on_conflict[_i].pointer, bad_on_conflict[_i].detail);
}
END_TEST

START_TEST(test_on_conflict_without_id)
{
	ck_assert_int_eq(
	    read_bytes(SLICE_LITERAL(
		"{\"application-id\":\"a\",\"event\":1,\"in\":\"1s\","
		"\"url\":\"http://h/\",\"on-conflict\":\"ignore\"}")),
	    EVENT_JSON_INVALID);
	expect_error("/on-conflict", "goes with an event-id only");
}
END_TEST

START_TEST(test_debounce_of_local_time)
{
	ck_assert_int_eq(
	    read_bytes(SLICE_LITERAL(
		"{\"application-id\":\"a\",\"event-id\":\"e\",\"event\":1,"
		"\"at-local\":\"2027-03-28T09:00:00\","
		"\"time-zone\":\"Europe/Berlin\",\"url\":\"http://h/\","
		"\"on-conflict\":\"debounce\"}")),
	    EVENT_JSON_INVALID);
	expect_error("/on-conflict", "in or expiry only");
}
END_TEST

/* In the order of their names: written in another one it is the same event. */
START_TEST(test_labels)
{
	ck_assert_int_eq(
	    read_with("labels", "{\"b\":\"2\",\"a\":\"\\u0031\"}"),
	    EVENT_JSON_OK);
	expect_slice(ev.options, "{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}");
	ck_assert_uint_eq(ev.n_labels, 2);
	ck_assert_int_eq(read_with("labels", "{}"), EVENT_JSON_OK);
	expect_slice(ev.options, "");
	ck_assert_uint_eq(ev.n_labels, 0);
	ck_assert_int_eq(
	    read_with("labels", "{\"a\":\"1\",\"b\":2}"), EVENT_JSON_INVALID);
	expect_error("/labels/b", "must be a string");
	ck_assert_int_eq(read_with("labels", "null"), EVENT_JSON_INVALID);
	expect_error("/labels", "must be an object");
	ck_assert_int_eq(
	    read_with("labels", "{},\"labels\":{}"), EVENT_JSON_INVALID);
	expect_error("/labels", "more than once");
}
END_TEST

/* They lie in one place, the one behind the other. */
START_TEST(test_headers_and_options)
{
	ck_assert_int_eq(read_with("retry", "{\"attempts\":2},"
					    "\"request-headers\":[\"A: b\"]"),
	    EVENT_JSON_OK);
	expect_slice(ev.headers, "A: b\n");
	expect_slice(ev.options, "{\"retry\":{\"attempts\":2}}");
}
END_TEST

static const char callback[] =
    "{\"url\":\"http://a/\",\"headers\":{\"A\":\"b\"}}";

/* What is no fault of the client is not told as one. */
START_TEST(test_short_memory)
{
	struct buf json;

	buf_init(&json, TEXT_MAX);
	(void)buf_append_string(&json,
	    "{\"application-id\":\"a\",\"event-id\":\"b\",\"event\":{},"
	    "\"expiry\":1,\"url\":\"http://a/\",\"labels\":{");
	/* The longest text of them that there is. */
	for (int i = 0; i < EVENT_LABELS_MAX; i++) {
		(void)buf_printf(&json, "%s\"%0*d\":\"", i == 0 ? "" : ",",
		    EVENT_LABEL_NAME_MAX, i);
		for (int n = 0; n < EVENT_LABEL_VALUE_MAX; n++)
			(void)buf_append_string(&json, "\\\\");
		(void)buf_append_char(&json, '"');
	}
	(void)buf_printf(&json, "},\"on-complete\":%s,\"on-failure\":%s}",
	    callback, callback);
	ck_assert(!json.failed);
	ck_assert_int_eq(buf_reserve(&scratch, EVENT_SCRATCH_MAX), 0);
	is_memory_short = true;
	ck_assert_int_eq(read_bytes(buf_slice(&json)), EVENT_JSON_OK);
	is_memory_short = false;
	ck_assert_uint_eq(ev.n_labels, EVENT_LABELS_MAX);
	ck_assert_ptr_nonnull(memmem(
	    scratch.p, scratch.len, callback, sizeof(callback) - 1));
	buf_free(&json);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("event_json");
	TCase *tc = tcase_create("event_json");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_whole_event);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_no_id);
	tcase_add_loop_test(tc, test_body, 0, COUNT(bodies));
	tcase_add_loop_test(tc, test_expiry, 0, COUNT(expiries));
	tcase_add_loop_test(tc, test_times, 0, COUNT(times));
	tcase_add_loop_test(tc, test_local_times, 0, COUNT(locals));
	tcase_add_loop_test(tc, test_field, 0, COUNT(fields));
	tcase_add_loop_test(tc, test_length, 0, COUNT(lengths));
	tcase_add_test(tc, test_header_limits);
	tcase_add_loop_test(tc, test_malformed, 0, COUNT(malformed));
	tcase_add_test(tc, test_no_object);
	tcase_add_test(tc, test_duplicate);
	tcase_add_test(tc, test_all_errors_in_one_pass);
	tcase_add_test(tc, test_more_errors_than_kept);
	tcase_add_test(tc, test_time_of_unknown_members);
	tcase_add_loop_test(tc, test_long_pointer, 0, 4);
	tcase_add_loop_test(tc, test_retry, 0, COUNT(retries));
	tcase_add_loop_test(tc, test_bad_retry, 0, COUNT(bad_retries));
	tcase_add_test(tc, test_not_after);
	tcase_add_test(tc, test_on_conflict);
	tcase_add_loop_test(
	    tc, test_bad_on_conflict, 0, COUNT(bad_on_conflict));
	tcase_add_test(tc, test_on_conflict_without_id);
	tcase_add_test(tc, test_debounce_of_local_time);
	tcase_add_test(tc, test_labels);
	tcase_add_test(tc, test_headers_and_options);
	tcase_add_test(tc, test_short_memory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
