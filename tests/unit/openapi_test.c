/* SPDX-License-Identifier: ISC */
#include "service/openapi.h"

#include <stdlib.h>

#include <check.h>

#include "base/json_scan.h"
#include "service/api.h"
#include "service/problem.h"
#include "suite.h"

static struct json_value
the_document(void)
{
	struct json_value document;
	struct err err;

	ck_assert_msg(json_scan(slice_of(openapi_json, openapi_json_len),
			  &document, &err) == 0,
	    "%s", err.text);
	return document;
}

/* Its names have no escapes. */
static struct slice
unquoted(struct slice raw)
{
	return slice_of(raw.p + 1, raw.len - 2);
}

static bool
find_member(
    struct json_value object, const char *name, struct json_value *value)
{
	const char *at = NULL;
	struct slice key;

	while (json_next_member(&object, &at, &key, value) == 1)
		if (slice_eq(unquoted(key), slice_from_string(name)))
			return true;
	return false;
}

static struct json_value
member(struct json_value object, const char *name)
{
	struct json_value value;

	ck_assert_msg(find_member(object, name, &value), "no %s", name);
	return value;
}

/* Of a path that goes with a last slash and without it, the document has the
 * one with it. */
static bool
is_path_of(struct slice path, const char *pattern)
{
	struct slice start = path;

	start.len -= path.p[path.len - 1] == '/';
	return slice_eq(path, slice_from_string(pattern)) ||
	       slice_eq(start, slice_from_string(pattern));
}

static bool
is_described(const struct route *route)
{
	struct json_value paths = member(the_document(), "paths"), item, one;
	struct slice path, name;
	const char *at = NULL, *in = NULL;

	while (json_next_member(&paths, &at, &path, &item) == 1) {
		if (!is_path_of(unquoted(path), route->pattern))
			continue;
		while (json_next_member(&item, &in, &name, &one) == 1)
			if (slice_ieq(unquoted(name),
				slice_from_string(route->method)))
				return true;
	}
	return false;
}

START_TEST(test_routes_are_described)
{
	for (size_t i = 0; i < api_routes.n; i++)
		ck_assert_msg(is_described(&api_routes.routes[i]),
		    "%s %s is not in doc/openapi.yaml",
		    api_routes.routes[i].method, api_routes.routes[i].pattern);
}
END_TEST

static bool
has_route(struct slice method, struct slice path)
{
	for (size_t i = 0; i < api_routes.n; i++)
		if (slice_ieq(method,
			slice_from_string(api_routes.routes[i].method)) &&
		    slice_eq(
			path, slice_from_string(api_routes.routes[i].pattern)))
			return true;
	return false;
}

START_TEST(test_described_are_routes)
{
	struct json_value paths = member(the_document(), "paths"), item, one;
	struct slice path, name;
	const char *at = NULL, *in;
	int n = 0;

	while (json_next_member(&paths, &at, &path, &item) == 1)
		for (in = NULL; json_next_member(&item, &in, &name, &one) == 1;)
			if (!slice_eq(
				unquoted(name), SLICE_LITERAL("parameters"))) {
				n++;
				ck_assert_msg(
				    has_route(unquoted(name), unquoted(path)),
				    "no route: %.*s %.*s", (int)name.len,
				    name.p, (int)path.len, path.p);
			}
	ck_assert_int_ge(n, 15);
}
END_TEST

START_TEST(test_problem_types)
{
	struct json_value schemas =
	    member(member(the_document(), "components"), "schemas");
	struct json_value types =
	    member(member(schemas, "ProblemType"), "enum");
	struct json_value type;
	const char *at = NULL;

	ck_assert_int_eq(json_next_element(&types, &at, &type), 1);
	ck_assert(
	    slice_eq(unquoted(type.raw), slice_from_string(problem_type(404))));
	for (int kind = PROBLEM_FIRST; kind < PROBLEM_END; kind++) {
		ck_assert_int_eq(json_next_element(&types, &at, &type), 1);
		ck_assert_msg(slice_eq(unquoted(type.raw),
				  slice_from_string(problem_type(kind))),
		    "%s", problem_type(kind));
		ck_assert_int_ge(problem_status(kind), 400);
		ck_assert_int_le(problem_status(kind), 599);
	}
	ck_assert_int_eq(json_next_element(&types, &at, &type), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("openapi");
	TCase *tc = tcase_create("openapi");

	tcase_add_test(tc, test_routes_are_described);
	tcase_add_test(tc, test_described_are_routes);
	tcase_add_test(tc, test_problem_types);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
