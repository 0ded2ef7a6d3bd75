/* SPDX-License-Identifier: ISC */
#include "master/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "suite.h"

static const struct {
	const char *pid, *fds;
	int n;
} environments[] = {
    {"42", "1", 1}, {"42", "3", 3}, {"42", "0", 0},
    {"43", "1", 0}, /* another process's */
    {NULL, "1", 0}, {"42", NULL, 0}, {"", "1", 0}, {"42", "", 0},
    {"42x", "1", 0}, {"42", "1 ", 0}, {"42", "-1", 0}, {"+42", "1", 0},
    {"42", "99999999999999999999", 0},
    {"4294967338", "1", 0}, /* 42 in 32 bits */
};

START_TEST(test_environment)
{
	ck_assert_int_eq(
	    listener_parse_env(environments[_i].pid, environments[_i].fds, 42),
	    environments[_i].n);
}
END_TEST

START_TEST(test_environment_is_taken)
{
	char self[32];

	(void)snprintf(self, sizeof(self), "%ld", (long)getpid());
	ck_assert_int_eq(setenv("LISTEN_PID", self, 1), 0);
	ck_assert_int_eq(setenv("LISTEN_FDS", "2", 1), 0);
	ck_assert_int_eq(setenv("LISTEN_FDNAMES", "a:b", 1), 0);
	ck_assert_int_eq(listener_inherited(), 2);
	ck_assert_ptr_null(getenv("LISTEN_PID"));
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
	ck_assert_int_eq(listener_inherited(), 0);
}
END_TEST

static struct listener *
open_any_port(void)
{
	struct err err = {0};
	struct listener *listener =
	    listener_open("127.0.0.1", 0, 0, NULL, &err);

	ck_assert_msg(listener != NULL, "%s", err.text);
	ck_assert_uint_eq(listener->n, 1);
	return listener;
}

static int
port_of(int fd)
{
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin_port);
}

START_TEST(test_open)
{
	struct listener *listener = open_any_port();
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);
	char name[64], expected[64];
	int fd = listener->fds[0], client;

	(void)snprintf(expected, sizeof(expected), "127.0.0.1:%d", port_of(fd));
	ck_assert_int_eq(listener_name(fd, name, sizeof(name)), 0);
	ck_assert_str_eq(name, expected);
	ck_assert_int_eq(listener_name(fd, name, 5), -1);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&addr, len), 0);
	fd_close(&client);
	listener_free(&listener);
	ck_assert_ptr_null(listener);
}
END_TEST

static bool
has_ipv6(void)
{
	struct sockaddr_in6 loopback = {
	    .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd != -1 && bind(fd, (struct sockaddr *)&loopback,
				   sizeof(loopback)) == 0;

	fd_close(&fd);
	return has;
}

/* NULL where somebody has that port meanwhile, on any address. */
static struct listener *
open_all_addresses(void)
{
	struct listener *listener = open_any_port();
	int port = port_of(listener->fds[0]);
	struct err err;

	listener_free(&listener);
	return listener_open("*", port, 0, NULL, &err);
}

/* The socket of IPv6 leaves the port to that of IPv4. */
START_TEST(test_all_addresses)
{
	struct listener *listener = NULL;

	for (int i = 0; i < 50 && listener == NULL; i++)
		listener = open_all_addresses();
	ck_assert_ptr_nonnull(listener);
	ck_assert_uint_eq(listener->n, has_ipv6() ? 2 : 1);
	listener_free(&listener);
}
END_TEST

START_TEST(test_port_in_use)
{
	struct listener *listener = open_any_port();
	int port = port_of(listener->fds[0]);
	struct err err;
	char expected[128];

	(void)snprintf(expected, sizeof(expected),
	    "cannot listen on 127.0.0.1:%d: Address already in use", port);
	ck_assert_ptr_null(listener_open("127.0.0.1", port, 0, NULL, &err));
	ck_assert_str_eq(err.text, expected);
	listener_free(&listener);
	listener = listener_open("127.0.0.1", port, 0, NULL, &err);
	ck_assert_ptr_nonnull(listener);
	listener_free(&listener);
}
END_TEST

static int n_refused; /* so often listen says that another one listens */

/* In the place of the C library's. */
int
listen(int fd, int backlog)
{
	if (n_refused == 0)
		return (int)syscall(SYS_listen, fd, backlog);
	n_refused--;
	errno = EADDRINUSE;
	return -1;
}

/* Another process was bound to it, too, and began to listen before us. */
START_TEST(test_port_in_use_for_a_moment)
{
	struct err err = {0};
	struct listener *listener;

	n_refused = 2;
	listener = listener_open("127.0.0.1", 0, 10000, NULL, &err);
	ck_assert_msg(listener != NULL, "%s", err.text);
	listener_free(&listener);
	n_refused = 1;
	ck_assert_ptr_null(listener_open("127.0.0.1", 0, 0, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, strerror(EADDRINUSE)));
}
END_TEST

START_TEST(test_bad_address)
{
	struct err err;

	/* An address that no machine has, and what is no address at all. */
	ck_assert_ptr_null(listener_open("192.0.2.1", 0, 0, NULL, &err));
	ck_assert_ptr_nonnull(strstr(err.text, "cannot listen on 192.0.2.1:0"));
	ck_assert_ptr_null(listener_open("127.0.0.1:80", 0, 0, NULL, &err));
	ck_assert_ptr_nonnull(
	    strstr(err.text, "cannot listen on 127.0.0.1:80: "));
}
END_TEST

START_TEST(test_adopt)
{
	struct listener *first = open_any_port(), *adopted;
	struct err err = {0};
	int fd = first->fds[0];

	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
	adopted = listener_adopt(&fd, 1, &err);
	ck_assert_msg(adopted != NULL, "%s", err.text);
	ck_assert_uint_eq(adopted->n, 1);
	ck_assert_int_eq(adopted->fds[0], fd);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	free(first);
	listener_free(&adopted);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* What has the address is moved over, what has not stays where it is. */
START_TEST(test_open_takes_over)
{
	struct listener *old = open_any_port(), *new;
	struct err err = {0};
	int fd = old->fds[0];

	new = listener_open("127.0.0.2", 0, 0, old, &err);
	ck_assert_msg(new != NULL, "%s", err.text);
	ck_assert_int_ne(new->fds[0], fd);
	ck_assert_int_eq(old->fds[0], fd);
	listener_free(&new);
	new =
	    listener_open("127.0.0.1", _i == 0 ? port_of(fd) : 0, 0, old, &err);
	ck_assert_msg(new != NULL, "%s", err.text);
	ck_assert_uint_eq(new->n, 1);
	ck_assert_int_eq(new->fds[0], fd);
	listener_free(&old);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	listener_free(&new);
}
END_TEST

static void
assert_not_adopted(int fd)
{
	struct err err;

	ck_assert_ptr_null(listener_adopt(&fd, 1, &err));
	ck_assert_ptr_nonnull(
	    strstr(err.text, "is no stream socket that listens"));
	fd_close(&fd);
}

START_TEST(test_adopt_refuses)
{
	struct err err;
	int fds[LISTENER_MAX + 1] = {900};

	assert_not_adopted(socket(AF_INET, SOCK_STREAM, 0));
	assert_not_adopted(socket(AF_INET, SOCK_DGRAM, 0));
	ck_assert_ptr_null(listener_adopt(fds, 1, &err));
	ck_assert_ptr_null(listener_adopt(fds, LISTENER_MAX + 1, &err));
	ck_assert_int_eq(fd_pipe(fds), 0);
	assert_not_adopted(fds[0]);
	assert_not_adopted(fds[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("listener");
	TCase *tc = tcase_create("listener");

	tcase_add_loop_test(tc, test_environment, 0,
	    (int)(sizeof(environments) / sizeof(environments[0])));
	tcase_add_test(tc, test_environment_is_taken);
	tcase_add_test(tc, test_open);
	tcase_add_test(tc, test_all_addresses);
	tcase_add_test(tc, test_port_in_use);
	tcase_add_test(tc, test_port_in_use_for_a_moment);
	tcase_add_test(tc, test_bad_address);
	tcase_add_loop_test(tc, test_open_takes_over, 0, 2);
	tcase_add_test(tc, test_adopt);
	tcase_add_test(tc, test_adopt_refuses);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
