/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_RESPONSE_H
#define CASSATA_HTTP_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct http_response {
	int status;
	const char *content_type; /* NULL: no Content-Type, for an empty body */
	struct slice fields; /* more lines, as http_field_append makes them */
	bool close;          /* announce that the connection ends */
	bool head;      /* answer to HEAD: headers of the body, not the body */
	unsigned minor; /* of the request; HTTP/1.0 keep-alive is announced */
	struct slice body;
	/* The body is not here: it follows in chunks, or up to the end of the
	 * connection. */
	bool streamed;
};

/* Whether the body comes in chunks: http_chunk_append makes them. */
bool http_response_is_chunked(const struct http_response *res);

/* Appends bytes as a chunk; none are the last one. 0 or -1. */
int http_chunk_append(struct buf *out, struct slice bytes);

/* Appends a header line; the value has no control characters. 0 or -1. */
int http_field_append(struct buf *out, const char *name, struct slice value);

/*
 * Appends status line, Date (from wall_ms), Server, the headers and the body,
 * with an exact Content-Length. 0, or -1 (out failed).
 */
int http_response_write(
    struct buf *out, const struct http_response *res, int64_t wall_ms);

/* "Not Found"; "Unknown" for a code we never send. Static text. */
const char *http_reason(int status);

#endif
