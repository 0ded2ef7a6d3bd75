/* SPDX-License-Identifier: ISC */
/*
 * Each state has one step, which looks at the bytes from parser->at on, each
 * byte once, and is called again when more of them are there. The verdict on a
 * message depends on its bytes only, never on how they were cut.
 */
#include "http/http_parser.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/ascii.h"
#include "base/check.h"
#include "http/chunk_extension.h"
#include "http/http_bytes.h"
#include "http/http_host.h"

enum {
	METHOD_MAX = 32,
	LEADING_MAX = 8, /* bytes of empty lines before the request line */
};

/* In the order of a message: over_limit relies on it. */
enum state {
	START,
	START_LF,
	METHOD,
	TARGET,
	VERSION,
	LINE_LF,
	NAME,
	VALUE_START,
	VALUE,
	VALUE_LF,
	HEAD_LF,
	HEAD_DONE,
	CHUNK_SIZE,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	BODY,
	STREAMED_BODY,
	COMPLETE,
};

static bool
is_text(struct slice s, const char *text)
{
	return slice_ieq(s, slice_from_string(text));
}

static int
fail(struct http_parser *p, int status, const char *reason)
{
	p->status = status;
	p->reason = reason;
	return -1;
}

static int
expect(struct http_parser *p, const char *buf, char c)
{
	if (buf[p->at] != c)
		return fail(p, 400, "a line must end with CR LF");
	p->at++;
	return 0;
}

/* The method ends one byte before the target. */
static struct slice
method_of(const struct http_parser *p, const char *buf)
{
	return slice_of(buf + p->target - 1 - p->method_len, p->method_len);
}

static int
split_target(struct http_parser *p, const char *buf)
{
	struct slice target = slice_of(buf + p->target, p->target_len);
	const char *query;
	size_t skipped = 0, host;

	if (slice_eq(method_of(p, buf), SLICE_LITERAL("CONNECT")))
		return http_host_is_authority(target)
			   ? fail(p, 501, "CONNECT is for proxies")
			   : fail(p, 400, "the target is not a host and port");
	if (slice_eq(target, SLICE_LITERAL("*"))) {
		if (!slice_eq(method_of(p, buf), SLICE_LITERAL("OPTIONS")))
			return fail(p, 400, "the target * is for OPTIONS");
	} else if (target.p[0] != '/') {
		skipped = http_origin_len(target, &host);
		if (skipped == 0)
			return fail(p, 400, "the target is not a path or URL");
		p->url_host = p->target + host;
		p->url_host_len = skipped - host;
	}
	p->path = p->target + skipped;
	p->path_len = target.len - skipped;
	query = memchr(buf + p->path, '?', p->path_len);
	if (query != NULL)
		p->path_len = (size_t)(query - (buf + p->path));
	return 0;
}

/* Takes the next element of a comma-separated list off its front. */
static bool
next_element(struct slice *list, struct slice *element)
{
	const char *comma;

	if (list->p == NULL)
		return false;
	comma = memchr(list->p, ',', list->len);
	if (comma == NULL) {
		*element = slice_trim(*list);
		list->p = NULL;
	} else {
		size_t len = (size_t)(comma - list->p);

		*element = slice_trim(slice_of(list->p, len));
		*list = slice_of(comma + 1, list->len - len - 1);
	}
	return true;
}

/* Notes the last header, of which there may be one. */
static int
note_only(struct http_parser *p, unsigned char *number, const char *repeated)
{
	static_assert(HTTP_HEADERS_MAX <= UCHAR_MAX, "they are counted so");
	if (*number != 0)
		return fail(p, 400, repeated);
	*number = (unsigned char)p->n_headers;
	return 0;
}

static int
read_host(struct http_parser *p, struct slice value)
{
	if (!http_host_is_valid(value))
		return fail(p, 400, "Host is not valid");
	return note_only(p, &p->host, "more than one Host");
}

static int
read_content_type(struct http_parser *p, struct slice value)
{
	(void)value;
	return note_only(p, &p->content_type, "more than one Content-Type");
}

static int
read_origin(struct http_parser *p, struct slice value)
{
	(void)value;
	return note_only(p, &p->origin, "more than one Origin");
}

static int
read_fetch_site(struct http_parser *p, struct slice value)
{
	(void)value;
	return note_only(p, &p->fetch_site, "more than one Sec-Fetch-Site");
}

static int
read_content_length(struct http_parser *p, struct slice value)
{
	uint64_t len;

	if (p->has_length)
		return fail(p, 400, "more than one Content-Length");
	if (p->chunked || p->other_coding)
		return fail(
		    p, 400, "both Content-Length and Transfer-Encoding");
	if (value.len == 0)
		return fail(p, 400, "Content-Length is not a number");
	for (size_t i = 0; i < value.len; i++) {
		if (!is_digit(value.p[i]))
			return fail(p, 400, "Content-Length is not a number");
	}
	/* Nothing but digits: it can only be too large. */
	if (slice_to_u64(value, SIZE_MAX, &len) == -1)
		len = SIZE_MAX;
	p->has_length = true;
	p->body_len = (size_t)len;
	return 0;
}

static int
read_transfer_encoding(struct http_parser *p, struct slice value)
{
	struct slice coding;

	if (p->minor == 0)
		return fail(p, 400, "Transfer-Encoding in HTTP/1.0");
	if (p->has_length)
		return fail(
		    p, 400, "both Content-Length and Transfer-Encoding");
	while (next_element(&value, &coding)) {
		if (coding.len == 0)
			return fail(p, 400, "an empty transfer coding");
		if (p->chunked)
			return fail(p, 400, "chunked is not the last coding");
		if (is_text(coding, "chunked"))
			p->chunked = true;
		else
			p->other_coding = true;
	}
	return 0;
}

static int
read_content_encoding(struct http_parser *p, struct slice value)
{
	struct slice coding;

	while (next_element(&value, &coding))
		if (coding.len > 0 && !is_text(coding, "identity"))
			p->encoded = true;
	return 0;
}

static int
read_expect(struct http_parser *p, struct slice value)
{
	if (!is_text(value, "100-continue"))
		return fail(p, 417, "unknown expectation");
	p->expect_continue = true;
	return 0;
}

static int
read_connection(struct http_parser *p, struct slice value)
{
	struct slice option;

	while (next_element(&value, &option)) {
		if (is_text(option, "close"))
			p->close = true;
		else if (is_text(option, "keep-alive"))
			p->keep_alive = true;
	}
	return 0;
}

/* The headers that say how to read the message and whom it is from: each comes
 * once, and none may be a trailer. */
static const struct known_header {
	struct slice name;
	int (*read)(struct http_parser *, struct slice);
} known_headers[] = {
    {SLICE_INIT("Host"), read_host},
    {SLICE_INIT("Content-Length"), read_content_length},
    {SLICE_INIT("Transfer-Encoding"), read_transfer_encoding},
    {SLICE_INIT("Content-Encoding"), read_content_encoding},
    {SLICE_INIT("Expect"), read_expect},
    {SLICE_INIT("Connection"), read_connection},
    {SLICE_INIT("Content-Type"), read_content_type},
    {SLICE_INIT("Origin"), read_origin},
    {SLICE_INIT("Sec-Fetch-Site"), read_fetch_site},
    {{NULL, 0}, NULL},
};

static const struct known_header *
find_known(struct slice name)
{
	const struct known_header *known;

	for (known = known_headers; known->read != NULL; known++) {
		/* The length first, which spares most of the calls. */
		if (name.len == known->name.len && slice_ieq(name, known->name))
			return known;
	}
	return NULL;
}

static int
on_start(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	if (buf[p->at] == '\r' && p->at < LEADING_MAX) {
		p->at++;
		p->state = START_LF;
		return 0;
	}
	p->mark = p->part = p->at;
	p->part_max = p->limits->max_line_bytes;
	p->state = METHOD;
	return 0;
}

static int
on_start_lf(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	p->state = START;
	return expect(p, buf, '\n');
}

static int
on_method(struct http_parser *p, char *buf, size_t end)
{
	p->at = http_bytes_skip(buf, p->at, end, IN_TOKEN);
	if (p->at - p->mark > METHOD_MAX)
		return fail(p, 501, "unknown method");
	if (p->at == end)
		return 0;
	if (buf[p->at] != ' ' || p->at == p->mark)
		return fail(p, 400, "malformed method");
	p->method_len = p->at - p->mark;
	p->mark = p->target = ++p->at;
	p->state = TARGET;
	return 0;
}

static int
on_target(struct http_parser *p, char *buf, size_t end)
{
	p->at = http_bytes_skip(buf, p->at, end, IN_TARGET);
	if (p->at == end)
		return 0;
	if (buf[p->at] != ' ' || p->at == p->mark)
		return fail(p, 400, "malformed request target");
	p->target_len = p->at - p->mark;
	p->mark = ++p->at;
	p->state = VERSION;
	return 0;
}

static int
on_version(struct http_parser *p, char *buf, size_t end)
{
	static const char version[] = "HTTP/1.";
	enum { MAJOR = 5, MINOR = 7 };

	for (; p->at < end; p->at++) {
		size_t i = p->at - p->mark;
		char c = buf[p->at];

		if (i == MINOR && is_digit(c)) {
			p->minor = c != '0';
		} else if (i == MAJOR && is_digit(c)) {
			p->other_major = c != '1';
		} else if (i == MINOR + 1 && c == '\r' && p->other_major) {
			return fail(p, 505, "only HTTP/1.0 and HTTP/1.1");
		} else if (i == MINOR + 1) {
			p->state = LINE_LF;
			return expect(p, buf, '\r');
		} else if (i >= MINOR || c != version[i]) {
			return fail(p, 400, "malformed HTTP version");
		}
	}
	return 0;
}

static int
on_line_lf(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	if (expect(p, buf, '\n') == -1)
		return -1;
	p->mark = p->part = p->at;
	p->part_max = p->limits->max_header_bytes;
	p->state = NAME;
	return split_target(p, buf);
}

static int
begin_header(struct http_parser *p, struct slice name)
{
	if (p->head_done) {
		if (find_known(name) != NULL)
			return fail(p, 400, "a header that is no trailer");
		return 0;
	}
	if (p->n_headers == HTTP_HEADERS_MAX ||
	    p->n_headers == p->limits->max_headers)
		return fail(p, 431, "too many headers");
	p->headers[p->n_headers].name = p->mark;
	p->headers[p->n_headers].name_len = name.len;
	return 0;
}

static int
on_name(struct http_parser *p, char *buf, size_t end)
{
	struct slice name;

	if (p->at == p->mark && buf[p->at] == '\r') {
		p->at++;
		p->state = HEAD_LF;
		return 0;
	}
	p->at = http_bytes_skip(buf, p->at, end, IN_TOKEN);
	if (p->at == end)
		return 0;
	if (buf[p->at] != ':' || p->at == p->mark)
		return fail(p, 400, "malformed header name");
	name = slice_of(buf + p->mark, p->at - p->mark);
	p->at++;
	p->state = VALUE_START;
	return begin_header(p, name);
}

static int
on_value_start(struct http_parser *p, char *buf, size_t end)
{
	while (p->at < end && is_blank(buf[p->at]))
		p->at++;
	p->mark = p->at;
	if (p->at < end)
		p->state = VALUE;
	return 0;
}

static int
end_header(struct http_parser *p, const char *buf, struct slice value)
{
	const struct known_header *known;
	size_t i = p->n_headers;

	if (p->head_done)
		return 0;
	p->headers[i].value = p->mark;
	p->headers[i].value_len = value.len;
	p->n_headers++;
	known = find_known(
	    slice_of(buf + p->headers[i].name, p->headers[i].name_len));
	return known == NULL ? 0 : known->read(p, value);
}

static int
on_value(struct http_parser *p, char *buf, size_t end)
{
	struct slice value;

	p->at = http_bytes_skip(buf, p->at, end, IN_VALUE);
	if (p->at == end)
		return 0;
	if (buf[p->at] != '\r')
		return fail(p, 400, "malformed header value");
	value = slice_trim(slice_of(buf + p->mark, p->at - p->mark));
	p->at++;
	p->state = VALUE_LF;
	return end_header(p, buf, value);
}

static int
on_value_lf(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	p->mark = p->at + 1;
	p->state = NAME;
	return expect(p, buf, '\n');
}

static int
on_head_lf(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	if (expect(p, buf, '\n') == -1)
		return -1;
	if (p->head_done) { /* these were the trailers */
		p->state = COMPLETE;
		return 0;
	}
	if (p->minor == 1 && p->host == 0)
		return fail(p, 400, "Host is missing");
	/* Where the body would end nobody knows (RFC 9112, 6.3). */
	if (p->other_coding && !p->chunked)
		return fail(p, 400, "the last transfer coding is not chunked");
	if (p->other_coding)
		return fail(p, 501, "unknown transfer coding");
	p->head_done = true;
	p->head_len = p->mark = p->part = p->at;
	p->state = HEAD_DONE;
	return 0;
}

static bool
has_body(const struct http_parser *p)
{
	return p->chunked || p->body_len > 0;
}

/* The way of the body is known now; no byte of it is looked at. */
static void
begin_body(struct http_parser *p)
{
	if (!p->streamed && p->body_len > p->limits->max_body_bytes) {
		p->head_done = false;
		fail(p, 413, "the body is too large");
	} else if (p->chunked) {
		p->state = CHUNK_SIZE;
	} else if (p->streamed) {
		p->chunk_left = p->body_len;
		p->body_len = 0;
		p->state = STREAMED_BODY;
	} else {
		p->state = p->body_len > 0 ? BODY : COMPLETE;
	}
}

static int
on_streamed_body(struct http_parser *p, char *buf, size_t end)
{
	size_t n = end - p->at;

	(void)buf;
	if (n > p->chunk_left)
		n = p->chunk_left;
	p->at += n;
	p->body_len += n;
	p->chunk_left -= n;
	if (p->chunk_left == 0)
		p->state = COMPLETE;
	return 0;
}

static int
on_body(struct http_parser *p, char *buf, size_t end)
{
	(void)buf;
	if (end - p->head_len < p->body_len) {
		p->at = end;
	} else {
		p->at = p->head_len + p->body_len;
		p->state = COMPLETE;
	}
	return 0;
}

static int
on_chunk_size(struct http_parser *p, char *buf, size_t end)
{
	size_t room =
	    p->streamed ? SIZE_MAX : p->limits->max_body_bytes - p->body_len;

	for (; p->at < end; p->at++) {
		int digit = hex_value(buf[p->at]);

		if (digit == -1)
			break;
		if (p->chunk_left > SIZE_MAX >> 4)
			return fail(p, 413, "the body is too large");
		p->chunk_left = p->chunk_left << 4 | (size_t)digit;
		if (p->chunk_left > room)
			return fail(p, 413, "the body is too large");
	}
	if (p->at == end)
		return 0;
	if (p->at == p->mark)
		return fail(p, 400, "malformed chunk size");
	if (buf[p->at] == ';' || is_blank(buf[p->at])) {
		p->extension = CHUNK_EXTENSION_BEGIN;
		p->state = CHUNK_EXTENSION;
		return 0;
	}
	p->state = CHUNK_SIZE_LF;
	return expect(p, buf, '\r');
}

static int
on_chunk_extension(struct http_parser *p, char *buf, size_t end)
{
	for (; p->at < end; p->at++) {
		char c = buf[p->at];

		if (!http_byte_is(c, IN_VALUE)) {
			if (!chunk_extension_may_end(p->extension))
				break;
			p->state = CHUNK_SIZE_LF;
			return expect(p, buf, '\r');
		}
		p->extension = chunk_extension_next(p->extension, c);
		if (p->extension == CHUNK_EXTENSION_BAD)
			break;
	}
	return p->at == end ? 0 : fail(p, 400, "malformed chunk extension");
}

static int
on_chunk_size_lf(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	p->mark = p->at + 1;
	p->state = p->chunk_left == 0 ? NAME : CHUNK_DATA;
	return expect(p, buf, '\n');
}

static int
on_chunk_data(struct http_parser *p, char *buf, size_t end)
{
	size_t n = end - p->at;

	if (n > p->chunk_left)
		n = p->chunk_left;
	check(p->head_len + p->body_len <= p->at);
	memmove(buf + p->head_len + p->body_len, buf + p->at, n);
	p->at += n;
	/* Data is no overhead, and what was before that of a stream is over. */
	p->part = p->streamed ? p->at : p->part + n;
	p->body_len += n;
	p->chunk_left -= n;
	if (p->chunk_left == 0)
		p->state = CHUNK_DATA_CR;
	return 0;
}

static int
on_chunk_data_cr(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	p->state = CHUNK_DATA_LF;
	return expect(p, buf, '\r');
}

static int
on_chunk_data_lf(struct http_parser *p, char *buf, size_t end)
{
	(void)end;
	p->mark = p->at + 1;
	p->state = CHUNK_SIZE;
	return expect(p, buf, '\n');
}

/*
 * A step takes what it can of the bytes before end, at least one, or changes
 * the state. 0, or -1 after fail.
 */
static int (*const steps[])(struct http_parser *, char *, size_t) = {
    [START] = on_start,
    [START_LF] = on_start_lf,
    [METHOD] = on_method,
    [TARGET] = on_target,
    [VERSION] = on_version,
    [LINE_LF] = on_line_lf,
    [NAME] = on_name,
    [VALUE_START] = on_value_start,
    [VALUE] = on_value,
    [VALUE_LF] = on_value_lf,
    [HEAD_LF] = on_head_lf,
    [CHUNK_SIZE] = on_chunk_size,
    [CHUNK_EXTENSION] = on_chunk_extension,
    [CHUNK_SIZE_LF] = on_chunk_size_lf,
    [CHUNK_DATA] = on_chunk_data,
    [CHUNK_DATA_CR] = on_chunk_data_cr,
    [CHUNK_DATA_LF] = on_chunk_data_lf,
    [BODY] = on_body,
    [STREAMED_BODY] = on_streamed_body,
};

static int
over_limit(struct http_parser *p)
{
	if (p->state < NAME)
		return fail(p, 414, "the request line is too long");
	if (p->state < CHUNK_SIZE)
		return fail(p, 431, "the headers are too large");
	return fail(p, 400, "the chunks are too small for their framing");
}

/* Where reading stops: len, or the end of what the limit allows. */
static size_t
bound(const struct http_parser *p, size_t len)
{
	if (p->state == BODY || p->state == STREAMED_BODY ||
	    p->state == CHUNK_DATA || len - p->part <= p->part_max)
		return len;
	return p->part + p->part_max;
}

static enum http_result
advance(struct http_parser *p, char *buf, size_t len)
{
	while (p->status == 0 && p->state != COMPLETE) {
		size_t end = bound(p, len);

		if (p->state == HEAD_DONE && p->ask_stream && has_body(p)) {
			p->ask_stream = false;
			return HTTP_HEAD;
		}
		if (p->state == HEAD_DONE)
			begin_body(p);
		else if (p->at < end)
			steps[p->state](p, buf, end);
		else if (end < len)
			over_limit(p);
		else
			return HTTP_MORE;
	}
	if (p->status != 0)
		return HTTP_BAD;
	p->consumed = p->at;
	return HTTP_DONE;
}

static struct slice
value_of(const struct http_request *req, unsigned number)
{
	return number == 0 ? slice_of(NULL, 0) : req->headers[number - 1].value;
}

static void
fill_request(
    const struct http_parser *p, const char *buf, struct http_request *req)
{
	size_t target_end = p->target + p->target_len;
	size_t query = p->path + p->path_len;

	req->method = method_of(p, buf);
	req->target = slice_of(buf + p->target, p->target_len);
	req->path = slice_of(buf + p->path, p->path_len);
	if (p->path_len == 0) /* http://host */
		req->path = SLICE_LITERAL("/");
	if (query < target_end)
		query++; /* behind the '?' */
	req->query = slice_of(buf + query, target_end - query);
	req->minor = p->minor;
	req->keep_alive = !p->close && (p->minor == 1 || p->keep_alive);
	req->expect_continue = p->expect_continue && p->minor == 1;
	req->encoded = p->encoded;
	req->has_body = p->streamed || has_body(p);
	req->n_headers = p->n_headers;
	for (size_t i = 0; i < p->n_headers; i++) {
		req->headers[i].name =
		    slice_of(buf + p->headers[i].name, p->headers[i].name_len);
		req->headers[i].value = slice_of(
		    buf + p->headers[i].value, p->headers[i].value_len);
	}
	req->host = p->url_host_len > 0
			? slice_of(buf + p->url_host, p->url_host_len)
			: value_of(req, p->host);
	req->content_type = value_of(req, p->content_type);
	req->origin = value_of(req, p->origin);
	req->fetch_site = value_of(req, p->fetch_site);
	req->body = slice_of(buf + p->head_len, 0);
	if (p->state == COMPLETE || (p->streamed && p->state != HEAD_DONE))
		req->body.len = p->body_len;
}

void
http_parser_init(struct http_parser *parser, const struct http_limits *limits)
{
	memset(parser, 0, offsetof(struct http_parser, headers));
	parser->limits = limits;
	parser->state = START;
	parser->part_max = SIZE_MAX; /* leading lines are counted otherwise */
}

enum http_result
http_parse(
    struct http_parser *parser, char *buf, size_t len, struct http_request *req)
{
	enum http_result result = advance(parser, buf, len);

	if (parser->head_done)
		fill_request(parser, buf, req);
	return result;
}

void
http_parser_drop(struct http_parser *parser, char *buf, size_t *len, size_t n)
{
	struct http_parser *p = parser;
	bool trailer = p->state < HEAD_DONE;
	/* Behind the data: framing, of which only a trailer's is looked at
	 * again. */
	size_t keep = trailer ? p->mark : p->at, at = p->head_len + p->body_len;
	size_t gone = keep - at;

	check(p->streamed && n <= p->body_len && at <= keep && keep <= *len);
	p->body_len -= n;
	memmove(buf + p->head_len, buf + p->head_len + n, p->body_len);
	gone += n;
	memmove(buf + keep - gone, buf + keep, *len - keep);
	*len -= gone;
	/* The latter two may wrap: only distances from them are used. */
	p->at -= gone;
	p->mark -= gone;
	p->part -= gone;
	if (p->state == COMPLETE)
		p->consumed = p->at;
}

const struct http_header *
http_request_header(const struct http_request *req, const char *name)
{
	struct slice wanted = slice_from_string(name);

	for (size_t i = 0; i < req->n_headers; i++) {
		if (slice_ieq(req->headers[i].name, wanted))
			return &req->headers[i];
	}
	return NULL;
}
