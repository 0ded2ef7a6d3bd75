/* SPDX-License-Identifier: ISC */
#include "http/http_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "http_bed.h"
#include "suite.h"

#define HOST "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST "\r\n"
#define LATE "GET /later HTTP/1.1\r\n" HOST "\r\n"

enum { CLIENTS = 4 };

static struct bed bed;
static int listen_fd;
static struct sockaddr_in address;
static struct http_server *server;
static struct client clients[CLIENTS];
static int n_clients;

/* How often the kernel has no room to watch the listener; and whether the loop
 * stops when that is watched no longer. */
static int n_no_room;
static bool until_deaf;

int
epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && fd == listen_fd && n_no_room > 0) {
		n_no_room--;
		errno = ENOSPC;
		return -1;
	}
	if (op == EPOLL_CTL_DEL && fd == listen_fd && until_deaf)
		loop_stop(bed.loop);
	return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

static void
setup(void)
{
	socklen_t len = sizeof(address);

	bed_init(&bed);
	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	address = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_int_eq(
	    bind(listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listen_fd, 100), 0);
	ck_assert_int_eq(
	    getsockname(listen_fd, (struct sockaddr *)&address, &len), 0);
	n_clients = 0;
}

static void
start_server(void)
{
	server = http_server_create(
	    bed.loop, &listen_fd, 1, &bed.settings, &bed.handler);
	ck_assert_ptr_nonnull(server);
}

static void
teardown(void)
{
	http_server_free(&server);
	http_server_free(&server);
	for (int i = 0; i < n_clients; i++)
		client_fini(&clients[i]);
	close(listen_fd);
	bed_fini(&bed);
}

static struct client *
connect_one(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_lt(n_clients, CLIENTS);
	ck_assert_int_eq(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	client_init(&clients[n_clients], &bed, fd);
	return &clients[n_clients++];
}

START_TEST(test_serves)
{
	struct client *a, *b;

	start_server();
	a = connect_one();
	b = connect_one();
	client_send(a, LATE);
	bed_wait(&bed, 1);
	client_send(b, GET GET);
	client_expect(b, "HTTP/1.1 200 OK\r\n");
	bed_answer(&bed);
	client_expect(a, "late");
	ck_assert_int_eq(http_server_counts(server)->conns, 2);
	ck_assert_int_eq(http_server_counts(server)->accepted, 2);
	ck_assert_int_gt(http_server_counts(server)->memory_bytes, 0);
}
END_TEST

/* At the limit the one that is idle for the longest time makes room. */
START_TEST(test_idle_makes_room)
{
	struct client *a, *b, *c;

	bed.settings.max_conns = 2;
	start_server();
	a = connect_one();
	client_send(a, GET);
	client_expect(a, "HTTP/1.1 200 OK\r\n");
	b = connect_one();
	client_send(b, GET);
	client_expect(b, "HTTP/1.1 200 OK\r\n");
	c = connect_one();
	client_send(c, GET);
	client_expect(c, "HTTP/1.1 200 OK\r\n");
	client_expect_end(a);
	client_send(b, GET);
	client_expect(b, "HTTP/1.1 200 OK\r\n");
	ck_assert_int_eq(http_server_counts(server)->displaced, 1);
	ck_assert_int_eq(http_server_counts(server)->conns, 2);
}
END_TEST

/* While all are being served it listens to nobody; then it does again. */
START_TEST(test_listens_again)
{
	struct client *a, *b;

	bed.settings.max_conns = 1;
	start_server();
	a = connect_one();
	for (int i = 0; i < 3; i++) {
		client_send(a, LATE);
		bed_wait(&bed, 1);
		b = connect_one();
		client_send(b, GET);
		bed_answer(&bed);
		client_expect(b, "HTTP/1.1 200 OK\r\n");
		ck_assert(!bed.reserve);
		client_expect_end(a);
		a = b;
	}
	ck_assert_int_eq(http_server_counts(server)->displaced, 3);
}
END_TEST

START_TEST(test_no_room_for_the_listener)
{
	struct client *a, *b;

	bed.settings.max_conns = 1;
	start_server();
	a = connect_one();
	client_send(a, LATE);
	bed_wait(&bed, 1);
	b = connect_one();
	client_send(b, GET);
	until_deaf = true;
	bed_run(&bed);
	until_deaf = false;
	n_no_room = 2;
	bed_answer(&bed);
	client_expect(b, "HTTP/1.1 200 OK\r\n");
	ck_assert_int_eq(n_no_room, 0);
}
END_TEST

/* After a moment of that a few are let in, for one answer each. */
START_TEST(test_reserve)
{
	struct client *a, *b;

	bed.settings.max_conns = 1;
	start_server();
	a = connect_one();
	client_send(a, LATE);
	bed_wait(&bed, 1);
	b = connect_one();
	client_send(b, GET);
	client_expect(b, "Connection: close\r\n");
	ck_assert(bed.reserve);
	client_expect_end(b);
	ck_assert_int_eq(http_server_counts(server)->displaced, 0);
	bed_answer(&bed);
	client_expect(a, "late");
}
END_TEST

/* Requests that divide what is read at once, more of them than are read. */
static struct loop_io *flood_io;
static size_t flood_at;

static void
flood(int fd, unsigned events, void *arg)
{
	static const char head[] = "GET / HTTP/1.1\r\n" HOST "x: ";
	char request[1024];
	ssize_t n;

	(void)events;
	(void)arg;
	memset(request, 'x', sizeof(request));
	memcpy(request, head, sizeof(head) - 1);
	memcpy(request + sizeof(request) - 4, "\r\n\r\n", 4);
	while (
	    (n = write(fd, request + flood_at, sizeof(request) - flood_at)) > 0)
		flood_at = (flood_at + (size_t)n) % sizeof(request);
}

static void
drop(int fd, unsigned events, void *arg)
{
	char bytes[65536];

	(void)events;
	while (read(fd, bytes, sizeof(bytes)) > 0)
		if (bed.n_handled > 1000 && n_clients == 2)
			loop_stop(arg);
}

/* One who never lets us wait puts nothing off. */
START_TEST(test_reserve_in_a_flood)
{
	struct client *a, *b, *c;

	bed.settings.max_conns = 2;
	bed.settings.max_requests = INT64_MAX;
	start_server();
	a = connect_one();
	client_send(a, LATE);
	bed_wait(&bed, 1);
	b = connect_one();
	loop_io_free(&b->io);
	b->io = loop_io_create(bed.loop, b->fd, LOOP_READ, drop, bed.loop);
	flood_io =
	    loop_io_create(bed.loop, dup(b->fd), LOOP_WRITE, flood, NULL);
	bed_run(&bed);
	c = connect_one();
	client_send(c, GET);
	client_expect(c, "HTTP/1.1 200 OK\r\n");
	loop_io_free(&flood_io);
	ck_assert_int_eq(http_server_counts(server)->displaced, 0);
}
END_TEST

START_TEST(test_per_address)
{
	struct client *a;

	bed.settings.max_per_address = 1;
	start_server();
	a = connect_one();
	client_send(a, GET);
	client_expect(a, "HTTP/1.1 200 OK\r\n");
	client_expect_end(connect_one());
	client_send(a, GET);
	client_expect(a, "HTTP/1.1 200 OK\r\n");
	ck_assert_int_eq(http_server_counts(server)->refused, 1);
}
END_TEST

/* What was begun is answered, idle ones end, and then it is told. */
START_TEST(test_drain)
{
	struct client *a, *idle;

	start_server();
	a = connect_one();
	client_send(a, LATE);
	bed_wait(&bed, 1);
	idle = connect_one();
	client_send(idle, GET);
	client_expect(idle, "HTTP/1.1 200 OK\r\n");
	http_server_drain(server, &(struct http_drain){.idle_ms = 10});
	client_expect_end(idle);
	ck_assert(!bed.drained);
	bed_answer(&bed);
	client_expect(a, "late");
	client_expect_end(a);
	ck_assert_int_eq(shutdown(a->fd, SHUT_WR), 0);
	while (!bed.drained)
		bed_run(&bed);
	ck_assert_int_eq(http_server_counts(server)->conns, 0);
}
END_TEST

static void
more_for_ever(void *arg)
{
	struct http_exchange *x = arg;

	for (int i = 0; i < 65536; i++)
		(void)buf_append_char(&x->body, '.');
}

static void
stop_for_ever(void *arg, int status, const char *reason)
{
	struct http_exchange *x = arg;

	(void)status;
	(void)reason;
	x->sink.done = true;
}

static void
end_for_ever(void *arg)
{
	(void)arg;
}

static void
answer_for_ever(struct http_exchange *x)
{
	http_exchange_answer(x, 200, "text/plain");
	x->sink = (struct http_sink){.more = more_for_ever,
	    .stop = stop_for_ever,
	    .end = end_for_ever,
	    .arg = x};
}

/* Whoever does not take his answer, or send the rest of a request, has a part of
 * the time; what is being served has all of it. */
START_TEST(test_drain_of_slow_clients)
{
	struct client *deaf, *half, *late;

	bed.stream = answer_for_ever;
	bed.late_bytes = 8 << 20; /* more than a socket takes at once */
	bed.settings.max_memory_bytes = 16 * bed.late_bytes;
	bed.settings.write_timeout_ms = bed.settings.header_timeout_ms =
	    bed.settings.body_timeout_ms = 3600000;
	start_server();
	deaf = connect_one();
	client_send(deaf, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
	client_expect(deaf, "HTTP/1.1 200 OK\r\n");
	loop_io_want(deaf->io, 0);
	half = connect_one();
	client_send(half, GET "GET");
	client_expect(half, "HTTP/1.1 200 OK\r\n");
	late = connect_one();
	client_send(late, LATE);
	bed_wait(&bed, 1);
	http_server_drain(
	    server, &(struct http_drain){.idle_ms = 10, .begun_ms = 1000});
	client_expect(half, "HTTP/1.1 408 ");
	client_expect_end(half);
	bed_answer(&bed);
	client_expect_end(late);
	ck_assert_uint_gt(late->len, bed.late_bytes);
	ck_assert_int_eq(shutdown(half->fd, SHUT_WR), 0);
	ck_assert_int_eq(shutdown(late->fd, SHUT_WR), 0);
	while (!bed.drained)
		bed_run(&bed);
	ck_assert_int_eq(http_server_counts(server)->conns, 0);
}
END_TEST

START_TEST(test_drain_without_connections)
{
	start_server();
	http_server_drain(server, &(struct http_drain){.idle_ms = 10});
	ck_assert(bed.drained);
}
END_TEST

/* The last server of a socket leaves nobody in its backlog. */
START_TEST(test_drain_of_the_last)
{
	struct client *a;

	start_server();
	a = connect_one();
	client_send(a, GET);
	http_server_drain(server,
	    &(struct http_drain){.last = true, .idle_ms = 10000});
	client_expect(a, "Connection: close\r\n");
	client_expect_end(a);
}
END_TEST

/* Its connections end with it, whatever they do. */
START_TEST(test_free)
{
	struct client *a, *b, *c;

	start_server();
	a = connect_one();
	client_send(a, LATE);
	bed_wait(&bed, 1);
	b = connect_one();
	client_send(b, GET "GE");
	client_expect(b, "HTTP/1.1 200 OK\r\n");
	c = connect_one();
	client_send(c, GET);
	client_expect(c, "HTTP/1.1 200 OK\r\n");
	http_server_free(&server);
	client_expect_end(a);
	client_expect_end(b);
	client_expect_end(c);
	ck_assert(!bed.drained);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tc = tcase_create("http_server");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_serves);
	tcase_add_test(tc, test_idle_makes_room);
	tcase_add_test(tc, test_listens_again);
	tcase_add_test(tc, test_no_room_for_the_listener);
	tcase_add_test(tc, test_reserve);
	tcase_add_test(tc, test_reserve_in_a_flood);
	tcase_add_test(tc, test_per_address);
	tcase_add_test(tc, test_drain);
	tcase_add_test(tc, test_drain_of_slow_clients);
	tcase_add_test(tc, test_drain_without_connections);
	tcase_add_test(tc, test_drain_of_the_last);
	tcase_add_test(tc, test_free);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
