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
