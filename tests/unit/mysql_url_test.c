/* SPDX-License-Identifier: ISC */
#include "store/mysql_url.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

static const struct {
	const char *url;
	const char *user, *password, *host;
	unsigned port;
	const char *socket, *name;
} good[] = {
    {"mysql://u:p@db.example:3307/cassata", "u", "p", "db.example", 3307, NULL,
	"cassata"},
    {"mysql://db/cassata", NULL, NULL, "db", 3306, NULL, "cassata"},
    {"mysql://u@db/cassata", "u", NULL, "db", 3306, NULL, "cassata"},
    {"mysql://u:@db/cassata", "u", "", "db", 3306, NULL, "cassata"},
    {"mysql://u%40x:p%2F%3a%25@db/a%20b", "u@x", "p/:%", "db", 3306, NULL,
	"a b"},
    {"mysql://u:p@q@db/n", "u", "p@q", "db", 3306, NULL, "n"},
    {"mysql://u:p:q@db/n", "u", "p:q", "db", 3306, NULL, "n"},
    {"mysql://u@[::1]:3307/n", "u", NULL, "::1", 3307, NULL, "n"},
    {"mysql://[fe80::1%25eth0]/n", NULL, NULL, "fe80::1%eth0", 3306, NULL, "n"},
    {"mysql://u@/n?socket=/run/my%3fsql.sock", "u", NULL, NULL, 3306,
	"/run/my?sql.sock", "n"},
    {"mysql:///n", NULL, NULL, NULL, 3306, NULL, "n"},
};

START_TEST(test_good)
{
	struct mysql_url url;
	struct err err;

	ck_assert_msg(mysql_url_parse(good[_i].url, &url, &err) == 0, "%s: %s",
	    good[_i].url, err.text);
	ck_assert_pstr_eq(url.user, good[_i].user);
	ck_assert_pstr_eq(url.password, good[_i].password);
	ck_assert_pstr_eq(url.host, good[_i].host);
	ck_assert_uint_eq(url.port, good[_i].port);
	ck_assert_pstr_eq(url.socket, good[_i].socket);
	ck_assert_pstr_eq(url.name, good[_i].name);
	mysql_url_free(&url);
}
END_TEST

static const char *const bad[] = {
    "mysql:u:secret@db/n",
    "mysql://u:secret@db",
    "mysql://u:secret@db/",
    "mysql://u:secret@db/n/more",
    "mysql://u:secret@db:0/n",
    "mysql://u:secret@db:65536/n",
    "mysql://u:secret@db:33o6/n",
    "mysql://u:secret@db:/n",
    "mysql://u:secret@[::1/n",
    "mysql://u:secret@[::1]x/n",
    "mysql://u:secret%2@db/n",
    "mysql://u:secret%zz@db/n",
    "mysql://u:secret%00@db/n",
    "mysql://u%:secret@db/n",
    "mysql://u:secret@db%/n",
    "mysql://u:secret@db/n%",
    "mysql://u:secret@db/n?ssl=1",
    "mysql://u:secret@/n?socket=",
    "mysql://u:secret@/n?socket=/a&more=1",
};

static const struct {
	const char *url;
	bool local;
} places[] = {
    {"mysql:///n", true},
    {"mysql://u@/n?socket=/run/s", true},
    {"mysql://db/n?socket=/run/s", true},
    {"mysql://127.0.0.1/n", true},
    {"mysql://127.255.255.254:3307/n", true},
    {"mysql://[::1]/n", true},
    {"mysql://[0:0:0:0:0:0:0:1]/n", true},
    {"mysql://[::ffff:127.0.0.1]/n", true},
    {"mysql://localhost/n", true},
    {"mysql://LocalHost/n", true},
    /* Judged as it is written, not by where it leads. */
    {"mysql://127.1/n", false},
    {"mysql://2130706433/n", false},
    {"mysql://localhost./n", false},
    {"mysql://localhost.example/n", false},
    {"mysql://127.0.0.1.example/n", false},
    {"mysql://128.0.0.1/n", false},
    {"mysql://0.0.0.0/n", false},
    {"mysql://[::]/n", false},
    {"mysql://[::2]/n", false},
    {"mysql://[::ffff:10.0.0.1]/n", false},
    {"mysql://db/n", false},
};

START_TEST(test_local)
{
	struct mysql_url url;

	ck_assert_int_eq(mysql_url_parse(places[_i].url, &url, NULL), 0);
	ck_assert_msg(
	    mysql_url_is_local(&url) == places[_i].local, "%s", places[_i].url);
	mysql_url_free(&url);
}
END_TEST

START_TEST(test_name_is_bounded)
{
	char text[128];
	struct mysql_url url;

	for (int bytes = 64; bytes <= 65; bytes++) {
		(void)snprintf(text, sizeof(text), "mysql://db/%0*d", bytes, 7);
		ck_assert_int_eq(
		    mysql_url_parse(text, &url, NULL), bytes == 64 ? 0 : -1);
		mysql_url_free(&url);
	}
}
END_TEST

START_TEST(test_bad)
{
	struct mysql_url url;
	struct err err;

	ck_assert_msg(
	    mysql_url_parse(bad[_i], &url, &err) == -1, "%s", bad[_i]);
	ck_assert_ptr_null(strstr(err.text, "secret"));
	ck_assert_str_ne(err.text, "");
	mysql_url_free(&url);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mysql_url");
	TCase *tc = tcase_create("parse");
	SRunner *sr;
	int failures;

	tcase_add_loop_test(
	    tc, test_good, 0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(
	    tc, test_bad, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_loop_test(
	    tc, test_local, 0, (int)(sizeof(places) / sizeof(places[0])));
	tcase_add_test(tc, test_name_is_bounded);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
