/* SPDX-License-Identifier: ISC */
/*
 * A message must be read the same whole, in two pieces and byte by byte. The
 * first two bytes of the input say where it is cut, the rest is the message.
 */
#include "http/http_parser.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

/* Small, so that inputs reach them. */
static const struct http_limits limits = {
    .max_line_bytes = 128,
    .max_header_bytes = 256,
    .max_headers = 8,
    .max_body_bytes = 512,
};

struct run {
	char *buf;
	struct http_parser parser;
	struct http_request req;
	enum http_result result;
};

static char *
copy(const char *p, size_t len)
{
	char *bytes = malloc(len + (len == 0));

	CHECK(bytes != NULL);
	if (len > 0)
		memcpy(bytes, p, len);
	return bytes;
}

static void
begin(struct run *run)
{
	*run = (struct run){.buf = copy(NULL, 0), .result = HTTP_MORE};
	http_parser_init(&run->parser, &limits);
}

/* Goes on with a buffer of exactly len bytes, at another address. */
static void
feed(struct run *run, struct slice message, size_t from, size_t len)
{
	char *moved;

	if (run->result != HTTP_MORE)
		return;
	moved = copy(message.p, len);
	if (from > 0)
		memcpy(moved, run->buf, from);
	free(run->buf);
	run->buf = moved;
	run->result = http_parse(&run->parser, run->buf, len, &run->req);
}

static void
compare(const struct run *a, const struct run *b, struct slice message)
{
	const struct http_request *x = &a->req, *y = &b->req;

	CHECK(a->result == b->result);
	CHECK(a->parser.status == b->parser.status);
	CHECK((a->parser.status != 0) == (a->result == HTTP_BAD));
	CHECK(a->parser.head_done == b->parser.head_done);
	if (!a->parser.head_done)
		return;
	CHECK(slice_eq(x->method, y->method));
	CHECK(slice_eq(x->target, y->target));
	CHECK(slice_eq(x->path, y->path));
	CHECK(slice_eq(x->query, y->query));
	CHECK(slice_eq(x->body, y->body));
	CHECK(slice_eq(x->host, y->host));
	CHECK(slice_eq(x->content_type, y->content_type));
	CHECK(slice_eq(x->origin, y->origin));
	CHECK(slice_eq(x->fetch_site, y->fetch_site));
	CHECK(x->minor == y->minor && x->keep_alive == y->keep_alive &&
	      x->expect_continue == y->expect_continue &&
	      x->has_body == y->has_body && x->encoded == y->encoded && x->n_headers == y->n_headers);
	for (size_t i = 0; i < x->n_headers; i++) {
		CHECK(slice_eq(x->headers[i].name, y->headers[i].name));
		CHECK(slice_eq(x->headers[i].value, y->headers[i].value));
	}
	/* The head is as it came. */
	CHECK(memcmp(a->buf, message.p, (size_t)(x->body.p - a->buf)) == 0);
	if (a->result != HTTP_DONE)
		return;
	CHECK(a->parser.consumed == b->parser.consumed);
	CHECK(a->parser.consumed <= message.len);
	CHECK(x->body.len <= limits.max_body_bytes);
}

/* The length of the request at the front, or 0. */
static size_t
read_one(struct slice message, size_t cut)
{
	struct run whole, pieces, bytes;
	size_t consumed = 0;

	begin(&whole);
	feed(&whole, message, 0, message.len);
	begin(&pieces);
	feed(&pieces, message, 0, cut);
	feed(&pieces, message, cut, message.len);
	begin(&bytes);
	for (size_t len = 1; len <= message.len; len++)
		feed(&bytes, message, len - 1, len);

	compare(&whole, &pieces, message);
	compare(&whole, &bytes, message);
	if (whole.result == HTTP_DONE) {
		consumed = whole.parser.consumed;
		CHECK(memcmp(whole.buf + consumed, message.p + consumed,
			  message.len - consumed) == 0);
	}
	free(whole.buf);
	free(pieces.buf);
	free(bytes.buf);
	return consumed;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message;
	size_t cut, n;

	if (size < 2)
		return 0;
	cut = (size_t)data[0] << 8 | data[1];
	message = slice_of((const char *)data + 2, size - 2);
	do {
		n = read_one(message, cut % (message.len + 1));
		message = slice_of(message.p + n, message.len - n);
	} while (n > 0 && message.len > 0);
	return 0;
}
