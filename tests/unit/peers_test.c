/* SPDX-License-Identifier: ISC */
#include "http/peers.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1", "::ffff:192.0.2.1", true},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
    {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
    {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
    {"", "", true},
    {"", "127.0.0.1", false},
};

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *v4 = (void *)&storage;
	struct sockaddr_in6 *v6 = (void *)&storage;

	storage.ss_family = AF_UNIX;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		storage.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		storage.ss_family = AF_INET6;
	return storage;
}

START_TEST(test_pair)
{
	struct sockaddr_storage a = address(pairs[_i].a);
	struct sockaddr_storage b = address(pairs[_i].b);
	struct peers peers = {0};
	struct peer *x = peers_join(&peers, &a), *y = peers_join(&peers, &b);

	ck_assert(x != NULL && y != NULL);
	ck_assert_int_eq(x == y, pairs[_i].same);
	ck_assert_int_eq(x->n_conns, pairs[_i].same ? 2 : 1);
	peers_leave(&peers, x);
	ck_assert_int_eq(y->n_conns, 1);
	peers_leave(&peers, y);
	ck_assert_ptr_null(peers.root);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("peers");
	TCase *tc = tcase_create("peers");

	tcase_add_loop_test(tc, test_pair, 0, COUNT(pairs));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
