/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BROWSER_H
#define CASSATA_SERVICE_BROWSER_H

#include <stdbool.h>

#include "http/http_parser.h"

/* One that says so in any of the ways in which browsers do. */
bool browser_asks(const struct http_request *req);

#endif
