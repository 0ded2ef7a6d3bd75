/* SPDX-License-Identifier: ISC */
#include "http/route.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static enum verdict
get_one(struct call *call)
{
	(void)call;
	return ANSWERED;
}

static enum verdict
change_one(struct call *call)
{
	(void)call;
	return LATER;
}

static const struct route rows[] = {
    {"POST", "/things", 0, change_one},
    {"POST", "/things/", 0, change_one},
    {"GET", "/things/{app}/{id}", ROUTE_OWN, get_one},
    {"DELETE", "/things/{app}/{id}", 0, change_one},
    {"GET", "/gone/{id}/now", ROUTE_NO_HEAD, change_one},
    {"GET", "/livez", 0, get_one},
};
static const struct route_table table = {rows, sizeof(rows) / sizeof(rows[0])};

/* row: of rows[], -1 for none; params: decoded, with a bar behind each. */
static const struct {
	const char *method, *path;
	enum route_result result;
	int row;
	const char *params;
	const char *allow;
} requests[] = {
    {"POST", "/things", ROUTE_FOUND, 0, "", "POST, OPTIONS"},
    {"POST", "/things/", ROUTE_FOUND, 1, "", "POST, OPTIONS"},
    {"POST", "/thing", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"POST", "/thingsx", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/things/a/b", ROUTE_FOUND, 2, "a|b|",
	"GET, HEAD, DELETE, OPTIONS"},
    {"HEAD", "/things/a/b", ROUTE_FOUND, 2, "a|b|",
	"GET, HEAD, DELETE, OPTIONS"},
    {"DELETE", "/things/a/b", ROUTE_FOUND, 3, "a|b|",
	"GET, HEAD, DELETE, OPTIONS"},
    {"OPTIONS", "/things/a/b", ROUTE_OPTIONS, 3, "",
	"GET, HEAD, DELETE, OPTIONS"},
    {"PUT", "/things/a/b", ROUTE_OTHER_METHOD, 3, "",
	"GET, HEAD, DELETE, OPTIONS"},
    {"get", "/livez", ROUTE_OTHER_METHOD, 5, "", "GET, HEAD, OPTIONS"},
    {"GET", "/things/a%2Fb/%c3%a9%25", ROUTE_FOUND, 2, "a/b|\xc3\xa9%|",
	"GET, HEAD, DELETE, OPTIONS"},
    {"GET", "/things/a/%4", ROUTE_BAD_ESCAPE, 2, "",
	"GET, HEAD, DELETE, OPTIONS"},
    {"GET", "/things/%zz/b", ROUTE_BAD_ESCAPE, 2, "",
	"GET, HEAD, DELETE, OPTIONS"},
    {"PUT", "/things/%zz/b", ROUTE_OTHER_METHOD, 3, "",
	"GET, HEAD, DELETE, OPTIONS"},
    {"GET", "/things//b", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/things/a/", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/things/a", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/things/a/b/c", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/things/a/b/", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/gone/a/now", ROUTE_FOUND, 4, "a|", "GET, OPTIONS"},
    {"HEAD", "/gone/a/now", ROUTE_OTHER_METHOD, 4, "", "GET, OPTIONS"},
    {"GET", "/gone/a/nowhere", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/gone/a/no", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "/", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"GET", "", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"OPTIONS", "/none", ROUTE_UNKNOWN, -1, "", "OPTIONS"},
    {"OPTIONS", "*", ROUTE_OPTIONS, -1, "", "GET, HEAD, POST, DELETE, OPTIONS"},
};

START_TEST(test_find)
{
	struct http_request req = {
	    .method = slice_from_string(requests[_i].method),
	    .path = slice_from_string(requests[_i].path),
	};
	struct route_match match;
	struct buf arena, text;

	buf_init(&arena, 1000);
	buf_init(&text, 1000);
	ck_assert_int_eq(
	    route_find(&table, &req, &arena, &match), requests[_i].result);
	ck_assert_ptr_eq(match.route,
	    requests[_i].row == -1 ? NULL : &rows[requests[_i].row]);
	if (requests[_i].result == ROUTE_FOUND) {
		for (size_t i = 0; i < match.n_params; i++) {
			buf_append_slice(&text, match.params[i]);
			buf_append_char(&text, '|');
		}
	}
	ck_assert(
	    slice_eq(buf_slice(&text), slice_from_string(requests[_i].params)));
	buf_reset(&text);
	route_allow(&table, req.path, 0, &text);
	ck_assert(
	    slice_eq(buf_slice(&text), slice_from_string(requests[_i].allow)));
	buf_free(&text);
	buf_free(&arena);
}
END_TEST

START_TEST(test_no_memory)
{
	struct http_request req = {
	    .method = SLICE_LITERAL("GET"),
	    .path = SLICE_LITERAL("/things/abc/def"),
	};
	struct route_match match;
	struct buf arena;

	buf_init(&arena, 5);
	ck_assert_int_eq(
	    route_find(&table, &req, &arena, &match), ROUTE_NO_MEMORY);
	buf_free(&arena);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("route");
	TCase *tc = tcase_create("route");

	tcase_add_loop_test(tc, test_find, 0, COUNT(requests));
	tcase_add_test(tc, test_no_memory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
