/* SPDX-License-Identifier: ISC */
#include "bench/add_request.h"

#include <stdio.h>
#include <string.h>

enum {
	EXTRA_BYTES = 64 * 1024, /* all but the payload */
	SECONDS_DIGITS = 10,     /* from 2001 to 2286 */
	MS_DIGITS = 3,
};

/* Offsets are from the start of the body. */
static void
write_body(struct add_request *request, struct buf *body, const char *tag,
    const char *destination, size_t payload_bytes)
{
	buf_printf(
	    body, "{\"application-id\":\"bench\",\"event-id\":\"%s", tag);
	request->number_at = body->len;
	buf_printf(body, "%0*d\",\"expiry\":", LEDGER_DIGITS, 0);
	request->expiry_at = body->len;
	buf_printf(body, "%0*d.%0*d,\"url\":\"%s\",\"event\":\"",
	    SECONDS_DIGITS, 0, MS_DIGITS, 0, destination);
	for (size_t i = 0; i < payload_bytes; i++)
		buf_append_char(body, (char)('a' + i % 26));
	buf_append_string(body, "\"}");
}

int
add_request_init(struct add_request *request, const char *host, const char *tag,
    const char *destination, size_t payload_bytes)
{
	struct buf body;
	size_t head_len;

	(void)snprintf(request->host, sizeof(request->host), "%s", host);
	buf_init(&body, payload_bytes + EXTRA_BYTES);
	buf_init(&request->text, payload_bytes + 2 * (size_t)EXTRA_BYTES);
	write_body(request, &body, tag, destination, payload_bytes);
	buf_printf(&request->text,
	    "POST /cassata/add/ HTTP/1.1\r\nHost: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	    host, body.len);
	head_len = request->head_len = request->text.len;
	buf_append_slice(&request->text, buf_slice(&body));
	request->number_at += head_len;
	request->expiry_at += head_len;
	if (body.failed)
		request->text.failed = true;
	buf_free(&body);
	return request->text.failed ? -1 : 0;
}

void
add_request_fini(struct add_request *request)
{
	buf_free(&request->text);
}

static void
put_digits(char *to, unsigned digits, uint64_t value)
{
	while (digits-- > 0) {
		to[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

static void
put_event(struct add_request *request, uint64_t number, int64_t due_ms)
{
	char *text = request->text.p;

	put_digits(text + request->number_at, LEDGER_DIGITS, number);
	put_digits(
	    text + request->expiry_at, SECONDS_DIGITS, (uint64_t)due_ms / 1000);
	put_digits(text + request->expiry_at + SECONDS_DIGITS + 1, MS_DIGITS,
	    (uint64_t)due_ms % 1000);
}

int
add_request_append(struct add_request *request, struct buf *out,
    uint64_t number, int64_t due_ms)
{
	put_event(request, number, due_ms);
	return buf_append_slice(out, buf_slice(&request->text));
}

static struct slice
body_of(const struct add_request *request)
{
	return slice_of(request->text.p + request->head_len,
	    request->text.len - request->head_len);
}

int
add_request_append_batch(
    const struct add_request *request, struct buf *out, size_t n)
{
	return buf_printf(out,
	    "POST /cassata/add-batch/ HTTP/1.1\r\nHost: %s\r\n"
	    "Content-Type: application/x-ndjson\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    request->host, n * (body_of(request).len + 1));
}

int
add_request_append_line(struct add_request *request, struct buf *out,
    uint64_t number, int64_t due_ms)
{
	put_event(request, number, due_ms);
	buf_append_slice(out, body_of(request));
	return buf_append_char(out, '\n');
}
