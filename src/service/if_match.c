/* SPDX-License-Identifier: ISC */
#include "service/if_match.h"

int
if_match_take(
    const struct http_exchange *x, struct buf *lines, struct slice *tags)
{
	const struct http_request *req = &x->req;
	size_t n = 0;

	*tags = slice_of(NULL, 0);
	buf_init_within(lines, x->in.len * 2, x->body.budget);
	for (size_t i = 0; i < req->n_headers; i++) {
		if (!slice_ieq(req->headers[i].name, SLICE_LITERAL("If-Match")))
			continue;
		if (n++ == 0) {
			*tags = req->headers[i].value;
			continue;
		}
		if (n == 2)
			(void)buf_append_slice(lines, *tags);
		(void)buf_append_string(lines, ", ");
		(void)buf_append_slice(lines, req->headers[i].value);
	}
	if (n > 1)
		*tags = buf_slice(lines);
	return lines->failed ? -1 : 0;
}
