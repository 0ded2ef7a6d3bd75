/* SPDX-License-Identifier: ISC */
#include "base/url.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	const char *text;
	const char *scheme; /* NULL: it is none */
	const char *user, *password, *host, *port, *path, *query, *fragment;
} rows[] = {
    {"http://h", "http", NULL, NULL, "h", NULL, NULL, NULL, NULL},
    {"HTTPS://H/", "HTTPS", NULL, NULL, "H", NULL, "/", NULL, NULL},
    {"a+b-1.c://h", "a+b-1.c", NULL, NULL, "h", NULL, NULL, NULL, NULL},
    {"s://u:p@h:1/a/b?c=d#e", "s", "u", "p", "h", "1", "/a/b", "c=d", "e"},
    {"s://u@h", "s", "u", NULL, "h", NULL, NULL, NULL, NULL},
    {"s://@h", "s", "", NULL, "h", NULL, NULL, NULL, NULL},
    {"s://:@h", "s", "", "", "h", NULL, NULL, NULL, NULL},
    {"s://u:p:q@r@h", "s", "u", "p:q@r", "h", NULL, NULL, NULL, NULL},
    {"s://", "s", NULL, NULL, "", NULL, NULL, NULL, NULL},
    {"s:///p", "s", NULL, NULL, "", NULL, "/p", NULL, NULL},
    {"s://:80", "s", NULL, NULL, "", "80", NULL, NULL, NULL},
    {"s://h:", "s", NULL, NULL, "h", "", NULL, NULL, NULL},
    {"s://a:b:c", "s", NULL, NULL, "a:b", "c", NULL, NULL, NULL},
    {"s://h?q", "s", NULL, NULL, "h", NULL, NULL, "q", NULL},
    {"s://h?", "s", NULL, NULL, "h", NULL, NULL, "", NULL},
    {"s://h?a/b?c", "s", NULL, NULL, "h", NULL, NULL, "a/b?c", NULL},
    {"s://h#", "s", NULL, NULL, "h", NULL, NULL, NULL, ""},
    {"s://h#/a?b@c:d#e", "s", NULL, NULL, "h", NULL, NULL, NULL, "/a?b@c:d#e"},
    {"s://h/@:?@#@", "s", NULL, NULL, "h", NULL, "/@:", "@", "@"},
    {"s://[::1]", "s", NULL, NULL, "[::1]", NULL, NULL, NULL, NULL},
    {"s://u@[::1]:8/", "s", "u", NULL, "[::1]", "8", "/", NULL, NULL},
    {"s://[]:", "s", NULL, NULL, "[]", "", NULL, NULL, NULL},
    /* No literals: whoever looks at the host sees that it is no name. */
    {"s://[::1", "s", NULL, NULL, "[:", "1", NULL, NULL, NULL},
    {"s://[::1]x", "s", NULL, NULL, "[:", "1]x", NULL, NULL, NULL},
    {"s://a]", "s", NULL, NULL, "a]", NULL, NULL, NULL, NULL},
    {"", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"s", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"s:", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"s:/h", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"//h", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"://h", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"a b://h", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    {"h/a://b", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static void
assert_piece(struct slice piece, const char *expected)
{
	ck_assert_int_eq(piece.p == NULL, expected == NULL);
	ck_assert(slice_eq(piece, slice_from_string(expected)));
}

/* Beyond the text there is nothing to read. */
START_TEST(test_split)
{
	size_t len = strlen(rows[_i].text);
	char *text = malloc(len);
	struct slice whole = {text, len};
	struct slice host;
	struct url url;

	memcpy(text, rows[_i].text, len);
	ck_assert_int_eq(url_split(whole, URL_WITH_FRAGMENT, &url),
	    rows[_i].scheme == NULL ? -1 : 0);
	assert_piece(url.scheme, rows[_i].scheme);
	assert_piece(url.user, rows[_i].user);
	assert_piece(url.password, rows[_i].password);
	host = url.host;
	if (url.host_is_literal)
		host = slice_of(host.p - 1, host.len + 2);
	assert_piece(host, rows[_i].host);
	assert_piece(url.port, rows[_i].port);
	assert_piece(url.path, rows[_i].path);
	assert_piece(url.query, rows[_i].query);
	assert_piece(url.fragment, rows[_i].fragment);
	free(text);
}
END_TEST

START_TEST(test_without_fragment)
{
	struct url url;

	ck_assert_int_eq(url_split(slice_from_string("s://u:#@h/a#b?c#d"),
			     URL_WITHOUT_FRAGMENT, &url),
	    0);
	assert_piece(url.password, "#");
	assert_piece(url.host, "h");
	assert_piece(url.path, "/a#b");
	assert_piece(url.query, "c#d");
	assert_piece(url.fragment, NULL);
}
END_TEST

START_TEST(test_authority)
{
	struct url url;

	url_split_authority(slice_from_string("[::1]:8085"), &url);
	assert_piece(url.host, "::1");
	ck_assert(url.host_is_literal);
	ck_assert_uint_eq(url_port(url.port), 8085);
	assert_piece(url.scheme, NULL);
	assert_piece(url.path, NULL);
	url_split_authority(slice_from_string("a/b"), &url);
	assert_piece(url.host, "a/b");
	ck_assert(!url.host_is_literal);
}
END_TEST

static const struct {
	const char *authority;
	bool has_host;
} hosts[] = {
    {"h", true},
    {"u@h:1", true},
    {"[::1]", true},
    {"[]", false},
    {"", false},
    {"u@:1", false},
    {"a:b:1", false},
    {"::1", false},
    {"[::1", false},
    {"[::1]x", false},
    {"a]", false},
};

START_TEST(test_host)
{
	struct url url;

	url_split_authority(slice_from_string(hosts[_i].authority), &url);
	ck_assert(url_has_host(&url) == hosts[_i].has_host);
}
END_TEST

static const struct {
	struct slice port;
	unsigned number;
} ports[] = {
    {SLICE_INIT("1"), 1},
    {SLICE_INIT("00080"), 80},
    {SLICE_INIT("65535"), 65535},
    {SLICE_INIT("65536"), 0},
    {SLICE_INIT("0"), 0},
    {SLICE_INIT(""), 0},
    {{NULL, 0}, 0},
    {SLICE_INIT("-1"), 0},
    {SLICE_INIT("8x"), 0},
};

START_TEST(test_port)
{
	ck_assert_uint_eq(url_port(ports[_i].port), ports[_i].number);
}
END_TEST

static const struct {
	struct slice host;
	bool is_one;
} addresses[] = {
    {SLICE_INIT("::1"), true},
    {SLICE_INIT("2001:db8:1:2:3:4:255.255.255.255"), true},
    {SLICE_INIT(""), false},
    {SLICE_INIT("::g"), false},
    {SLICE_INIT("::1\0"), false},
    {SLICE_INIT("127.0.0.1"), false},
    {SLICE_INIT("fe80::1%eth0"), false},
    {SLICE_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"),
	false},
};

START_TEST(test_ipv6)
{
	ck_assert(url_is_ipv6(addresses[_i].host) == addresses[_i].is_one);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("url");
	TCase *tc = tcase_create("url");

	tcase_add_loop_test(tc, test_split, 0, COUNT(rows));
	tcase_add_test(tc, test_without_fragment);
	tcase_add_test(tc, test_authority);
	tcase_add_loop_test(tc, test_host, 0, COUNT(hosts));
	tcase_add_loop_test(tc, test_port, 0, COUNT(ports));
	tcase_add_loop_test(tc, test_ipv6, 0, COUNT(addresses));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
