/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_API_H
#define CASSATA_SERVICE_API_H

#include "http/http_exchange.h"
#include "http/route.h"

struct service;

/* What there is; doc/openapi.yaml describes each. */
extern const struct route_table api_routes;

/* The HTTP API (doc/api.md): finds the handler of a request and has it do it.
 */
enum verdict api_handle(struct service *service, struct http_exchange *x);

/* Whether the body that follows is taken as it comes: then its sink is set. */
bool api_streams(struct service *service, struct http_exchange *x);

#endif
