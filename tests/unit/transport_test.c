/* SPDX-License-Identifier: ISC */
#include "worker/transport.h"

#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"

enum { RESOLVE_S = 2, CONNECT_TIMEOUT_MS = 100, SOON_MS = 1000 };

static struct loop *loop;
static struct transport *transport;
static CURLcode ended_with;

/* Takes the place of the C library's: a name server that hangs. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **result)
{
	(void)node;
	(void)service;
	(void)hints;
	*result = NULL;
	(void)sleep(RESOLVE_S);
	return EAI_AGAIN;
}

static void
setup(void)
{
	const struct transport_config config = {
	    .max_transfers = 1,
	    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	    .timeout_ms = CONNECT_TIMEOUT_MS,
	};
	struct err err;

	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	transport = transport_create(loop, &config, &err);
	ck_assert_ptr_nonnull(transport);
}

static void
teardown(void)
{
	transport_free(&transport);
	loop_free(loop);
	/* What the threads of the look-ups have is no leak. */
	(void)sleep(RESOLVE_S);
}

static void
on_end(void *arg, CURLcode code, int status, int64_t retry_after_ms,
    const char *error)
{
	(void)arg;
	(void)status;
	(void)retry_after_ms;
	(void)error;
	ended_with = code;
	loop_stop(loop);
}

static struct transfer *
start(void)
{
	const struct transport_request request = {
	    .method = "GET", .url = "http://slow.invalid/", .on_end = on_end};
	struct transfer *transfer = transport_start(transport, &request);

	ck_assert_ptr_nonnull(transfer);
	return transfer;
}

/* The loop goes on while a look-up lasts longer than its delivery may. */
START_TEST(test_slow_look_up)
{
	int64_t start_ms = clock_mono_ms();

	(void)start();
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(ended_with, CURLE_OPERATION_TIMEDOUT);
	ck_assert_int_lt(clock_mono_ms() - start_ms, SOON_MS);
}
END_TEST

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

START_TEST(test_cancel_slow_look_up)
{
	struct loop_timer *timer = loop_timer_create(loop, stop, NULL);
	struct transfer *transfer = start();
	int64_t start_ms = clock_mono_ms();

	ck_assert_int_eq(loop_timer_set(timer, CONNECT_TIMEOUT_MS / 2), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	transport_cancel(transfer);
	ck_assert_int_lt(clock_mono_ms() - start_ms, SOON_MS);
	loop_timer_free(&timer);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("transport");
	TCase *tc = tcase_create("transport");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_slow_look_up);
	tcase_add_test(tc, test_cancel_slow_look_up);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
