/* SPDX-License-Identifier: ISC */
#include "worker/transport.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

enum {
	SHORT_MS = 100,
	MEDIUM_MS = 1000, /* a connection is begun within that */
	LONG_MS = 600000,
	MAX_HEADER_BYTES = 1024,
	RECEIVED_BYTES_MAX = 65536,
	MAX_LOOKUPS = 2
};

static struct loop *loop;
static struct transport *transport;
static CURLcode ended_with;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned n_hanging;
static bool answers;

/* Takes the place of the C library's: a name server that hangs. */
int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
    struct addrinfo **result)
{
	(void)node;
	(void)service;
	(void)hints;
	*result = NULL;
	(void)pthread_mutex_lock(&mutex);
	n_hanging++;
	(void)pthread_cond_broadcast(&changed);
	while (!answers)
		(void)pthread_cond_wait(&changed, &mutex);
	(void)pthread_mutex_unlock(&mutex);
	return EAI_AGAIN;
}

static bool no_watches;

/* The same: the kernel may have no room for one more. */
int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && no_watches) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static _Atomic int64_t parsed_row_id;

static void
setup(int64_t timeout_ms)
{
	const struct transport_config config = {
	    .max_transfers = 1,
	    .connect_timeout_ms = timeout_ms,
	    .timeout_ms = timeout_ms,
	    .max_received_bytes = RECEIVED_BYTES_MAX,
	    .max_header_bytes = MAX_HEADER_BYTES,
	    .max_lookups = MAX_LOOKUPS,
	    .lookup_share = MAX_LOOKUPS,
	    .parsed_row_id = &parsed_row_id,
	};
	struct err err;

	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	transport = transport_create(loop, &config, &err);
	ck_assert_ptr_nonnull(transport);
}

static void
setup_short(void)
{
	setup(SHORT_MS);
}

static void
setup_medium(void)
{
	setup(MEDIUM_MS);
}

static void
setup_long(void)
{
	setup(LONG_MS);
}

static void
teardown(void)
{
	transport_free(&transport);
	loop_free(loop);
}

static size_t
count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		n += entry->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

/* What their threads have is no leak. */
static void
end_lookups(void)
{
	(void)pthread_mutex_lock(&mutex);
	answers = true;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&mutex);
	while (count_threads() > 1)
		(void)usleep(1000);
}

static void
teardown_with_lookups(void)
{
	teardown();
	end_lookups();
}

static void
on_end(void *arg, const struct transport_end *end)
{
	(void)arg;
	ended_with = end->code;
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
	(void)start();
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(ended_with, CURLE_OPERATION_TIMEDOUT);
}
END_TEST

static struct loop_timer *poll_timer;
static unsigned n_wanted;

/* Until so many look-ups hang. */
static void
stop_when_hanging(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&mutex);
	if (n_hanging >= n_wanted)
		loop_stop(loop);
	(void)pthread_mutex_unlock(&mutex);
	loop_timer_set(poll_timer, 1);
}

static void
run_until_hanging(unsigned n)
{
	n_wanted = n;
	poll_timer = loop_timer_create(loop, stop_when_hanging, NULL);
	loop_timer_set(poll_timer, 1);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_free(&poll_timer);
}

START_TEST(test_cancel_slow_look_up)
{
	struct transfer *transfer = start();

	run_until_hanging(1);
	transport_cancel(transfer);
}
END_TEST

/* ---- a destination ---- */

enum { ROW_ID = 4711, OTHER_ROW_ID, EXCHANGES = 3 };

struct peer {
	int listener;
	char url[64];
	size_t n_received;
	pthread_t thread;
};

/* Answers what comes on one connection until its end. */
static void *
serve(void *arg)
{
	static const char answer[] =
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct peer *peer = arg;
	char bytes[4096];
	int fd = accept(peer->listener, NULL, NULL);
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		peer->n_received += (size_t)n;
		if (write(fd, answer, sizeof(answer) - 1) == -1)
			break;
	}
	(void)close(fd);
	return NULL;
}

static void
peer_url(struct peer *peer)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	ck_assert_int_eq(
	    getsockname(peer->listener, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(peer->url, sizeof(peer->url), "http://127.0.0.1:%u/",
	    ntohs(at.sin_port));
}

/* Without a thread it never answers. */
static void
peer_listen(struct peer *peer)
{
	struct sockaddr_in at = {.sin_family = AF_INET};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*peer = (struct peer){.listener = socket(AF_INET, SOCK_STREAM, 0)};
	ck_assert_int_eq(
	    bind(peer->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(peer->listener, 1), 0);
	peer_url(peer);
}

static void
peer_start(struct peer *peer)
{
	peer_listen(peer);
	ck_assert_int_eq(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

/* After transport_free, which ends the connection. */
static void
peer_stop(struct peer *peer)
{
	(void)pthread_join(peer->thread, NULL);
	(void)close(peer->listener);
}

struct exchange_seen {
	int64_t row_id_amid;
	unsigned n_asked;
	bool may_send, unsent;
	enum transport_fault fault;
	int status;
};

static bool
see_body(void *arg, int status, struct slice bytes)
{
	struct exchange_seen *seen = arg;

	(void)status;
	(void)bytes;
	seen->row_id_amid = parsed_row_id;
	return true;
}

static bool
say_whether(void *arg)
{
	struct exchange_seen *seen = arg;

	seen->n_asked++;
	return seen->may_send;
}

static void
see_end(void *arg, const struct transport_end *end)
{
	struct exchange_seen *seen = arg;

	ended_with = end->code;
	seen->fault = end->fault;
	seen->unsent = end->fault == FAULT_UNSENT;
	seen->status = end->status;
	loop_stop(loop);
}

static void
exchange(const struct peer *peer, struct exchange_seen *seen, int64_t row_id)
{
	const struct transport_request request = {
	    .method = "GET",
	    .url = peer->url,
	    .row_id = row_id,
	    .may_send = say_whether,
	    .on_body = see_body,
	    .on_end = see_end,
	    .arg = seen,
	};

	ck_assert_ptr_nonnull(transport_start(transport, &request));
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(parsed_row_id, 0);
}

/* Whose bytes libcurl works on is to be seen from outside. */
START_TEST(test_parsed_row_id)
{
	struct peer peer;

	peer_start(&peer);
	for (int64_t i = 0; i < EXCHANGES; i++) {
		struct exchange_seen seen = {.may_send = true};

		exchange(&peer, &seen, ROW_ID + i);
		ck_assert_int_eq(ended_with, CURLE_OK);
		ck_assert_int_eq(seen.status, 200);
		ck_assert_int_eq(seen.row_id_amid, ROW_ID + i);
		ck_assert(!seen.unsent);
	}
	teardown();
	peer_stop(&peer);
}
END_TEST

/* Also on a connection that was kept. */
START_TEST(test_forbidden_when_the_connection_stands)
{
	struct exchange_seen first = {.may_send = _i != 0};
	struct exchange_seen second = {.may_send = false};
	struct peer peer;
	size_t n_received;

	peer_start(&peer);
	exchange(&peer, &first, ROW_ID);
	ck_assert(first.unsent == !first.may_send);
	n_received = peer.n_received;
	ck_assert((n_received == 0) == first.unsent);
	if (first.may_send) {
		exchange(&peer, &second, OTHER_ROW_ID);
		ck_assert_int_eq(ended_with, CURLE_ABORTED_BY_CALLBACK);
		ck_assert(second.unsent);
		ck_assert_uint_eq(second.n_asked, 1);
	}
	teardown();
	peer_stop(&peer);
	ck_assert_uint_eq(peer.n_received, n_received);
}
END_TEST

/* One too many; an address needs none. */
START_TEST(test_too_many_look_ups)
{
	static const char *const urls[] = {
	    "http://a.invalid/", "http://b.invalid/", "http://c.invalid/"};
	struct exchange_seen seen = {.may_send = true};
	struct peer peer;

	peer_start(&peer);
	for (int i = 0; i < MAX_LOOKUPS; i++) {
		const struct transport_request request = {
		    .method = "GET", .url = urls[i], .on_end = on_end};

		struct transfer *transfer = transport_start(transport, &request);

		ck_assert_ptr_nonnull(transfer);
		run_until_hanging((unsigned)i + 1);
		transport_cancel(transfer);
	}
	/* Nobody waits for them any more, but their threads are there. */
	(void)snprintf(peer.url, sizeof(peer.url), "%s", urls[MAX_LOOKUPS]);
	exchange(&peer, &seen, ROW_ID);
	ck_assert_int_eq(seen.fault, FAULT_OURS);
	peer_url(&peer);
	exchange(&peer, &seen, ROW_ID);
	ck_assert_int_eq(seen.fault, FAULT_NONE);
	ck_assert_int_eq(seen.status, 200);
	teardown();
	peer_stop(&peer);
	end_lookups();
}
END_TEST

/* Want of ours, and of that transfer alone. */
START_TEST(test_socket_that_cannot_be_watched)
{
	struct exchange_seen seen = {.may_send = true};
	struct peer peer;

	peer_listen(&peer);
	no_watches = true;
	exchange(&peer, &seen, ROW_ID);
	no_watches = false;
	ck_assert_int_eq(ended_with, CURLE_OPERATION_TIMEDOUT);
	ck_assert_int_eq(seen.fault, FAULT_OURS);
	exchange(&peer, &seen, ROW_ID);
	ck_assert_int_eq(ended_with, CURLE_OPERATION_TIMEDOUT);
	ck_assert_int_eq(seen.fault, FAULT_NONE);
	teardown();
	(void)close(peer.listener);
}
END_TEST

/* Before 7.87 the end of a transfer waits for that. */
static bool
ends_amid_a_look_up(void)
{
	return curl_version_info(CURLVERSION_NOW)->version_num >= 0x075700;
}

int
main(void)
{
	Suite *suite = suite_create("transport");
	TCase *tc = tcase_create("transport");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_short, teardown_with_lookups);
	if (ends_amid_a_look_up())
		tcase_add_test(tc, test_slow_look_up);
	suite_add_tcase(suite, tc);
	tc = tcase_create("cancelled");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_long, teardown_with_lookups);
	if (ends_amid_a_look_up())
		tcase_add_test(tc, test_cancel_slow_look_up);
	suite_add_tcase(suite, tc);
	tc = tcase_create("destination");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_long, NULL);
	tcase_add_test(tc, test_parsed_row_id);
	tcase_add_loop_test(
	    tc, test_forbidden_when_the_connection_stands, 0, 2);
	if (ends_amid_a_look_up())
		tcase_add_test(tc, test_too_many_look_ups);
	suite_add_tcase(suite, tc);
	tc = tcase_create("unwatched");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_medium, NULL);
	tcase_add_test(tc, test_socket_that_cannot_be_watched);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
