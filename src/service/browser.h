/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BROWSER_H
#define CASSATA_SERVICE_BROWSER_H

#include <stdbool.h>

#include "http/http_parser.h"

/* One that says so in any of the ways in which browsers do. */
bool browser_asks(const struct http_request *req);

/*
 * Whether the type of the body is one (application/json) that a page may not
 * send elsewhere unless its browser has asked the server, which permits nobody.
 */
bool browser_was_asked(const struct http_request *req);

#endif
