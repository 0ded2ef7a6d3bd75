/* SPDX-License-Identifier: ISC */
#include "master/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "suite.h"

static char dir[] = "/tmp/notify_test.XXXXXX";
static int manager;

/* A manager's socket: a path, or with @ an abstract name. */
static void
listen_at(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	memcpy(addr.sun_path, name, strlen(name));
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(
	    bind(manager, (struct sockaddr *)&addr,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			    strlen(name))),
	    0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void
receive(char *text, size_t size)
{
	ssize_t n = recv(manager, text, size - 1, 0);

	ck_assert_int_gt(n, 0);
	text[n] = '\0';
}

static void
assert_all_arrive(void)
{
	static const char reloading[] = "RELOADING=1\nMONOTONIC_USEC=";
	char text[256], expected[256];
	struct timespec now;
	int64_t before_us;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	before_us = now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
	notify_ready();
	receive(text, sizeof(text));
	(void)snprintf(
	    expected, sizeof(expected), "READY=1\nMAINPID=%ld", (long)getpid());
	ck_assert_str_eq(text, expected);
	notify_reloading();
	receive(text, sizeof(text));
	ck_assert_int_eq(strncmp(text, reloading, strlen(reloading)), 0);
	ck_assert_int_ge(
	    strtoll(text + strlen(reloading), NULL, 10), before_us);
	notify_replaced(77);
	receive(text, sizeof(text));
	ck_assert_str_eq(text, "MAINPID=77");
	notify_stopping();
	receive(text, sizeof(text));
	ck_assert_str_eq(text, "STOPPING=1");
	fd_close(&manager);
}

START_TEST(test_path)
{
	char path[64];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	listen_at(path);
	assert_all_arrive();
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(test_abstract)
{
	char name[64];

	(void)snprintf(
	    name, sizeof(name), "@cassata-notify-test-%ld", (long)getpid());
	listen_at(name);
	assert_all_arrive();
}
END_TEST

START_TEST(test_nobody)
{
	char name[200];

	/* The daemon goes on whatever the variable holds. */
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	notify_ready();
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", "", 1), 0);
	notify_ready();
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", "/nonexistent/s", 1), 0);
	notify_ready();
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	notify_ready();
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("notify");
	TCase *tc = tcase_create("notify");

	tcase_add_test(tc, test_path);
	tcase_add_test(tc, test_abstract);
	tcase_add_test(tc, test_nobody);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
