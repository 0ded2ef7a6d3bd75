/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_RESPONSE_H
#define CASSATA_HTTP_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct http_response {
	int status;
	const char *content_type; /* NULL: no Content-Type, for an empty body */
	const char *accept_encoding; /* its value, or NULL */
	const char *allow;           /* value of Allow, or NULL */
	struct slice
	    location; /* 201: value of Location, or empty; already encoded */
	unsigned retry_after_s; /* 0: none */
	bool close;             /* announce that the connection ends */
	bool head;      /* answer to HEAD: headers of the body, not the body */
	unsigned minor; /* of the request; HTTP/1.0 keep-alive is announced */
	struct slice body;
};

/*
 * Appends status line, Date (from wall_ms), Server, the headers and the body,
 * with an exact Content-Length. 0, or -1 (out failed).
 */
int http_response_write(
    struct buf *out, const struct http_response *res, int64_t wall_ms);

/* "Not Found"; "Unknown" for a code we never send. Static text. */
const char *http_reason(int status);

#endif
