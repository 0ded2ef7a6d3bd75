/* SPDX-License-Identifier: ISC */
#include "http/http_response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

/* strftime(3) would take the names from the locale. */
static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/*
 * The whole Date line, made once per second. A value, not state: the same
 * second always gives the same text.
 */
static const char *
date_line(int64_t wall_ms)
{
	static _Thread_local char line[112] = ""; /* six ints always fit */
	static _Thread_local time_t made_for;
	time_t second = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (line[0] != '\0' && second == made_for)
		return line;
	if (gmtime_r(&second, &tm) == NULL)
		return ""; /* no clock, no Date (RFC 9110, 6.6.1) */
	(void)snprintf(line, sizeof(line),
	    "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
	    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
	made_for = second;
	return line;
}

int
http_field_append(struct buf *out, const char *name, struct slice value)
{
	/* Or it would be more than one, whoever wrote it. */
	check(value.len == 0 || (memchr(value.p, '\n', value.len) == NULL &&
				    memchr(value.p, '\r', value.len) == NULL));
	buf_append_string(out, name);
	buf_append(out, ": ", 2);
	buf_append_slice(out, value);
	return buf_append(out, "\r\n", 2);
}

bool
http_response_is_chunked(const struct http_response *res)
{
	return res->streamed && res->minor > 0;
}

int
http_chunk_append(struct buf *out, struct slice bytes)
{
	buf_printf(out, "%zx\r\n", bytes.len);
	buf_append_slice(out, bytes);
	return buf_append(out, "\r\n", 2);
}

static void
append_length(struct buf *out, const struct http_response *res)
{
	if (http_response_is_chunked(res))
		http_field_append(
		    out, "Transfer-Encoding", SLICE_LITERAL("chunked"));
	else if (!res->streamed)
		buf_printf(out, "Content-Length: %zu\r\n", res->body.len);
}

int
http_response_write(
    struct buf *out, const struct http_response *res, int64_t wall_ms)
{
	bool empty = res->status == 204 || res->status == 304;

	buf_printf(
	    out, "HTTP/1.1 %d %s\r\n", res->status, http_reason(res->status));
	if (res->status < 200) /* another response will follow */
		return buf_append(out, "\r\n", 2);

	buf_append_string(out, date_line(wall_ms));
	/* Answers are of the moment, and JSON is nothing to be run or shown. */
	buf_append_string(out, "Server: cassata\r\nCache-Control: no-store\r\n"
			       "X-Content-Type-Options: nosniff\r\n");
	if (!empty) {
		if (res->content_type != NULL)
			http_field_append(out, "Content-Type",
			    slice_from_string(res->content_type));
		append_length(out, res);
	}
	buf_append_slice(out, res->fields);
	if (res->close)
		http_field_append(out, "Connection", SLICE_LITERAL("close"));
	else if (res->minor == 0)
		http_field_append(
		    out, "Connection", SLICE_LITERAL("keep-alive"));
	buf_append(out, "\r\n", 2);
	if (!empty && !res->head && !res->streamed)
		buf_append_slice(out, res->body);
	return out->failed ? -1 : 0;
}

const char *
http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
	    {100, "Continue"},
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {304, "Not Modified"},
	    {400, "Bad Request"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {410, "Gone"},
	    {405, "Method Not Allowed"},
	    {406, "Not Acceptable"},
	    {408, "Request Timeout"},
	    {409, "Conflict"},
	    {412, "Precondition Failed"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {421, "Misdirected Request"},
	    {422, "Unprocessable Content"},
	    {424, "Failed Dependency"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {503, "Service Unavailable"},
	    {505, "HTTP Version Not Supported"},
	    {507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}
