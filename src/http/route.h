/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_ROUTE_H
#define CASSATA_HTTP_ROUTE_H

#include <stddef.h>

#include "base/buf.h"
#include "http/http_exchange.h"
#include "http/http_parser.h"

enum { ROUTE_PARAMS_MAX = 4 };

/* Bits of a route's policy; those from ROUTE_OWN on are its user's. */
enum {
	ROUTE_NO_HEAD = 1, /* a GET that HEAD is not the same as */
	ROUTE_OWN = 1 << 8,
};

/* A row of a table: what is done by that method on a path like that. */
struct route {
	const char *method;  /* GET allows HEAD, too */
	const char *pattern; /* "/a/{b}": {b} is one segment, never empty */
	unsigned policy;
	enum verdict (*handle)(struct call *call);
};

struct route_table {
	const struct route *routes;
	size_t n;
};

enum route_result {
	ROUTE_FOUND,
	ROUTE_UNKNOWN,      /* 404: no row is for this path */
	ROUTE_OTHER_METHOD, /* 405 */
	ROUTE_OPTIONS,      /* 204: OPTIONS, which each path has, and "*" */
	ROUTE_BAD_ESCAPE,   /* 400 */
	ROUTE_NO_MEMORY,
};

struct route_match {
	const struct route *route; /* one of the path's; NULL: unknown or "*" */
	size_t n_params;
	struct slice params[ROUTE_PARAMS_MAX]; /* decoded, in the arena */
};

/* The row for a request; fills *match in whatever the result is. */
enum route_result route_find(const struct route_table *table,
    const struct http_request *req, struct buf *arena,
    struct route_match *match);

/* Appends the methods of a path, or of all for "*", without the rows whose
 * policy has a bit of absent: the value of Allow. */
void route_allow(const struct route_table *table, struct slice path,
    unsigned absent, struct buf *out);

#endif
