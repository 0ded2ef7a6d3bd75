/* SPDX-License-Identifier: ISC */
#include "service/browser.h"

#include <string.h>

bool
browser_asks(const struct http_request *req)
{
	const struct http_header *agent;

	if (req->fetch_site.p != NULL || req->origin.p != NULL ||
	    http_request_header(req, "Sec-Fetch-Mode") != NULL ||
	    http_request_header(req, "Referer") != NULL)
		return true;
	agent = http_request_header(req, "User-Agent");
	return agent != NULL && agent->value.len >= 8 &&
	       memcmp(agent->value.p, "Mozilla/", 8) == 0;
}

bool
browser_was_asked(const struct http_request *req)
{
	struct slice type = req->content_type;
	const char *end = type.len == 0 ? NULL : memchr(type.p, ';', type.len);

	if (end != NULL)
		type.len = (size_t)(end - type.p);
	return slice_ieq(slice_trim(type), SLICE_LITERAL("application/json"));
}
