/* SPDX-License-Identifier: ISC */
#include "service/api_openapi.h"

#include <string.h>

#include "service/openapi.h"

/* By a list of tags, also weak ones (RFC 9110, 13.1.2), or by "*". */
static bool
is_known(const struct http_request *req)
{
	const struct http_header *known =
	    http_request_header(req, "If-None-Match");

	return known != NULL &&
	       (slice_eq(known->value, SLICE_LITERAL("*")) ||
		   memmem(known->value.p, known->value.len, openapi_json_tag,
		       strlen(openapi_json_tag)) != NULL);
}

enum verdict
api_openapi(struct call *call)
{
	struct http_exchange *x = call->x;

	if (is_known(&x->req)) {
		http_exchange_answer(x, 304, NULL);
	} else {
		http_exchange_answer(x, 200, "application/json");
		(void)buf_append(&x->body, openapi_json, openapi_json_len);
	}
	http_exchange_field(x, "ETag", slice_from_string(openapi_json_tag));
	return ANSWERED;
}
