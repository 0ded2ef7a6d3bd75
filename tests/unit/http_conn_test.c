/* SPDX-License-Identifier: ISC */
#include "http/http_conn.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "http_bed.h"
#include "suite.h"

#define HOST     "Host: h\r\n"
#define GET      "GET / HTTP/1.1\r\n" HOST "\r\n"
#define LATE     "GET /later HTTP/1.1\r\n" HOST "\r\n"
#define POST_ONE "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"

static struct bed bed;
static struct http_conns conns;
static struct client client;
static int n_changes, n_reads, n_epoll_calls;
static bool lies; /* there is more to read, it seems */

/* The server's, instead of the C library's: with a second byte that is there
 * and cannot be read. */
ssize_t
recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t n;

	if (lies && n_reads++ > 0) {
		errno = EAGAIN;
		return -1;
	}
	n = syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
	if (lies)
		ck_assert_int_eq(write(client.fd, "x", 1), 1);
	return n;
}

/* What the kernel has no room to watch for. */
static uint32_t no_room;

/* The server wants to know when it can write. */
static bool until_writing;

int
epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	n_epoll_calls++;
	if (op == EPOLL_CTL_ADD && (event->events & no_room) != 0) {
		errno = ENOSPC;
		return -1;
	}
	if (op == EPOLL_CTL_ADD && (event->events & EPOLLOUT) != 0 &&
	    until_writing)
		loop_stop(bed.loop);
	return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

static void
note_change(void *arg)
{
	(void)arg;
	n_changes++;
}

static bool
free_none(void *arg)
{
	(void)arg;
	return false;
}

static const struct http_conns_owner owner = {note_change, free_none};

static void
setup(void)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	struct peer *peer;
	int fds[2];

	bed_init(&bed);
	http_conns_init(
	    &conns, bed.loop, &bed.settings, &bed.handler, &owner, NULL);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = peers_join(&conns.peers, &address);
	ck_assert_ptr_nonnull(peer);
	peer->memory =
	    (struct buf_budget){.max = bed.settings.sizes.max_request_bytes,
		.whole = &conns.memory};
	ck_assert_int_eq(http_conn_open(&conns, fds[0], peer, false), 0);
	client_init(&client, &bed, fds[1]);
	lies = false;
	n_reads = 0;
}

static void
teardown(void)
{
	if (!LIST_EMPTY(&conns.all))
		http_conn_close(LIST_FIRST(&conns.all));
	ck_assert_int_eq(conns.n, 0);
	http_conns_fini(&conns);
	client_fini(&client);
	bed_fini(&bed);
}

/*
 * A socket may seem readable and not be. Room for the read has been made by
 * then: what is known of the head is somewhere else.
 */
START_TEST(test_room_without_a_read)
{
	bed.settings.body_timeout_ms = 50;
	lies = true;
	client_send(&client,
	    "HEAD / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\nbytes");
	client_expect(&client, "HTTP/1.1 408 Request Timeout\r\n");
	ck_assert_int_gt(n_reads, 1);
	/* It was a HEAD. */
	ck_assert_str_eq(client.got + strlen(client.got) - 4, "\r\n\r\n");
	ck_assert_int_eq(conns.counts.answered[4], 1);
}
END_TEST

START_TEST(test_one_after_the_other)
{
	client_send(&client, POST_ONE "a" POST_ONE "b" LATE POST_ONE "c");
	client_expect(&client, "\r\n\r\nb");
	bed_wait(&bed, 1);
	ck_assert_int_eq(bed.n_handled, 3);
	bed_answer(&bed);
	client_expect(&client, "\r\n\r\nc");
	ck_assert(strstr(client.got, "\r\n\r\nlate") != NULL);
	ck_assert_int_eq(bed.n_handled, 4);
	ck_assert_int_eq(conns.counts.answered[2], 4);
	ck_assert_ptr_null(LIST_FIRST(&conns.all)->x);
}
END_TEST

/* Two calls for each was 6 % of the time of a service. */
START_TEST(test_waiting_costs_no_epoll_calls)
{
	client_send(&client, LATE);
	bed_wait(&bed, 1);
	bed_answer(&bed);
	client_expect(&client, "late");
	n_epoll_calls = 0;
	for (int i = 0; i < 100; i++) {
		client_send(&client, LATE);
		bed_wait(&bed, 1);
		bed_answer(&bed);
		client_expect(&client, "late");
	}
	ck_assert_int_eq(n_epoll_calls, 0);
}
END_TEST

static void
answer_soon(void *arg)
{
	bed_answer(arg);
}

/* Who sends before it has its answer is heard after it, and nothing spins. */
START_TEST(test_sends_while_it_waits)
{
	struct loop_timer *timer =
	    loop_timer_create(bed.loop, answer_soon, &bed);

	client_send(&client, LATE);
	bed_wait(&bed, 1);
	client_send(&client, POST_ONE "z");
	n_reads = 0;
	loop_timer_set(timer, 50);
	client_expect(&client, "\r\n\r\nz");
	ck_assert_int_eq(bed.n_handled, 2);
	loop_timer_free(&timer);
}
END_TEST

/* What the client sends, and how the answer, after which it ends, starts. */
static const struct {
	const char *request, *answer;
} refused[] = {
    {"GET / HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505 "},
    {"GET /\r\n" GET, "HTTP/1.1 400 "},
    {POST_ONE "xGET * HTTP/1.1\r\n" HOST "\r\n" GET, "HTTP/1.1 400 "},
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET,
	"HTTP/1.1 200 "},
    {"GET / HTTP/1.0\r\n\r\n" GET, "HTTP/1.1 200 "},
};

START_TEST(test_refused)
{
	client_send(&client, refused[_i].request);
	client_expect(&client, refused[_i].answer);
	client.len = strlen(client.got);
	ck_assert(client_has(&client, "\r\nConnection: close\r\n"));
	client_expect_end(&client);
	ck_assert_int_le(bed.n_handled, 1);
}
END_TEST

START_TEST(test_continue)
{
	client_send(&client,
	    "POST / HTTP/1.1\r\n" HOST
	    "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	client_expect(&client, "HTTP/1.1 100 Continue\r\n\r\n");
	client_send(&client, "y");
	client_expect(&client, "\r\n\r\ny");
}
END_TEST

START_TEST(test_requests_of_a_connection)
{
	bed.settings.max_requests = 2;
	client_send(&client, GET);
	client_expect(&client, "HTTP/1.1 200 OK\r\n");
	client_send(&client, GET);
	client_expect(&client, "Connection: close\r\n");
	client_expect_end(&client);
}
END_TEST

START_TEST(test_idle_ends)
{
	struct http_conn *c = LIST_FIRST(&conns.all);

	conns.idle_timeout_ms = 10;
	http_conn_drain(c);
	client_expect_end(&client);
	ck_assert(LIST_EMPTY(&conns.all));
	ck_assert_int_gt(n_changes, 0);
}
END_TEST

/* Gone while its answer is waited for: that is found out with the answer. */
START_TEST(test_gone_while_it_waits)
{
	client_send(&client, LATE LATE);
	bed_wait(&bed, 1);
	loop_io_want(client.io, 0);
	ck_assert_int_eq(shutdown(client.fd, SHUT_RDWR), 0);
	bed_answer(&bed);
	ck_assert(LIST_EMPTY(&conns.all));
}
END_TEST

#define GET16 GET GET GET GET GET GET GET GET GET GET GET GET GET GET GET GET

/* Of a turn there are 16 answers and one: then it waits for its socket. */
START_TEST(test_no_room_to_watch_it)
{
	no_room = EPOLLOUT;
	client_send(&client, GET16 GET GET);
	client_expect_end(&client);
	ck_assert_int_eq(bed.n_handled, 17);
	ck_assert(LIST_EMPTY(&conns.all));
	no_room = 0;
}
END_TEST

static void
stop(void *arg)
{
	loop_stop(arg);
}

/* Nothing of a request that is being served may go. */
START_TEST(test_no_room_while_it_waits)
{
	struct loop_timer *timer = loop_timer_create(bed.loop, stop, bed.loop);

	ck_assert_ptr_nonnull(timer);
	no_room = EPOLLIN;
	client_send(&client, GET16 GET LATE);
	bed_wait(&bed, 1);
	client_send(&client, GET);
	no_room = 0;
	loop_timer_set(timer, 1);
	bed_run(&bed);
	loop_timer_free(&timer);
	bed_answer(&bed);
	client_expect(&client, "late");
	client_expect(&client, "HTTP/1.1 200 OK\r\n");
}
END_TEST

/* ---- bodies that are streamed ---- */

static struct {
	int left;     /* pieces */
	size_t piece; /* bytes */
	bool fails;   /* in the place of the end */
	int n_read, n_ended;
} source;

static void
more_of_source(void *arg)
{
	struct http_exchange *x = arg;

	source.n_read++;
	x->sink.done = source.left == 0 && !source.fails;
	x->body.failed = source.left == 0 && source.fails;
	if (source.left == 0)
		return;
	source.left--;
	for (size_t i = 0; i < source.piece; i++)
		buf_append_char(&x->body, 's');
}

static void
stop_source(void *arg, int status, const char *reason)
{
	struct http_exchange *x = arg;

	(void)status;
	(void)reason;
	x->sink.done = true;
}

static void
end_source(void *arg)
{
	(void)arg;
	source.n_ended++;
}

static void
stream_source(struct http_exchange *x)
{
	x->sink = (struct http_sink){.more = more_of_source,
	    .stop = stop_source,
	    .end = end_source,
	    .arg = x};
}

static const struct {
	const char *request;
	bool fails;
	const char *answer, *body; /* all of it */
	bool ends;                 /* the connection */
} streams[] = {
    {"GET /stream HTTP/1.1\r\n" HOST "\r\n", false,
	"Transfer-Encoding: chunked\r\n\r\n",
	"3\r\nsss\r\n3\r\nsss\r\n0\r\n\r\n", false},
    {"GET /stream HTTP/1.0\r\n\r\n", false, "Connection: close\r\n\r\n",
	"ssssss", true},
    {"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false,
	"Connection: close\r\n\r\n", "ssssss", true},
    {"GET /stream HTTP/1.1\r\n" HOST "\r\n", true,
	"Transfer-Encoding: chunked\r\n\r\n", "3\r\nsss\r\n3\r\nsss\r\n", true},
};

START_TEST(test_stream)
{
	char answer[200];
	const char *body;

	bed.stream = stream_source;
	source.left = 2;
	source.piece = 3;
	source.fails = streams[_i].fails;
	(void)snprintf(answer, sizeof(answer), "%s%s", streams[_i].answer,
	    streams[_i].body);
	client_send(&client, streams[_i].request);
	client_expect(&client, answer);
	body = strstr(client.got, "\r\n\r\n") + 4;
	ck_assert_str_eq(body, streams[_i].body);
	if (streams[_i].ends) {
		client_expect_end(&client);
	} else {
		client_send(&client, GET);
		client_expect(&client, "Content-Length: 0\r\n\r\n");
	}
	ck_assert_int_eq(source.n_ended, 1);
}
END_TEST

/* After its share of a turn who takes all that it gets is not deaf. */
START_TEST(test_waits_for_its_turn)
{
	const struct http_conn *c = LIST_FIRST(&conns.all);

	until_writing = true;
	client_send(&client, GET16 GET GET);
	bed_run(&bed);
	until_writing = false;
	ck_assert_int_eq(c->state, CONN_WRITING);
	ck_assert_int_gt(http_conn_progress(c, c->moved_ms), 0);
	/* Unless there is no turn for it any more. */
	ck_assert_int_eq(http_conn_progress(c, c->moved_ms + 1000), 0);
}
END_TEST

/* As much is read as the client takes, and a little more. */
START_TEST(test_stream_to_a_slow_client)
{
	bed.stream = stream_source;
	source.left = 10000;
	source.piece = 1000;
	client_send(&client, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	client_expect(&client, "\r\n\r\n");
	ck_assert_int_lt(source.n_read, 5000);
	ck_assert_uint_lt(conns.memory.used, 100000);
	/* It leaves amid the answer. */
	http_conn_close(LIST_FIRST(&conns.all));
	ck_assert_int_eq(source.n_ended, 1);
}
END_TEST

/* ---- a body that is taken as it comes ---- */

#define SINK "POST /sink HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

static struct {
	struct http_exchange *x;
	size_t room; /* bytes that it takes at once */
	size_t n_taken;
	int n_more, n_ended;
	int stopped; /* the status; -1 for 0, -2 for none */
	bool stays_busy;
	size_t n_more_bytes; /* of an answer, more than its socket takes */
} sink;

static void
echo(struct slice bytes)
{
	if (sink.n_taken == 0)
		http_exchange_answer(sink.x, 200, "text/plain");
	buf_append_slice(&sink.x->body, bytes);
	sink.n_taken += bytes.len;
	for (; sink.n_more_bytes > 0; sink.n_more_bytes--)
		buf_append_char(&sink.x->body, '.');
}

static size_t
sink_take(void *arg, struct slice bytes, bool last)
{
	struct slice taken = bytes;

	(void)arg;
	if (sink.x->sink.busy)
		return 0;
	if (taken.len > sink.room)
		taken.len = sink.room;
	echo(taken);
	sink.x->sink.busy = sink.stays_busy;
	if (last && taken.len == bytes.len && !sink.stays_busy)
		sink.x->sink.done = true;
	if (sink.stays_busy)
		loop_stop(bed.loop);
	return taken.len;
}

static void
sink_more(void *arg)
{
	(void)arg;
	sink.n_more++;
	sink.x->sink.done = true;
}

static void
sink_stop(void *arg, int status, const char *reason)
{
	(void)arg;
	sink.stopped = status == 0 ? -1 : status;
	if (status != 0)
		buf_append_string(&sink.x->body, reason);
	sink.x->sink.done = !sink.x->sink.busy;
	loop_stop(bed.loop);
}

static void
sink_end(void *arg)
{
	(void)arg;
	sink.n_ended++;
	loop_stop(bed.loop);
}

static void
open_sink(struct http_exchange *x)
{
	sink.x = x;
	x->sink = (struct http_sink){.take = sink_take,
	    .more = sink_more,
	    .stop = sink_stop,
	    .end = sink_end};
}

static void
setup_sink(void)
{
	setup();
	memset(&sink, 0, sizeof(sink));
	sink.room = 1000;
	sink.stopped = -2;
	bed.stream = open_sink;
}

/* Both ways at once, and the next request after it. */
START_TEST(test_sink)
{
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "\r\n3\r\nabc\r\n");
	client_send(&client, "2\r\nde\r\n");
	client_expect(&client, "2\r\nde\r\n");
	client_send(&client, "0\r\nTrailer: x\r\n\r\n" GET);
	client_expect(&client, "0\r\n\r\nHTTP/1.1 200 OK\r\n");
	ck_assert_int_eq(sink.n_ended, 1);
	ck_assert_int_eq(sink.stopped, -2);
	ck_assert_int_eq(bed.n_handled, 1);
}
END_TEST

/* What is complete with its first piece has a length. */
START_TEST(test_sink_at_once)
{
	client_send(&client,
	    "POST /sink HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd" GET);
	client_expect(&client, "\r\n\r\nabcdHTTP/1.1 200 OK\r\n");
	ck_assert_int_eq(sink.n_ended, 1);
}
END_TEST

/* A sink with little room is asked until it has all; one that is busy, when it
 * says that it is not. */
START_TEST(test_sink_with_little_room)
{
	sink.room = 2;
	client_send(&client,
	    "POST /sink HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\nabcdefg");
	client_expect(&client, "\r\n2\r\nab\r\n2\r\ncd\r\n"
			       "2\r\nef\r\n1\r\ng\r\n0\r\n\r\n");
	sink.n_taken = 0;
	sink.stays_busy = true;
	client_send(&client,
	    "POST /sink HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nABCD");
	client_expect(&client, "2\r\nAB\r\n");
	ck_assert_uint_eq(sink.n_taken, 2);
	ck_assert_int_eq(LIST_FIRST(&conns.all)->place, CONN_NOWHERE);
	sink.x->sink.busy = sink.stays_busy = false;
	http_conn_pushed(sink.x);
	client_expect(&client, "2\r\nCD\r\n0\r\n\r\n");
	ck_assert_int_eq(sink.n_ended, 2);
}
END_TEST

/* Whose framing breaks hears it behind what was answered. */
START_TEST(test_sink_of_bad_framing)
{
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "3\r\nabc\r\n");
	client_send(&client, "x\r\n");
	client_expect(&client, "malformed chunk size\r\n0\r\n\r\n");
	client_expect_end(&client);
	ck_assert_int_eq(sink.stopped, 400);
	ck_assert_int_eq(sink.n_ended, 1);
}
END_TEST

/* Who leaves stays for the sink until that is not busy. */
START_TEST(test_sink_of_a_lost_client)
{
	sink.stays_busy = true;
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "3\r\nabc\r\n");
	ck_assert_int_eq(shutdown(client.fd, SHUT_RDWR), 0);
	while (sink.stopped != -1)
		bed_run(&bed);
	ck_assert_int_eq(conns.n, 1);
	ck_assert_int_eq(sink.n_ended, 0);
	sink.x->sink.busy = false;
	http_conn_pushed(sink.x);
	ck_assert_int_eq(sink.n_ended, 1);
	ck_assert_int_eq(conns.n, 0);
}
END_TEST

/* While it is busy nobody else's need ends it, nor an answer that is not read;
 * then it makes room. */
START_TEST(test_sink_that_is_not_read)
{
	const struct http_conn *c = LIST_FIRST(&conns.all);

	sink.stays_busy = true;
	sink.n_more_bytes = 1 << 20;
	client_send(&client, SINK "3\r\nabc\r\n");
	while (sink.n_taken == 0)
		bed_run(&bed);
	ck_assert_uint_gt(c->out.len, 0);
	ck_assert_int_eq(c->place, CONN_NOWHERE);
	sink.x->sink.busy = false;
	http_conn_pushed(sink.x);
	ck_assert_uint_gt(c->out.len, 0);
	ck_assert_int_eq(c->place, CONN_BUSY);
	http_conn_close(LIST_FIRST(&conns.all));
	ck_assert_int_eq(sink.n_ended, 1);
}
END_TEST

/* Who takes his answer is no slower than who sends. */
START_TEST(test_sink_that_is_read)
{
	const struct http_conn *c = LIST_FIRST(&conns.all);
	int64_t begin_ms;

	sink.stays_busy = true;
	sink.n_more_bytes = 1 << 20;
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "...");
	begin_ms = c->since_ms;
	ck_assert_int_eq(c->state, CONN_STREAMING);
	ck_assert_uint_gt(c->out.len, 0);
	ck_assert_uint_gt(c->out_at, 0);
	ck_assert_int_ge(http_conn_progress(c, begin_ms), (int64_t)c->out_at);
	/* After a second without any it is deaf. */
	ck_assert_int_eq(http_conn_progress(c, c->moved_ms + 1000), 0);
	sink.x->sink.busy = false;
}
END_TEST

/* What a commit takes is not the client's time. */
START_TEST(test_sink_that_is_slow)
{
	const struct http_conn *c = LIST_FIRST(&conns.all);

	bed.settings.body_timeout_ms = 50;
	sink.stays_busy = true;
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "3\r\nabc\r\n");
	ck_assert(sink.x->sink.busy);
	ck_assert_int_eq(c->deadline_ms, INT64_MAX);
	sink.x->sink.busy = sink.stays_busy = false;
	http_conn_pushed(sink.x);
	ck_assert_int_ne(c->deadline_ms, INT64_MAX);
	client_expect(&client, "did not arrive in time\r\n0\r\n\r\n");
	ck_assert_int_eq(sink.stopped, 408);
}
END_TEST

/* A server that stops lets it end. */
START_TEST(test_sink_of_a_drain)
{
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "3\r\nabc\r\n");
	conns.draining = true;
	http_conn_drain(LIST_FIRST(&conns.all));
	client_expect(&client, "send the rest again\r\n0\r\n\r\n");
	client_expect_end(&client);
	ck_assert_int_eq(sink.stopped, 503);
}
END_TEST

/* Between two bytes, not for the whole. */
START_TEST(test_sink_of_silence)
{
	bed.settings.body_timeout_ms = 50;
	client_send(&client, SINK "3\r\nabc\r\n");
	client_expect(&client, "did not arrive in time\r\n0\r\n\r\n");
	ck_assert_int_eq(sink.stopped, 408);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http_conn");
	TCase *tc = tcase_create("http_conn");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_room_without_a_read);
	tcase_add_test(tc, test_one_after_the_other);
	tcase_add_test(tc, test_waiting_costs_no_epoll_calls);
	tcase_add_test(tc, test_sends_while_it_waits);
	tcase_add_loop_test(
	    tc, test_refused, 0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(tc, test_continue);
	tcase_add_test(tc, test_requests_of_a_connection);
	tcase_add_test(tc, test_idle_ends);
	tcase_add_test(tc, test_gone_while_it_waits);
	tcase_add_test(tc, test_no_room_to_watch_it);
	tcase_add_test(tc, test_no_room_while_it_waits);
	tcase_add_loop_test(
	    tc, test_stream, 0, (int)(sizeof(streams) / sizeof(streams[0])));
	tcase_add_test(tc, test_waits_for_its_turn);
	tcase_add_test(tc, test_stream_to_a_slow_client);
	suite_add_tcase(suite, tc);
	tc = tcase_create("sink");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_sink, teardown);
	tcase_add_test(tc, test_sink);
	tcase_add_test(tc, test_sink_at_once);
	tcase_add_test(tc, test_sink_with_little_room);
	tcase_add_test(tc, test_sink_of_bad_framing);
	tcase_add_test(tc, test_sink_of_a_lost_client);
	tcase_add_test(tc, test_sink_that_is_not_read);
	tcase_add_test(tc, test_sink_that_is_read);
	tcase_add_test(tc, test_sink_that_is_slow);
	tcase_add_test(tc, test_sink_of_a_drain);
	tcase_add_test(tc, test_sink_of_silence);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
