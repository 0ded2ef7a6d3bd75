/* SPDX-License-Identifier: ISC */
#include "service/scrape.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/url.h"
#include "board/metrics.h"
#include "http/http_server.h"

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum {
	BACKLOG = 16,
	TEXT_MAX_BYTES = 256 * 1024,
	TEXT_KEPT_MS = 20,
	DRAIN_MS = 1000, /* for who is sending a request */
	RETRY_EVERY_MS = 50,
};

struct scrape {
	struct child *child;
	struct http_server *server;
	struct buf text;
	int64_t made_ms; /* monotonic */
};

/* Small requests of few clients, each for a few seconds. */
static const struct http_settings settings = {
    .limits = {.max_line_bytes = 1024,
	.max_header_bytes = 3072,
	.max_headers = 64},
    .sizes = {.max_request_bytes = 4096, .max_arena_bytes = 4096},
    .max_conns = 16,
    .idle_timeout_ms = 60000,
    .header_timeout_ms = 5000,
    .body_timeout_ms = 5000,
    .write_timeout_ms = 5000,
    .max_memory_bytes = (size_t)4 * 1024 * 1024,
};

/* "127.0.0.1:9085", "[::1]:9085". To be freed; NULL with err. */
static struct addrinfo *
resolve_address(const char *text, struct err *err)
{
	static const struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
	};
	struct addrinfo *list = NULL;
	struct url url = {0};
	char host[INET6_ADDRSTRLEN], port[sizeof("65535")];

	url_split_authority(slice_from_string(text), &url);
	(void)snprintf(
	    host, sizeof(host), "%.*s", (int)url.host.len, url.host.p);
	(void)snprintf(port, sizeof(port), "%.*s", (int)url.port.len,
	    url.port.p == NULL ? "" : url.port.p);
	if (getaddrinfo(host, port, &hints, &list) == 0)
		return list;
	(void)err_set(err, "master.metrics: no address: %s", text);
	return NULL;
}

static bool
set_option(int fd, int option)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) == 0;
}

/*
 * With SO_REUSEPORT the children of the next configuration, or of the next
 * version, listen before the old ones leave. So would those of any daemon of
 * the same user, and a scrape find the one or the other: unless there may be
 * one of ours it is set only after the address was had without it.
 */
static bool
listen_at(int fd, const struct addrinfo *address, bool shared)
{
	return set_option(fd, SO_REUSEADDR) &&
	       (!shared || set_option(fd, SO_REUSEPORT)) &&
	       bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
	       (shared || set_option(fd, SO_REUSEPORT)) &&
	       listen(fd, BACKLOG) == 0;
}

/* A socket that listens, or -1 with errno. */
static int
try_to_listen(const struct addrinfo *address, bool shared)
{
	int fd = socket(
	    address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd != -1 && !listen_at(fd, address, shared))
		fd_close(&fd);
	return fd;
}

/* The same, with err. The child of a master that was killed may yet leave. */
static int
open_scrape(const char *text, bool shared, struct err *err)
{
	static const struct timespec pause = {
	    .tv_nsec = (long)RETRY_EVERY_MS * 1000000};
	struct addrinfo *list = resolve_address(text, err);
	int64_t until_ms = clock_mono_ms() + INT64_C(2) * DRAIN_MS;
	int fd;

	if (list == NULL)
		return -1;
	while ((fd = try_to_listen(list, shared)) == -1 &&
	       errno == EADDRINUSE && clock_mono_ms() < until_ms)
		(void)nanosleep(&pause, NULL);
	if (fd == -1)
		(void)err_errno(
		    err, "master.metrics: cannot listen on %s", text);
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

/* Making it takes longer than sending it. */
static void
make_text(struct scrape *s)
{
	int64_t now_ms = clock_mono_ms();

	if (s->text.len > 0 && now_ms < s->made_ms + TEXT_KEPT_MS)
		return;
	buf_reset(&s->text);
	(void)metrics_render(s->child->sb, &s->text);
	s->made_ms = now_ms;
}

static enum verdict
say(struct http_exchange *x, int status, const char *text)
{
	http_exchange_answer(x, status, "text/plain");
	buf_append_string(&x->body, text);
	buf_append_char(&x->body, '\n');
	return ANSWERED;
}

static enum verdict
handle_scrape(void *arg, struct http_exchange *x)
{
	struct scrape *s = arg;

	if (!slice_eq(x->req.path, SLICE_LITERAL("/metrics")))
		return say(x, 404, "only /metrics is here");
	if (!slice_eq(x->req.method, SLICE_LITERAL("GET")) &&
	    !slice_eq(x->req.method, SLICE_LITERAL("HEAD"))) {
		(void)say(x, 405, "GET or HEAD");
		http_exchange_field(x, "Allow", SLICE_LITERAL("GET, HEAD"));
		return ANSWERED;
	}
	make_text(s);
	http_exchange_answer(x, 200, TEXT_TYPE);
	buf_append_slice(&x->body, buf_slice(&s->text));
	x->body.failed |= s->text.failed;
	return ANSWERED;
}

static void
refuse_scrape(
    void *arg, struct http_exchange *x, int status, const char *reason)
{
	(void)arg;
	(void)say(x, status, reason);
}

static void
scrape_drained(void *arg)
{
	struct scrape *s = arg;

	loop_stop(s->child->loop);
}

static void
drain_scrape(void *arg)
{
	struct scrape *s = arg;

	http_server_drain(
	    s->server, &(struct http_drain){.idle_ms = DRAIN_MS});
}

static int
scrape_init(struct scrape *s, int *fd, const struct http_handler *handler,
    struct err *err)
{
	struct child *child = s->child;

	/* Before the rights for it are gone. */
	*fd = open_scrape(child->cfg->master.metrics, child->shares_port, err);
	if (*fd == -1)
		return -1;
	child->listen_fds = fd;
	child->n_listen = 1;
	if (child_init(child, drain_scrape, s, err) == -1)
		return -1;
	s->server = http_server_create(child->loop, fd, 1, &settings, handler);
	return s->server == NULL ? err_set(err, "out of memory") : 0;
}

int
scrape_main(struct child *child)
{
	struct scrape s = {.child = child};
	const struct http_handler handler = {
	    .handle = handle_scrape,
	    .refuse = refuse_scrape,
	    .drained = scrape_drained,
	    .arg = &s,
	};
	struct err err;
	int fd, status;

	buf_init(&s.text, TEXT_MAX_BYTES);
	if (scrape_init(&s, &fd, &handler, &err) == -1) {
		child_failed(child, err.text);
		return EXIT_CHILD_FAILED;
	}
	log_scrape(fd);
	child_ready(child);
	status = loop_run(child->loop);
	if (status == -1)
		log_errorx("the event loop failed");
	http_server_free(&s.server);
	buf_free(&s.text);
	child_fini(child);
	return status == -1 ? EXIT_CHILD_FAILED : EXIT_CHILD_OK;
}
