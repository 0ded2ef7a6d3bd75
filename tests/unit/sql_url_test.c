/* SPDX-License-Identifier: ISC */
#include "sql/sql_url.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

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
	ck_assert(place.takes_write_lock);
	ck_assert_uint_eq(place.n_hosts, 0);
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
	ck_assert_int_eq(
	    sql_describe("sqlite:/state/cassata.db", "/state/", &place, NULL),
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
    {"mysql://u@/n?socket=/run/my%3fs@ql.sock", "u", NULL, NULL, 0,
	"/run/my?s@ql.sock", "n", false,
	"mysql:///n?socket=/run/my%3fs@ql.sock"},
    {"mysql:///n", NULL, NULL, NULL, 0, NULL, "n", false, "mysql:///n"},
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
	ck_assert_uint_eq(place.n_hosts, good[_i].host != NULL);
	ck_assert_pstr_eq(place.hosts[0].name, good[_i].host);
	ck_assert_uint_eq(place.hosts[0].port, good[_i].port);
	ck_assert_pstr_eq(place.socket, good[_i].socket);
	ck_assert_pstr_eq(place.name, good[_i].name);
	ck_assert(place.hosts[0].is_name == good[_i].looks_up);
	ck_assert_str_eq(place.shown, good[_i].shown);
	sql_place_free(&place);
}
END_TEST

static const struct {
	const char *url, *hosts;
} lists[] = {
    {"mysql://db/n", "db:3306"},
    {"mysql://u@db1,db2:3307,[::1]:3308/n", "db1:3306 db2:3307 [::1]:3308"},
    {"mysql://[::1]:3307,[::2],db/n", "[::1]:3307 [::2]:3306 db:3306"},
    {"mysql://u,v:p,q@db1,db2/n,m", "db1:3306 db2:3306"},
    {"mysql://a:1,a:2,a/n", "a:1 a:2 a:3306"},
    {"mysql://[fe80::1%25eth0],[fe80::1%25eth1]/n",
	"[fe80::1%eth0]:3306 [fe80::1%eth1]:3306"},
    {"mysql://a%2Cb,c/n", "a,b:3306 c:3306"},
    {"mysql://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16/n",
	"1:3306 2:3306 3:3306 4:3306 5:3306 6:3306 7:3306 8:3306 9:3306 "
	"10:3306 11:3306 12:3306 13:3306 14:3306 15:3306 16:3306"},
    {"mysql:///n", ""},
    {"mysql://db/n?socket=/run/s", ""},
};

START_TEST(test_list)
{
	struct sql_place place;
	char text[512] = "", one[SQL_WHERE_BYTES];
	struct err err;

	ck_assert_msg(sql_describe(lists[_i].url, NULL, &place, &err) == 0,
	    "%s: %s", lists[_i].url, err.text);
	for (unsigned i = 0; i < place.n_hosts; i++) {
		size_t len = strlen(text);

		sql_host_show(&place.hosts[i], one);
		(void)snprintf(text + len, sizeof(text) - len, "%s%s",
		    i == 0 ? "" : " ", one);
	}
	ck_assert_str_eq(text, lists[_i].hosts);
	sql_place_free(&place);
}
END_TEST

START_TEST(test_host_of_list)
{
	static const unsigned none[] = {0, 3, SQL_HOSTS_MAX + 1, UINT_MAX};
	struct sql_place place;

	ck_assert_int_eq(sql_describe("mysql://a,b/n", NULL, &place, NULL), 0);
	ck_assert_str_eq(sql_place_host(&place, 1)->name, "a");
	ck_assert_str_eq(sql_place_host(&place, 2)->name, "b");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_ptr_null(sql_place_host(&place, none[i]));
	sql_place_free(&place);
}
END_TEST

static const struct {
	const char *url, *reason;
} bad_lists[] = {
    {"mysql://u:secret@a,b:0/n", "host 2: the port is not 1 to 65535"},
    {"mysql://u:secret@a:x,b/n", "host 1: the port is not 1 to 65535"},
    {"mysql://u:secret@a,/n", "host 2: there is none"},
    {"mysql://u:secret@,a/n", "host 1: there is none"},
    {"mysql://u:secret@a,,b/n", "host 2: there is none"},
    {"mysql://u:secret@a,:3306/n", "host 2: bad host"},
    {"mysql://u:secret@a,::1/n", "host 2: bad host"},
    {"mysql://u:secret@a,[::1/n", "host 2: bad host"},
    {"mysql://u:secret@a,b%zz/n", "host 2: bad % escape"},
    {"mysql://u:secret@a,b,A:3306/n", "host 3: it is host 1 again"},
    {"mysql://u:secret@[::1],[0:0::1]/n", "host 2: it is host 1 again"},
    {"mysql://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/n",
	"host 17: more than 16 hosts"},
    {"mysql://u:secret@a,b/n?socket=/run/s", "no list of hosts"},
};

START_TEST(test_bad_list)
{
	struct sql_place place;
	struct err err;

	ck_assert_msg(sql_describe(bad_lists[_i].url, NULL, &place, &err) == -1,
	    "%s", bad_lists[_i].url);
	ck_assert_msg(strstr(err.text, bad_lists[_i].reason) != NULL, "%s: %s",
	    bad_lists[_i].url, err.text);
	ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

START_TEST(test_host_is_bounded)
{
	char text[320];
	struct sql_place place;

	for (int bytes = 255; bytes <= 256; bytes++) {
		(void)snprintf(text, sizeof(text), "mysql://%0*d/n", bytes, 7);
		ck_assert_int_eq(sql_describe(text, NULL, &place, NULL),
		    bytes == 255 ? 0 : -1);
		sql_place_free(&place);
	}
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
	ck_assert_msg((sql_host_tls(place.n_hosts == 0 ? NULL : place.hosts,
			   SQL_TLS_BY_HOST) == SQL_TLS_OFF) == places[_i].local,
	    "%s", places[_i].url);
	sql_place_free(&place);
}
END_TEST

START_TEST(test_name_is_bounded)
{
	char text[128];
	struct sql_place place;

	for (int bytes = 64; bytes <= 65; bytes++) {
		(void)snprintf(text, sizeof(text), "mysql://db/%0*d", bytes, 7);
		ck_assert_int_eq(sql_describe(text, NULL, &place, NULL),
		    bytes == 64 ? 0 : -1);
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

	tcase_add_loop_test(
	    tc, test_file, 0, (int)(sizeof(files) / sizeof(files[0])));
	tcase_add_test(tc, test_file_of_other_directories);
	tcase_add_loop_test(
	    tc, test_good, 0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(
	    tc, test_bad, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_loop_test(
	    tc, test_local, 0, (int)(sizeof(places) / sizeof(places[0])));
	tcase_add_loop_test(
	    tc, test_list, 0, (int)(sizeof(lists) / sizeof(lists[0])));
	tcase_add_loop_test(tc, test_bad_list, 0,
	    (int)(sizeof(bad_lists) / sizeof(bad_lists[0])));
	tcase_add_test(tc, test_host_of_list);
	tcase_add_test(tc, test_name_is_bounded);
	tcase_add_test(tc, test_host_is_bounded);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
