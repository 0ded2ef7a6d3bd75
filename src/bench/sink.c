/* SPDX-License-Identifier: ISC */
#include "bench/sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "http/http_parser.h"
#include "http/http_response.h"

enum {
	BACKLOG = 4096,
	REQUEST_MAX_BYTES = 64 * 1024 * 1024,
};

struct peer {
	struct watch watch;
	struct sink *sink;
	int fd;
	struct buf in;
	struct http_parser parser;
	int64_t answer_at_us;
	bool waiting; /* for that time, in sink->delayed */
	TAILQ_ENTRY(peer) entry;
	LIST_ENTRY(peer) all;
};

struct sink {
	struct watch watch;
	const struct poller *poller;
	struct sink_config config;
	int fd;
	unsigned port;
	struct buf answer; /* the same for all */
	TAILQ_HEAD(, peer) delayed;
	LIST_HEAD(, peer) peers;
	uint64_t n_requests;
	size_t in_flight, in_flight_max;
};

static const struct http_limits limits = {
    .max_line_bytes = 16384,
    .max_header_bytes = 131072,
    .max_headers = HTTP_HEADERS_MAX,
    .max_body_bytes = REQUEST_MAX_BYTES,
};

static void
peer_free(struct peer *p)
{
	if (p->waiting) {
		TAILQ_REMOVE(&p->sink->delayed, p, entry);
		p->sink->in_flight--;
	}
	LIST_REMOVE(p, all);
	close(p->fd);
	buf_free(&p->in);
	free(p);
}

/* The answer is far smaller than a socket's buffer: it goes at once. */
static int
answer_delivery(const struct peer *p)
{
	const struct buf *out = &p->sink->answer;
	ssize_t n;

	do
		n = send(p->fd, out->p, out->len, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)out->len ? 0 : -1;
}

static void
delay(struct peer *p)
{
	struct sink *sink = p->sink;

	p->answer_at_us = mono_us() + sink->config.delay_ms * 1000;
	p->waiting = true;
	TAILQ_INSERT_TAIL(&sink->delayed, p, entry);
	if (++sink->in_flight > sink->in_flight_max)
		sink->in_flight_max = sink->in_flight;
}

/* One request is under way per connection. 0, or -1 when it is to be closed. */
static int
read_requests(struct peer *p)
{
	struct sink *sink = p->sink;
	struct http_request req;

	while (!p->waiting && p->in.len > 0) {
		const struct http_header *id;

		switch (http_parse(&p->parser, p->in.p, p->in.len, &req)) {
		case HTTP_BAD:
			return -1;
		case HTTP_HEAD:
		case HTTP_MORE:
			return 0;
		case HTTP_DONE:
			break;
		}
		sink->n_requests++;
		id = http_request_header(&req, "Cassata-Event-Id");
		sink->config.arrived(sink->config.arg,
		    id == NULL ? slice_of("", 0) : id->value, wall_us());
		buf_consume(&p->in, p->parser.consumed);
		http_parser_init(&p->parser, &limits);
		if (sink->config.delay_ms > 0)
			delay(p);
		else if (answer_delivery(p) == -1)
			return -1;
	}
	return 0;
}

static int
receive(struct peer *p)
{
	int got = poller_receive(p->fd, &p->in);

	return got == 1 ? read_requests(p) : got;
}

static void
on_peer(struct watch *watch, uint32_t events)
{
	struct peer *p = (struct peer *)watch;

	(void)events;
	if (receive(p) == -1)
		peer_free(p);
}

static void
peer_create(struct sink *sink, int fd)
{
	static const int on = 1;
	struct peer *p = calloc(1, sizeof(*p));

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (p == NULL) {
		close(fd);
		return;
	}
	p->watch.ready = on_peer;
	p->sink = sink;
	p->fd = fd;
	buf_init(&p->in, REQUEST_MAX_BYTES);
	http_parser_init(&p->parser, &limits);
	LIST_INSERT_HEAD(&sink->peers, p, all);
	if (poller_add(sink->poller, fd, EPOLLIN, &p->watch) == -1)
		peer_free(p);
}

static void
on_accept(struct watch *watch, uint32_t events)
{
	struct sink *sink = (struct sink *)watch;
	int fd;

	(void)events;
	while ((fd = accept4(
		    sink->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		peer_create(sink, fd);
}

static int
listen_on(struct sink *sink, struct err *err)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)sink->config.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(sin);
	static const int on = 1;

	sink->fd =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sink->fd == -1)
		return err_errno(err, "socket");
	if (setsockopt(sink->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ==
		-1 ||
	    bind(sink->fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(sink->fd, BACKLOG) == -1 ||
	    getsockname(sink->fd, (struct sockaddr *)&sin, &len) == -1 ||
	    poller_add(sink->poller, sink->fd, EPOLLIN, &sink->watch) == -1)
		return err_errno(
		    err, "cannot listen on 127.0.0.1:%u", sink->config.port);
	sink->port = ntohs(sin.sin_port);
	return 0;
}

struct sink *
sink_create(const struct poller *poller, const struct sink_config *config,
    struct err *err)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	struct http_response res = {
	    .status = (int)config->status,
	    .minor = 1,
	};

	if (sink == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	sink->watch.ready = on_accept;
	sink->poller = poller;
	sink->config = *config;
	TAILQ_INIT(&sink->delayed);
	LIST_INIT(&sink->peers);
	buf_init(&sink->answer, 1024);
	if (http_response_write(&sink->answer, &res, wall_us() / 1000) == -1) {
		err_set(err, "out of memory");
		sink->fd = -1;
		sink_free(&sink);
	} else if (listen_on(sink, err) == -1) {
		sink_free(&sink);
	}
	return sink;
}

void
sink_free(struct sink **sink)
{
	struct sink *s = *sink;
	struct peer *next;

	if (s == NULL)
		return;
	for (struct peer *p = LIST_FIRST(&s->peers); p != NULL; p = next) {
		next = LIST_NEXT(p, all);
		peer_free(p);
	}
	fd_close(&s->fd);
	buf_free(&s->answer);
	free(s);
	*sink = NULL;
}

unsigned
sink_port(const struct sink *sink)
{
	return sink->port;
}

int
sink_tick(struct sink *sink)
{
	int64_t now_us = TAILQ_EMPTY(&sink->delayed) ? 0 : mono_us();
	struct peer *p;

	while ((p = TAILQ_FIRST(&sink->delayed)) != NULL) {
		/* The analyzer does not see that a peer leaves the list before
		 * it is freed. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (p->answer_at_us > now_us)
			return (int)((p->answer_at_us - now_us + 999) / 1000);
		TAILQ_REMOVE(&sink->delayed, p, entry);
		p->waiting = false;
		sink->in_flight--;
		if (answer_delivery(p) == -1 || read_requests(p) == -1)
			peer_free(p);
	}
	return -1;
}

uint64_t
sink_requests(const struct sink *sink)
{
	return sink->n_requests;
}

size_t
sink_in_flight_max(const struct sink *sink)
{
	return sink->in_flight_max;
}
