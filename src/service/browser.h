/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BROWSER_H
#define CASSATA_SERVICE_BROWSER_H

#include <stdbool.h>

#include "http/http_exchange.h"

/* One that says so in any of the ways in which browsers do. */
bool browser_asks(const struct http_request *req);

/* Whether it is one that does not name JSON, which a form of any page cannot
 * do: then the answer says so. For a POST that needs no body. */
bool browser_is_refused(struct http_exchange *x);

#endif
