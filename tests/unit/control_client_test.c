/* SPDX-License-Identifier: ISC */
#include "proc/control_client.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "base/fd.h"
#include "suite.h"

enum { PATIENCE_MS = 60000, ANSWER_MAX = 8192 };

static char dir[] = "/tmp/cassata-control-client-test-XXXXXX";
static char path[64];
static int listener;
static const char *says; /* NULL: nothing, and does not close */
static char heard[64];
static pthread_t master;
static struct buf answer;
static struct err err;
static bool absent;

static void *
run_master(void *arg)
{
	int fd = accept(listener, NULL, NULL);
	size_t n = 0;

	(void)arg;
	while (n < sizeof(heard) - 1 && memchr(heard, '\n', n) == NULL) {
		ssize_t k = read(fd, heard + n, sizeof(heard) - 1 - n);

		if (k <= 0)
			break;
		n += (size_t)k;
	}
	if (says == NULL) /* until the client has had enough */
		(void)!read(fd, heard, 1);
	else
		(void)fd_write_all(fd, says, strlen(says));
	fd_close(&fd);
	return NULL;
}

static void
setup(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/control", dir);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
	    bind(listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	buf_init(&answer, ANSWER_MAX);
}

static void
teardown(void)
{
	buf_free(&answer);
	fd_close(&listener);
	(void)unlink(path);
	(void)rmdir(dir);
}

static int
ask(const char *text, uid_t stranger, int64_t timeout_ms)
{
	int status;

	says = text;
	ck_assert_int_eq(pthread_create(&master, NULL, run_master, NULL), 0);
	status = control_ask(
	    path, stranger, "status", timeout_ms, &answer, &absent, &err);
	ck_assert_int_eq(pthread_join(master, NULL), 0);
	return status;
}

START_TEST(test_answer)
{
	ck_assert_int_eq(ask("{}\n", 0, PATIENCE_MS), 0);
	ck_assert_str_eq(heard, "status\n");
	ck_assert(slice_eq(buf_slice(&answer), slice_from_string("{}\n")));
}
END_TEST

START_TEST(test_silence)
{
	ck_assert_int_eq(ask(NULL, 0, 20), -1);
	ck_assert(!absent);
	ck_assert_str_eq(err.text, "the daemon does not answer within 0.02 s");
}
END_TEST

START_TEST(test_too_long)
{
	char text[ANSWER_MAX + 2];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(ask(text, 0, PATIENCE_MS), -1);
	ck_assert_str_eq(err.text, "the answer is too long");
}
END_TEST

/* The children's user is whom nobody takes for the master: who listens is asked
 * for, whoever accepts. */
START_TEST(test_stranger)
{
	uid_t user = getuid() == 0 ? 65534 : getuid();

	ck_assert_int_eq(seteuid(user), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(seteuid(getuid()), 0);
	ck_assert_int_eq(ask("", user, PATIENCE_MS), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "is not root's but of user "));
}
END_TEST

START_TEST(test_nobody_there)
{
	char name[200];

	fd_close(&listener);
	ck_assert_int_eq(
	    control_ask(path, 0, "status", 1, &answer, &absent, &err), -1);
	ck_assert(absent);

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(
	    control_ask(name, 0, "status", 1, &answer, &absent, &err), -1);
	ck_assert(!absent);
	ck_assert_ptr_nonnull(strstr(err.text, "too long for a socket"));
}
END_TEST

static void *
end_master(void *arg)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};

	(void)arg;
	ck_assert_int_eq(poll(&pfd, 1, PATIENCE_MS), 1);
	fd_close(&listener);
	return NULL;
}

/* It had not yet accepted. */
START_TEST(test_ends_meanwhile)
{
	ck_assert_int_eq(pthread_create(&master, NULL, end_master, NULL), 0);
	ck_assert_int_eq(
	    control_ask(path, 0, "status", PATIENCE_MS, &answer, &absent, &err),
	    -1);
	ck_assert_int_eq(pthread_join(master, NULL), 0);
	ck_assert(absent);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("control_client");
	TCase *tc = tcase_create("control_client");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_answer);
	tcase_add_test(tc, test_silence);
	tcase_add_test(tc, test_too_long);
	tcase_add_test(tc, test_stranger);
	tcase_add_test(tc, test_nobody_there);
	tcase_add_test(tc, test_ends_meanwhile);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
