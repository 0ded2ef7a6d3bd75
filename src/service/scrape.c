/* SPDX-License-Identifier: ISC */
#include "service/scrape.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "board/metrics.h"
#include "http/http_parser.h"

enum {
	CLIENTS_MAX = 16,
	REQUEST_MAX_BYTES = 4096,
	ANSWER_MAX_BYTES = 256 * 1024,
	CLIENT_MS = 5000, /* from its connection to its end */
	TEXT_KEPT_MS = 20,
};

struct scrape;

struct scraper {
	struct scrape *scrape;
	int fd; /* -1: none */
	struct loop_io *io;
	struct loop_timer *deadline;
	struct http_parser parser;
	char request[REQUEST_MAX_BYTES];
	size_t request_len;
	struct buf answer;
	size_t sent;
};

struct scrape {
	struct child *child;
	struct loop_io *listener;
	size_t n_clients;
	struct buf text;
	int64_t made_ms; /* monotonic */
	struct scraper clients[CLIENTS_MAX];
};

static const struct http_limits limits = {
    .max_line_bytes = 1024,
    .max_header_bytes = 3072,
    .max_headers = 64,
};

/* ---- the address ---- */

/* "127.0.0.1:9085", "[::1]:9085". 0, or -1 with err. */
static int
resolve_address(const char *text, struct addrinfo **list, struct err *err)
{
	static const struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	};
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);
	bool in_brackets = len > 2 && text[0] == '[' && colon[-1] == ']';

	if (in_brackets) {
		text++;
		len -= 2;
	}
	if (len > 0 && len < sizeof(host)) {
		(void)snprintf(host, sizeof(host), "%.*s", (int)len, text);
		if (getaddrinfo(host, colon + 1, &hints, list) == 0)
			return 0;
	}
	return err_set(err, "master.metrics must be an address and a port, "
			    "such as 127.0.0.1:9085 or [::1]:9085");
}

static int
listen_shared(int fd, const struct addrinfo *address)
{
	int on = 1;

	/* With SO_REUSEPORT the children of the next configuration, or of the
	 * next version, listen before the old ones leave. */
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		       setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
			   sizeof(on)) == 0 &&
		       bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
		       listen(fd, CLIENTS_MAX) == 0
		   ? 0
		   : -1;
}

/* A socket that listens, or -1 with err. */
static int
open_scrape(const char *text, struct err *err)
{
	struct addrinfo *list;
	int fd;

	if (resolve_address(text, &list, err) == -1)
		return -1;
	fd = socket(
	    list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || listen_shared(fd, list) == -1) {
		(void)err_errno(
		    err, "master.metrics: cannot listen on %s", text);
		fd_close(&fd);
	}
	freeaddrinfo(list);
	return fd;
}

static void
log_scrape(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
	    getnameinfo((struct sockaddr *)&address, len, host, sizeof(host),
		port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		log_info("metrics on %s port %s", host, port);
}

/* ---- a client ---- */

static void
take_more(struct scrape *s)
{
	if (!s->child->draining && s->n_clients < CLIENTS_MAX)
		loop_io_want(s->listener, LOOP_READ);
	else if (s->listener != NULL)
		loop_io_want(s->listener, 0);
}

static void
end_scraper(struct scraper *c)
{
	struct scrape *s = c->scrape;

	loop_timer_clear(c->deadline);
	loop_io_free(&c->io);
	fd_close(&c->fd);
	buf_free(&c->answer);
	s->n_clients--;
	if (s->child->draining && s->n_clients == 0)
		loop_stop(s->child->loop);
	else if (!s->child->draining)
		take_more(s);
}

static void
on_late_scraper(void *arg)
{
	end_scraper(arg);
}

static void
send_metrics(struct scraper *c)
{
	ssize_t n = send(c->fd, c->answer.p + c->sent, c->answer.len - c->sent,
	    MSG_NOSIGNAL);

	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		loop_io_want(c->io, LOOP_WRITE);
		return;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (n > 0 && c->sent < c->answer.len)
		loop_io_want(c->io, LOOP_WRITE);
	else
		end_scraper(c);
}

/* Making it takes longer than sending it. */
static void
make_metrics_text(struct scrape *s)
{
	int64_t now_ms = clock_mono_ms();

	if (s->text.len > 0 && now_ms < s->made_ms + TEXT_KEPT_MS)
		return;
	buf_reset(&s->text);
	(void)metrics_render(s->child->sb, &s->text);
	s->made_ms = now_ms;
}

static void
begin_answer_to(struct scraper *c, int status, const char *reason,
    struct slice body, bool head)
{
	(void)buf_printf(&c->answer,
	    "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
	    "Content-Length: %zu\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
	    status, reason, body.len);
	if (!head)
		buf_append_slice(&c->answer, body);
	if (c->answer.failed)
		end_scraper(c);
	else
		send_metrics(c);
}

static void
answer_scraper(struct scraper *c, const struct http_request *req)
{
	struct scrape *s = c->scrape;
	bool head = slice_eq(req->method, SLICE_LITERAL("HEAD"));

	if (!head && !slice_eq(req->method, SLICE_LITERAL("GET"))) {
		begin_answer_to(c, 405, "Method Not Allowed",
		    SLICE_LITERAL("GET or HEAD\n"), false);
	} else if (slice_eq(req->path, SLICE_LITERAL("/metrics"))) {
		make_metrics_text(s);
		begin_answer_to(c, 200, "OK", buf_slice(&s->text), head);
	} else {
		begin_answer_to(c, 404, "Not Found",
		    SLICE_LITERAL("only /metrics\n"), head);
	}
}

static void
read_scraper(struct scraper *c)
{
	struct http_request req;
	size_t room = sizeof(c->request) - c->request_len;
	ssize_t n = recv(c->fd, c->request + c->request_len, room, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_scraper(c);
		return;
	}
	c->request_len += (size_t)n;
	switch (http_parse(&c->parser, c->request, c->request_len, &req)) {
	case HTTP_MORE:
		if (c->request_len == sizeof(c->request))
			end_scraper(c);
		return;
	case HTTP_BAD:
		begin_answer_to(c, 400, "Bad Request",
		    slice_from_string(c->parser.reason), false);
		return;
	case HTTP_DONE:
		answer_scraper(c, &req);
	}
}

static void
on_scraper(int fd, unsigned events, void *arg)
{
	struct scraper *c = arg;

	(void)fd;
	if ((events & LOOP_READ) != 0)
		read_scraper(c);
	else
		send_metrics(c);
}

static struct scraper *
free_scraper(struct scrape *s)
{
	struct scraper *c = s->clients;

	while (c->fd != -1)
		c++;
	return c;
}

static void
on_new_scraper(int fd, unsigned events, void *arg)
{
	struct scrape *s = arg;
	struct scraper *c = free_scraper(s);

	(void)events;
	c->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd == -1)
		return; /* it has gone, or its successor has it */
	c->io = loop_io_create(s->child->loop, c->fd, LOOP_READ, on_scraper, c);
	if (c->io == NULL) {
		fd_close(&c->fd);
		return;
	}
	s->n_clients++;
	http_parser_init(&c->parser, &limits);
	c->request_len = c->sent = 0;
	buf_init(&c->answer, ANSWER_MAX_BYTES);
	loop_timer_set(c->deadline, CLIENT_MS);
	take_more(s);
}

/* ---- birth and death ---- */

static void
drain_scrape(void *arg)
{
	struct scrape *s = arg;

	loop_io_free(&s->listener);
	if (s->n_clients == 0)
		loop_stop(s->child->loop);
}

static int
scrape_init(struct scrape *s, struct child *child, int *fd, struct err *err)
{
	memset(s, 0, sizeof(*s));
	s->child = child;
	buf_init(&s->text, ANSWER_MAX_BYTES);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	/* Before the rights for it are gone. */
	*fd = open_scrape(child->cfg->master.metrics, err);
	if (*fd == -1)
		return -1;
	child->listen_fds = fd;
	child->n_listen = 1;
	if (child_init(child, drain_scrape, s, err) == -1)
		return -1;
	s->listener =
	    loop_io_create(child->loop, *fd, LOOP_READ, on_new_scraper, s);
	if (s->listener == NULL)
		return err_set(err, "out of memory");
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct scraper *c = &s->clients[i];

		c->scrape = s;
		c->deadline =
		    loop_timer_create(child->loop, on_late_scraper, c);
		if (c->deadline == NULL)
			return err_set(err, "out of memory");
	}
	return 0;
}

int
scrape_main(struct child *child)
{
	static struct scrape s;
	struct err err;
	int fd, status;

	if (scrape_init(&s, child, &fd, &err) == -1) {
		child_failed(child, err.text);
		return EXIT_CHILD_FAILED;
	}
	log_scrape(fd);
	child_ready(child);
	status = loop_run(child->loop);
	if (status == -1)
		log_errorx("the event loop failed");
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		loop_timer_free(&s.clients[i].deadline);
	buf_free(&s.text);
	child_fini(child);
	return status == -1 ? EXIT_CHILD_FAILED : EXIT_CHILD_OK;
}
