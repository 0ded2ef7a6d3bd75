/* SPDX-License-Identifier: ISC */
#include "service/body.h"

#include <string.h>

#include "service/problem.h"

bool
body_has_type(const struct http_request *req, struct slice type)
{
	struct slice sent = req->content_type;
	const char *semicolon =
	    sent.len == 0 ? NULL : memchr(sent.p, ';', sent.len);

	if (semicolon != NULL)
		sent =
		    slice_trim(slice_of(sent.p, (size_t)(semicolon - sent.p)));
	return slice_ieq(sent, type);
}

bool
body_is_refused(struct http_exchange *x, bool known, const char *types)
{
	if (x->req.body.len == 0) {
		(void)problem(x, 400, "the request has no body");
		return true;
	}
	/* A web page may send other types to any server, unasked. */
	if (!known) {
		(void)problem(x, 415, types);
		return true;
	}
	if (x->req.encoded) { /* RFC 9110, 15.5.16 */
		(void)problem(x, 415, "the body must have no Content-Encoding");
		http_exchange_field(
		    x, "Accept-Encoding", SLICE_LITERAL("identity"));
		return true;
	}
	return false;
}
