/* SPDX-License-Identifier: ISC */
#include "worker/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

enum { PORT = 8085, OTHER_PORT = 9000 };

static struct sockaddr_storage
address(const char *ip, int port)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	in.sin_port = in6.sin6_port = htons((in_port_t)port);
	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
		memcpy(&storage, &in, sizeof(in));
	} else {
		ck_assert_int_eq(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
		memcpy(&storage, &in6, sizeof(in6));
	}
	return storage;
}

static const struct {
	const char *listener, *to;
	int port;
	bool refused;
} rows[] = {
    {"127.0.0.1", "169.254.0.0", OTHER_PORT, true},
    {"127.0.0.1", "169.254.169.254", 80, true},
    {"127.0.0.1", "169.254.255.255", 80, true},
    {"127.0.0.1", "::ffff:169.254.169.254", 80, true},
    {"127.0.0.1", "169.253.255.255", 80, false},
    {"127.0.0.1", "169.255.0.0", 80, false},
    {"127.0.0.1", "fe80::1", 80, true},
    {"127.0.0.1", "febf::1", 80, true},
    {"127.0.0.1", "fec0::1", 80, false},
    {"127.0.0.1", "127.0.0.1", PORT, true},
    {"127.0.0.1", "::ffff:127.0.0.1", PORT, true},
    {"127.0.0.1", "0.0.0.0", PORT, true},
    {"127.0.0.1", "::", PORT, true},
    {"127.0.0.1", "127.0.0.1", OTHER_PORT, false},
    {"127.0.0.1", "127.0.0.2", PORT, false},
    {"127.0.0.1", "::1", PORT, false},
    {"::1", "::1", PORT, true},
    {"::1", "::", PORT, true},
    {"::1", "0.0.0.0", PORT, true},
    {"::1", "127.0.0.1", PORT, false},
    {"0.0.0.0", "127.0.0.1", PORT, true},
    {"0.0.0.0", "127.9.9.9", PORT, true},
    {"0.0.0.0", "0.0.0.0", PORT, true},
    {"0.0.0.0", "192.0.2.1", PORT, false},
    {"0.0.0.0", "127.0.0.1", OTHER_PORT, false},
    {"::", "::1", PORT, true},
    {"::", "127.0.0.1", PORT, true},
    {"192.0.2.1", "192.0.2.1", PORT, true},
    {"192.0.2.1", "127.0.0.1", PORT, false},
    {"192.0.2.1", "0.0.0.0", PORT, false},
};

START_TEST(test_address)
{
	struct sockaddr_storage listener = address(rows[_i].listener, PORT);
	struct sockaddr_storage to = address(rows[_i].to, rows[_i].port);
	struct own_listeners own = {&listener, 1};
	const char *reason = address_refusal((struct sockaddr *)&to, &own);

	ck_assert_int_eq(reason != NULL, rows[_i].refused);
	if (reason != NULL)
		ck_assert(strncmp(reason, "refused: ", 9) == 0);
}
END_TEST

START_TEST(test_other_families)
{
	struct sockaddr_storage unix_socket = {.ss_family = AF_UNIX};
	struct sockaddr_storage to = address("127.0.0.1", PORT);
	struct own_listeners own = {&unix_socket, 1}, none = {NULL, 0};

	ck_assert_ptr_null(address_refusal((struct sockaddr *)&to, &own));
	ck_assert_ptr_null(address_refusal((struct sockaddr *)&to, &none));
	ck_assert_ptr_null(
	    address_refusal((struct sockaddr *)&unix_socket, &own));
}
END_TEST

static const struct {
	const char *listener, *peer, *local;
	int port;
	bool refused;
} connections[] = {
    {"0.0.0.0", "192.0.2.7", "192.0.2.7", PORT, true},
    {"::", "2001:db8::7", "2001:db8::7", PORT, true},
    {"0.0.0.0", "192.0.2.7", "192.0.2.8", PORT, false},
    {"0.0.0.0", "192.0.2.7", "192.0.2.7", OTHER_PORT, false},
    {"127.0.0.1", "192.0.2.7", "192.0.2.7", PORT, false},
};

START_TEST(test_connection)
{
	struct sockaddr_storage listener =
	    address(connections[_i].listener, PORT);
	struct own_listeners own = {&listener, 1};

	ck_assert_int_eq(connection_refusal(connections[_i].peer,
			     connections[_i].port, connections[_i].local,
			     &own) != NULL,
	    connections[_i].refused);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address_policy");
	TCase *tc = tcase_create("address_policy");

	tcase_add_loop_test(
	    tc, test_address, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tc, test_other_families);
	tcase_add_loop_test(tc, test_connection, 0,
	    sizeof(connections) / sizeof(connections[0]));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
