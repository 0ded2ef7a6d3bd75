/* SPDX-License-Identifier: ISC */
/*
 * The decoder of chunked bodies beside one that is as simple as can be. The
 * first byte of the input is the size of the pieces in which the rest, the
 * body, arrives.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_parser.h"
#include "target.h"

/* Small, so that inputs reach them. */
static const struct http_limits limits = {
    .max_line_bytes = 64,
    .max_header_bytes = 256,
    .max_headers = 4,
    .max_body_bytes = 512,
};

static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\n"
			   "Transfer-Encoding: chunked\r\n\r\n";
enum { HEAD_LEN = sizeof(head) - 1 };

/* The message in pieces, each time in a buffer of exactly the right size. */
static enum http_result
decode(struct http_parser *parser, struct http_request *req, char **buf,
    struct slice message, size_t piece)
{
	enum http_result result = HTTP_MORE;
	size_t len = 0;

	*buf = NULL;
	http_parser_init(parser, &limits);
	while (result == HTTP_MORE && len < message.len) {
		size_t n =
		    message.len - len < piece ? message.len - len : piece;
		char *moved = malloc(len + n);

		CHECK(moved != NULL);
		if (len > 0)
			memcpy(moved, *buf, len);
		memcpy(moved + len, message.p + len, n);
		free(*buf);
		*buf = moved;
		len += n;
		result = http_parse(parser, *buf, len, req);
	}
	return result;
}

/*
 * The same as a stream, of which as much as it is long modulo `keep` stays
 * behind at each step. What was dropped goes to out: its length, and how much
 * of the message it was.
 */
static enum http_result
decode_stream(struct slice message, size_t piece, size_t keep, char *out,
    size_t *n_out, size_t *consumed)
{
	struct http_parser parser;
	struct http_request req;
	enum http_result result = HTTP_MORE;
	char *buf = malloc(message.len);
	size_t at = 0, len = 0;

	CHECK(buf != NULL);
	http_parser_init(&parser, &limits);
	parser.ask_stream = true;
	*n_out = 0;
	while (result == HTTP_MORE && at < message.len) {
		size_t n = message.len - at < piece ? message.len - at : piece;

		memcpy(buf + len, message.p + at, n);
		len += n;
		at += n;
		result = http_parse(&parser, buf, len, &req);
		if (result == HTTP_HEAD) {
			parser.streamed = true;
			result = http_parse(&parser, buf, len, &req);
		}
		if (!parser.streamed || result == HTTP_BAD)
			continue;
		n = result == HTTP_DONE ? req.body.len
					: req.body.len - req.body.len % keep;
		memcpy(out + *n_out, req.body.p, n);
		*n_out += n;
		http_parser_drop(&parser, buf, &len, n);
	}
	*consumed = at - (len - parser.consumed);
	CHECK(result != HTTP_DONE ||
	      memcmp(buf + parser.consumed, message.p + *consumed,
		  at - *consumed) == 0);
	free(buf);
	return result;
}

static const char *
skip_word(const char *p)
{
	size_t len =
	    strspn(p, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	CHECK(len > 0);
	return p + len;
}

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static const char *
skip_value(const char *p)
{
	if (*p != '"')
		return skip_word(p);
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		CHECK(*p == '\t' || (unsigned char)*p >= ' ');
	}
	return p + 1;
}

/* Behind *( BWS ";" BWS name [ BWS "=" BWS value ] ). */
static const char *
skip_extensions(const char *p)
{
	while (*skip_blanks(p) == ';') {
		p = skip_word(skip_blanks(skip_blanks(p) + 1));
		if (*skip_blanks(p) == '=')
			p = skip_value(skip_blanks(skip_blanks(p) + 1));
	}
	return p;
}

/* Only for what the parser accepted: stops at anything else. */
static size_t
decode_simply(struct slice body, char *out)
{
	size_t n_out = 0;

	for (;;) {
		char *end;
		unsigned long n = strtoul(body.p, &end, 16);
		const char *line_end = skip_extensions(end);

		CHECK(end != body.p && memcmp(line_end, "\r\n", 2) == 0);
		if (n == 0)
			return n_out;
		line_end += 2;
		body.len -= (size_t)(line_end - body.p);
		body.p = line_end;
		CHECK(n + 2 <= body.len);
		memcpy(out + n_out, body.p, n);
		n_out += n;
		CHECK(memcmp(body.p + n, "\r\n", 2) == 0);
		body.p += n + 2;
		body.len -= n + 2;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_parser whole, pieces;
	struct http_request a, b;
	enum http_result result;
	char *message, *out, *whole_buf, *pieces_buf;
	struct slice text;
	size_t n, consumed;

	if (size < 1)
		return 0;
	/* With a NUL, for strtoul. */
	message = malloc(HEAD_LEN + size);
	out = malloc(size);
	CHECK(message != NULL && out != NULL);
	memcpy(message, head, HEAD_LEN);
	memcpy(message + HEAD_LEN, data + 1, size - 1);
	message[HEAD_LEN + size - 1] = '\0';
	text = slice_of(message, HEAD_LEN + size - 1);

	result = decode(&whole, &a, &whole_buf, text, text.len);
	CHECK(decode(&pieces, &b, &pieces_buf, text, (size_t)data[0] + 1) ==
	      result);
	CHECK(whole.status == pieces.status);
	if (result == HTTP_DONE) {
		struct slice body =
		    slice_of(text.p + HEAD_LEN, whole.consumed - HEAD_LEN);

		CHECK(whole.consumed == pieces.consumed);
		CHECK(slice_eq(a.body, b.body));
		CHECK(a.body.len <= limits.max_body_bytes);
		CHECK(decode_simply(body, out) == a.body.len);
		CHECK(
		    a.body.len == 0 || memcmp(out, a.body.p, a.body.len) == 0);
		CHECK(decode_stream(text, (size_t)data[0] % 16 + 1,
			  (size_t)data[0] / 16 + 1, out, &n,
			  &consumed) == HTTP_DONE);
		CHECK(consumed == whole.consumed && n == a.body.len);
		CHECK(n == 0 || memcmp(out, a.body.p, n) == 0);
	}
	free(whole_buf);
	free(pieces_buf);
	free(out);
	free(message);
	return 0;
}
