/* SPDX-License-Identifier: ISC */
#include "service/browser.h"

#include <string.h>

#include "service/body.h"
#include "service/problem.h"

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
browser_is_refused(struct http_exchange *x)
{
	if (!browser_asks(&x->req) ||
	    body_has_type(&x->req, SLICE_LITERAL("application/json")))
		return false;
	(void)problem(
	    x, 415, "a browser must send Content-Type: application/json");
	return true;
}
