/* SPDX-License-Identifier: ISC */
#include "sql/sql_url.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

static const struct {
	const char *url, *file;
} files[] = {
    {"sqlite:cassata.db", "/state/data/cassata.db"},
    {"sqlite:./cassata.db", "/state/data/cassata.db"},
    {"sqlite:.//./cassata.db", "/state/data/cassata.db"},
    {"sqlite:/state/cassata.db", "/state/data/cassata.db"},
    {"sqlite:/state//cassata.db", "/state/data/cassata.db"},
    {"sqlite:data/cassata.db", "/state/data/cassata.db"},
    {"sqlite:db/cassata.db", "/state/db/cassata.db"},
    {"sqlite:../cassata.db", "/state/../cassata.db"},
    {"sqlite:/state/db/cassata.db", "/state/db/cassata.db"},
    {"sqlite:/states/cassata.db", "/states/cassata.db"},
    {"sqlite:/cassata.db", "/cassata.db"},
};

START_TEST(test_file)
{
	struct sql_place place;
	char shown[64];

	ck_assert_int_eq(
	    sql_describe(files[_i].url, "/state", &place, NULL), 0);
	ck_assert_int_eq(place.kind, SQL_SQLITE);
	ck_assert(place.takes_write_lock && place.is_local);
	ck_assert_ptr_null(place.host);
	ck_assert_str_eq(place.file, files[_i].file);
	(void)snprintf(shown, sizeof(shown), "sqlite:%s", place.file);
	ck_assert_str_eq(place.shown, shown);
	sql_place_free(&place);
}
END_TEST

START_TEST(test_file_of_other_directories)
{
	struct sql_place place;

	ck_assert_int_eq(
	    sql_describe("sqlite:cassata.db", NULL, &place, NULL), 0);
	ck_assert_str_eq(place.file, "cassata.db");
	sql_place_free(&place);
	ck_assert_int_eq(sql_describe("sqlite:/state/cassata.db", "/state/",
			     &place, NULL),
	    0);
	ck_assert_str_eq(place.file, "/state//data/cassata.db");
	sql_place_free(&place);
}
END_TEST

static const struct {
	const char *url;
	const char *user, *password, *host;
	unsigned port;
	const char *socket, *name;
	bool looks_up;
	const char *shown;
} good[] = {
    {"mysql://u:p@db.example:3307/cassata", "u", "p", "db.example", 3307, NULL,
	"cassata", true, "mysql://db.example:3307/cassata"},
    {"mysql://db/cassata", NULL, NULL, "db", 3306, NULL, "cassata", true,
	"mysql://db/cassata"},
    {"mysql://u@db/cassata", "u", NULL, "db", 3306, NULL, "cassata", true,
	"mysql://db/cassata"},
    {"mysql://u:@db/cassata", "u", "", "db", 3306, NULL, "cassata", true,
	"mysql://db/cassata"},
    {"mysql://u%40x:p%2F%3a%25@db/a%20b", "u@x", "p/:%", "db", 3306, NULL,
	"a b", true, "mysql://db/a%20b"},
    {"mysql://u:p@q@db/n", "u", "p@q", "db", 3306, NULL, "n", true,
	"mysql://db/n"},
    {"mysql://u:p:q@db/n", "u", "p:q", "db", 3306, NULL, "n", true,
	"mysql://db/n"},
    {"mysql://u:p#q@db/n#1", "u", "p#q", "db", 3306, NULL, "n#1", true,
	"mysql://db/n#1"},
    {"mysql://u@[::1]:3307/n", "u", NULL, "::1", 3307, NULL, "n", false,
	"mysql://[::1]:3307/n"},
    {"mysql://@192.0.2.1/n", NULL, NULL, "192.0.2.1", 3306, NULL, "n", false,
	"mysql://192.0.2.1/n"},
    {"mysql://[fe80::1%25eth0]/n", NULL, NULL, "fe80::1%eth0", 3306, NULL, "n",
	true, "mysql://[fe80::1%25eth0]/n"},
    {"mysql://u@/n?socket=/run/my%3fs@ql.sock", "u", NULL, NULL, 3306,
	"/run/my?s@ql.sock", "n", false, "mysql:///n?socket=/run/my%3fs@ql.sock"},
    {"mysql:///n", NULL, NULL, NULL, 3306, NULL, "n", false, "mysql:///n"},
};

START_TEST(test_good)
{
	struct sql_place place;
	struct err err;

	ck_assert_msg(sql_describe(good[_i].url, "/state", &place, &err) == 0,
	    "%s: %s", good[_i].url, err.text);
	ck_assert_int_eq(place.kind, SQL_MYSQL);
	ck_assert(!place.takes_write_lock);
	ck_assert_ptr_null(place.file);
	ck_assert_pstr_eq(place.user, good[_i].user);
	ck_assert_pstr_eq(place.password, good[_i].password);
	ck_assert_pstr_eq(place.host, good[_i].host);
	ck_assert_uint_eq(place.port, good[_i].port);
	ck_assert_pstr_eq(place.socket, good[_i].socket);
	ck_assert_pstr_eq(place.name, good[_i].name);
	ck_assert(place.looks_up_host == good[_i].looks_up);
	ck_assert_str_eq(place.shown, good[_i].shown);
	sql_place_free(&place);
}
END_TEST

static const char *const bad[] = {
    "",
    "sqlite",
    "sqlite:",
    "SQLITE:/secret",
    "postgres://u:secret@db/n",
    "MYSQL://u:secret@db/n",
    "mysql://u:secret@a:b:1/n",
    "mysql://u:secret@::1/n",
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
	struct sql_place place;

	ck_assert_int_eq(sql_describe(places[_i].url, NULL, &place, NULL), 0);
	ck_assert_msg(
	    place.is_local == places[_i].local, "%s", places[_i].url);
	sql_place_free(&place);
}
END_TEST

START_TEST(test_name_is_bounded)
{
	char text[128];
	struct sql_place place;

	for (int bytes = 64; bytes <= 65; bytes++) {
		(void)snprintf(text, sizeof(text), "mysql://db/%0*d", bytes, 7);
		ck_assert_int_eq(
		    sql_describe(text, NULL, &place, NULL), bytes == 64 ? 0 : -1);
		sql_place_free(&place);
	}
}
END_TEST

START_TEST(test_bad)
{
	struct sql_place place;
	struct err err;

	ck_assert_msg(
	    sql_describe(bad[_i], NULL, &place, &err) == -1, "%s", bad[_i]);
	ck_assert_ptr_null(strstr(err.text, "secret"));
	ck_assert_str_ne(err.text, "");
	sql_place_free(&place);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sql_url");
	TCase *tc = tcase_create("parse");
	SRunner *sr;
	int failures;

	tcase_add_loop_test(
	    tc, test_file, 0, (int)(sizeof(files) / sizeof(files[0])));
	tcase_add_test(tc, test_file_of_other_directories);
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
