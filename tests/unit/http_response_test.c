/* SPDX-License-Identifier: ISC */
#include "http/http_response.h"

#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define SERVER                                                                 \
	"Server: cassata\r\nCache-Control: no-store\r\n"                       \
	"X-Content-Type-Options: nosniff\r\n"
#define JSON "Content-Type: application/json\r\n"

static const int64_t wall_ms = 784111777000;

static const struct {
	struct http_response res;
	const char *out;
} responses[] = {
    {{.status = 200,
	 .content_type = "application/json",
	 .minor = 1,
	 .body = SLICE_INIT("{}")},
	"HTTP/1.1 200 OK\r\n" DATE SERVER JSON "Content-Length: 2\r\n\r\n{}"},
    {{.status = 200, .minor = 1},
	"HTTP/1.1 200 OK\r\n" DATE SERVER "Content-Length: 0\r\n\r\n"},
    {{.status = 200,
	 .content_type = "application/json",
	 .minor = 1,
	 .head = true,
	 .body = SLICE_INIT("{}")},
	"HTTP/1.1 200 OK\r\n" DATE SERVER JSON "Content-Length: 2\r\n\r\n"},
    {{.status = 201,
	 .content_type = "application/json",
	 .fields = SLICE_INIT("Location: /cassata/status/a/b%20c\r\n"),
	 .minor = 1,
	 .body = SLICE_INIT("{}")},
	"HTTP/1.1 201 Created\r\n" DATE SERVER JSON "Content-Length: 2\r\n"
	"Location: /cassata/status/a/b%20c\r\n\r\n{}"},
    {{.status = 415,
	 .fields = SLICE_INIT("Accept-Encoding: identity\r\n"),
	 .minor = 1},
	"HTTP/1.1 415 Unsupported Media Type\r\n" DATE SERVER
	"Content-Length: 0\r\nAccept-Encoding: identity\r\n\r\n"},
    {{.status = 405, .fields = SLICE_INIT("Allow: GET, HEAD\r\n"), .minor = 1},
	"HTTP/1.1 405 Method Not Allowed\r\n" DATE SERVER
	"Content-Length: 0\r\nAllow: GET, HEAD\r\n\r\n"},
    {{.status = 503,
	 .fields = SLICE_INIT("Retry-After: 5\r\n"),
	 .close = true,
	 .minor = 1},
	"HTTP/1.1 503 Service Unavailable\r\n" DATE SERVER
	"Content-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"},

    /* a body that follows */
    {{.status = 200, .streamed = true, .minor = 1},
	"HTTP/1.1 200 OK\r\n" DATE SERVER "Transfer-Encoding: chunked\r\n\r\n"},
    {{.status = 200, .streamed = true, .close = true},
	"HTTP/1.1 200 OK\r\n" DATE SERVER "Connection: close\r\n\r\n"},

    /* who must be told that the connection stays or ends */
    {{.status = 200, .close = true, .minor = 1},
	"HTTP/1.1 200 OK\r\n" DATE SERVER
	"Content-Length: 0\r\nConnection: close\r\n\r\n"},
    {{.status = 200, .close = true, .minor = 0},
	"HTTP/1.1 200 OK\r\n" DATE SERVER
	"Content-Length: 0\r\nConnection: close\r\n\r\n"},
    {{.status = 200, .minor = 0},
	"HTTP/1.1 200 OK\r\n" DATE SERVER
	"Content-Length: 0\r\nConnection: keep-alive\r\n\r\n"},

    /* never a body */
    {{.status = 100, .minor = 1, .body = SLICE_INIT("{}")},
	"HTTP/1.1 100 Continue\r\n\r\n"},
    {{.status = 204,
	 .content_type = "application/json",
	 .minor = 1,
	 .body = SLICE_INIT("{}")},
	"HTTP/1.1 204 No Content\r\n" DATE SERVER "\r\n"},
    {{.status = 304, .close = true, .minor = 1, .body = SLICE_INIT("{}")},
	"HTTP/1.1 304 Not Modified\r\n" DATE SERVER
	"Connection: close\r\n\r\n"},
};

static void
check_bytes(const struct buf *out, const char *expected)
{
	ck_assert_msg(slice_eq(buf_slice(out), slice_from_string(expected)),
	    "got %.*s", (int)out->len, out->p);
}

START_TEST(test_write)
{
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(
	    http_response_write(&out, &responses[_i].res, wall_ms), 0);
	check_bytes(&out, responses[_i].out);
	buf_free(&out);
}
END_TEST

/* Each length is either enough or fails; nothing is half right. */
START_TEST(test_no_room)
{
	size_t len = strlen(responses[_i].out);

	for (size_t max = 0; max <= len; max++) {
		struct buf out;

		buf_init(&out, max);
		ck_assert_int_eq(
		    http_response_write(&out, &responses[_i].res, wall_ms),
		    max < len ? -1 : 0);
		ck_assert(out.failed == (max < len));
		buf_free(&out);
	}
}
END_TEST

START_TEST(test_appends)
{
	struct buf out;

	buf_init(&out, 4096);
	buf_append_string(&out, responses[0].out);
	http_response_write(&out, &responses[0].res, wall_ms);
	ck_assert_uint_eq(out.len, 2 * strlen(responses[0].out));
	buf_free(&out);
}
END_TEST

/* In this order, so that a stale line would show. */
static const struct {
	int64_t wall_ms;
	const char *date;
} dates[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
    {999, "Thu, 01 Jan 1970 00:00:00 GMT"},
    {1000, "Thu, 01 Jan 1970 00:00:01 GMT"},
    {999, "Thu, 01 Jan 1970 00:00:00 GMT"},
    {784111777999, "Sun, 06 Nov 1994 08:49:37 GMT"},
    {951782400000, "Tue, 29 Feb 2000 00:00:00 GMT"},
    {1709251199000, "Thu, 29 Feb 2024 23:59:59 GMT"},
    {1746057600000, "Thu, 01 May 2025 00:00:00 GMT"},
    {253402300799000, "Fri, 31 Dec 9999 23:59:59 GMT"},
};

static void
check_dates(void)
{
	const struct http_response res = {.status = 204, .minor = 1};
	struct buf out, expected;

	buf_init(&out, 4096);
	buf_init(&expected, 4096);
	for (int i = 0; i < COUNT(dates); i++) {
		/* One of 32 bits ends in 2038. */
		if ((time_t)(dates[i].wall_ms / 1000) !=
		    dates[i].wall_ms / 1000)
			continue;
		buf_reset(&out);
		buf_reset(&expected);
		http_response_write(&out, &res, dates[i].wall_ms);
		buf_printf(&expected,
		    "HTTP/1.1 204 No Content\r\nDate: %s\r\n" SERVER "\r\n",
		    dates[i].date);
		ck_assert(!expected.failed);
		ck_assert(slice_eq(buf_slice(&out), buf_slice(&expected)));
	}
	buf_free(&out);
	buf_free(&expected);
}

START_TEST(test_date)
{
	check_dates();
}
END_TEST

/* Where the machine has another language; elsewhere it repeats test_date. */
START_TEST(test_date_in_locale)
{
	static const char *const names[] = {
	    "de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8", "C.UTF-8"};
	const char *set = NULL;

	for (int i = 0; i < COUNT(names) && set == NULL; i++)
		set = setlocale(LC_ALL, names[i]);
	ck_assert_int_eq(setenv("TZ", "Asia/Tokyo", 1), 0);
	check_dates();
	(void)setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(test_reason)
{
	ck_assert_str_eq(http_reason(404), "Not Found");
	ck_assert_str_eq(http_reason(413), "Content Too Large");
	ck_assert_str_eq(http_reason(505), "HTTP Version Not Supported");
	ck_assert_str_eq(http_reason(299), "Unknown");
	ck_assert_str_eq(http_reason(-1), "Unknown");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http_response");
	TCase *tc = tcase_create("http_response");

	tcase_add_loop_test(tc, test_write, 0, COUNT(responses));
	tcase_add_loop_test(tc, test_no_room, 0, COUNT(responses));
	tcase_add_test(tc, test_appends);
	tcase_add_test(tc, test_date);
	tcase_add_test(tc, test_date_in_locale);
	tcase_add_test(tc, test_reason);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
