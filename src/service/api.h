/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_H
#define CASSATA_SERVICE_API_H

#include "service/exchange.h"

/*
 * The HTTP API (doc/api.md): finds the handler of x->req and starts it. The
 * answer is in x->res and x->body when x->answered is called: at once, or after
 * the datastore did its part.
 */
void api_dispatch(struct exchange *x);

/* Goes on with an add whose transaction ended: x->status, x->add. */
void api_added(struct exchange *x);

/*
 * Makes the answer of x an RFC 9457 problem; the caller then calls
 * x->answered. detail is for the client: copied, escaped.
 */
void api_problem(struct exchange *x, int status, const char *detail);

#endif
