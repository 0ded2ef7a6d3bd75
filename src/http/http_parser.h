/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_PARSER_H
#define CASSATA_HTTP_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * HTTP/1.0 and HTTP/1.1 requests (RFC 9112), incremental and zero-copy: a pure
 * function over the bytes so far. Strict where two readers of one request could
 * disagree: see doc/api.md, "HTTP".
 */
enum { HTTP_HEADERS_MAX = 128 };

struct http_limits {
	size_t max_line_bytes;   /* request line and its CRLF -> 414 */
	size_t max_header_bytes; /* header lines to the empty one -> 431; and
				    all of a chunked body but its data */
	size_t max_headers;      /* at most HTTP_HEADERS_MAX -> 431 */
	size_t max_body_bytes;   /* decoded body, unless streamed -> 413 */
};

struct http_header {
	struct slice name;  /* as sent */
	struct slice value; /* without surrounding white space */
};

struct http_request {
	struct slice method;
	struct slice target; /* as sent */
	struct slice path;   /* of the target, up to '?', not decoded */
	struct slice query;  /* after '?', or empty */
	unsigned minor;      /* HTTP/1.minor: 0 or 1 */
	bool keep_alive;
	bool expect_continue; /* Expect: 100-continue from an HTTP/1.1 client */
	bool has_body;        /* announced: Content-Length > 0 or chunked */
	bool encoded; /* Content-Encoding says so: other than identity */
	/* Values; p is NULL where there is none. A URL as the target has its
	 * own host. */
	struct slice host, content_type, origin, fetch_site;
	size_t n_headers;
	struct http_header headers[HTTP_HEADERS_MAX];
	struct slice body; /* decoded; only when the result is HTTP_DONE */
};

enum http_result {
	HTTP_MORE, /* read on */
	HTTP_HEAD, /* a body follows: once, with ask_stream; then as ever */
	HTTP_DONE, /* a whole request: parser->consumed bytes of buf */
	HTTP_BAD,  /* answer parser->status, then close */
};

struct http_parser {
	const struct http_limits *limits; /* borrowed */
	bool ask_stream; /* set after init: HTTP_HEAD tells of bodies */
	bool streamed;   /* set at HTTP_HEAD: the body may be of any length, */
			 /* and http_parser_drop is to be called for it */
	bool head_done;  /* *req is valid but for its body */
	size_t consumed; /* after HTTP_DONE: bytes of the request in buf */
	int status;      /* of HTTP_BAD: 400 413 414 417 431 501 505; or 0 */
	const char *reason; /* after HTTP_BAD: static text for the client */

	/* Private: where to go on. Offsets, since buf may move. */
	unsigned state;
	size_t at;       /* next byte to look at */
	size_t mark;     /* start of the element being read */
	size_t part;     /* start of the part that is bounded by part_max */
	size_t part_max; /* request line, header lines, or chunk overhead */
	size_t head_len;
	size_t body_len; /* decoded so far (chunked) or announced */
	size_t chunk_left;
	size_t method_len, target, target_len, path, path_len;
	size_t url_host, url_host_len; /* of a target that is a URL */
	unsigned minor;
	bool other_major; /* of HTTP's version */
	bool has_length, chunked, other_coding;
	unsigned extension; /* of the chunk: what its bytes so far are */
	unsigned char host, content_type, origin,
	    fetch_site; /* number of the header, from 1; 0: none */
	bool close, keep_alive, expect_continue; /* as the client asked */
	bool encoded;
	size_t n_headers;
	struct {
		size_t name, name_len, value, value_len;
	} headers[HTTP_HEADERS_MAX]; /* last: not cleared by init */
};

/* Before the first byte of each request. limits must outlive the parser. */
void http_parser_init(
    struct http_parser *parser, const struct http_limits *limits);

/*
 * Goes on with the request that starts at buf[0]. len counts all bytes so far;
 * earlier ones must be the same as in the last call but may have moved. Bytes
 * after the request belong to the next one and are not looked at. A chunked
 * body is decoded in place (only bytes of this request behind its head are
 * overwritten). *req is filled whenever head_done, with slices into buf.
 */
enum http_result http_parse(struct http_parser *parser, char *buf, size_t len,
    struct http_request *req);

/*
 * Of a streamed body: the first n bytes of req->body, which holds what has come
 * and was not dropped, are not needed any more. *len bytes of buf become fewer.
 * Lines around chunks are bounded between bytes of data, not in all.
 */
void http_parser_drop(
    struct http_parser *parser, char *buf, size_t *len, size_t n);

/* The first header of that name (any case), or NULL. */
const struct http_header *http_request_header(
    const struct http_request *req, const char *name);

#endif
