/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_BODY_H
#define CASSATA_SERVICE_BODY_H

#include <stdbool.h>

#include "http/http_exchange.h"

/* What the body of a request is. */

/* Whether it is of that type, whatever the parameters. */
bool body_has_type(const struct http_request *req, struct slice type);

/* Whether there is none, or one of a type that is not known, or encoded: then
 * the answer says so. types: those that are known, for the client. */
bool body_is_refused(struct http_exchange *x, bool known, const char *types);

#endif
