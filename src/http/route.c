/* SPDX-License-Identifier: ISC */
#include "http/route.h"

#include <string.h>

#include "base/check.h"
#include "base/percent.h"

static bool
is_whole_server(struct slice path)
{
	return slice_eq(path, SLICE_LITERAL("*"));
}

/* Whether the path is like the pattern; the parameters are not yet decoded. */
static bool
route_matches(
    const struct route *route, struct slice path, struct route_match *match)
{
	const char *at = path.p, *end = path.p + path.len;

	match->n_params = 0;
	for (const char *p = route->pattern; *p != '\0'; p++) {
		const char *start = at;

		if (*p != '{') {
			if (at == end || *at++ != *p)
				return false;
			continue;
		}
		while (at < end && *at != '/')
			at++;
		if (at == start)
			return false;
		check(match->n_params < ROUTE_PARAMS_MAX);
		match->params[match->n_params++] =
		    slice_of(start, (size_t)(at - start));
		p = strchr(p, '}');
		check(p != NULL);
	}
	return at == end;
}

static bool
route_allows(const struct route *route, struct slice method)
{
	if (slice_eq(method, slice_from_string(route->method)))
		return true;
	return slice_eq(method, SLICE_LITERAL("HEAD")) &&
	       !(route->policy & ROUTE_NO_HEAD) &&
	       strcmp(route->method, "GET") == 0;
}

static enum route_result
decode_params(struct buf *arena, struct route_match *match)
{
	size_t len = 0;

	for (size_t i = 0; i < match->n_params; i++)
		len += match->params[i].len;
	/* All at once: what is in the arena must not move. */
	if (buf_reserve(arena, len) == -1)
		return ROUTE_NO_MEMORY;
	for (size_t i = 0; i < match->n_params; i++) {
		char *out = arena->p + arena->len;

		if (percent_decode(match->params[i], out, &len) == -1)
			return ROUTE_BAD_ESCAPE;
		match->params[i] = slice_of(out, len);
		arena->len += len;
	}
	return ROUTE_FOUND;
}

enum route_result
route_find(const struct route_table *table, const struct http_request *req,
    struct buf *arena, struct route_match *match)
{
	bool known = is_whole_server(req->path);

	*match = (struct route_match){0};
	for (size_t i = 0; i < table->n; i++) {
		const struct route *route = &table->routes[i];

		if (!route_matches(route, req->path, match))
			continue;
		known = true;
		match->route = route;
		if (route_allows(route, req->method))
			return decode_params(arena, match);
	}
	match->n_params = 0;
	if (!known)
		return ROUTE_UNKNOWN;
	return slice_eq(req->method, SLICE_LITERAL("OPTIONS"))
		   ? ROUTE_OPTIONS
		   : ROUTE_OTHER_METHOD;
}

static bool
path_allows(const struct route_table *table, struct slice path, unsigned absent,
    struct slice method)
{
	struct route_match match;

	for (size_t i = 0; i < table->n; i++)
		if ((table->routes[i].policy & absent) == 0 &&
		    route_allows(&table->routes[i], method) &&
		    (is_whole_server(path) ||
			route_matches(&table->routes[i], path, &match)))
			return true;
	return false;
}

void
route_allow(const struct route_table *table, struct slice path, unsigned absent,
    struct buf *out)
{
	static const struct slice methods[] = {SLICE_INIT("GET"),
	    SLICE_INIT("HEAD"), SLICE_INIT("POST"), SLICE_INIT("PUT"),
	    SLICE_INIT("PATCH"), SLICE_INIT("DELETE")};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!path_allows(table, path, absent, methods[i]))
			continue;
		buf_append_slice(out, methods[i]);
		buf_append_string(out, ", ");
	}
	buf_append_string(out, "OPTIONS");
}
