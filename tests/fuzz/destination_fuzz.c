/* SPDX-License-Identifier: ISC */
/*
 * A destination that answers the real transport, and so the real libcurl, with
 * what the input says: answers end with a byte of 0xff, and the first byte of
 * each tells how many bytes come before a pause, and what follows it. An input
 * has several, on connections that are kept where the answer lets them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "target.h"
#include "worker/transport.h"

enum {
	ANSWERS_MAX = 6,
	LINES_MAX = 8,
	HEADER_BYTES_MAX = 2048,
	BODY_BYTES_MAX = 4096,
	RECEIVED_BYTES_MAX = 65536,
	TIMEOUT_MS = 2000,
	PAUSE_MS = 1, /* then the rest, and then the end, of an answer */
	ANSWER_END = 0xff,
	ROW_ID = 7,

	FLAG_END = 0x80, /* the destination closes after the answer */
};

static struct loop *loop;
static int listener = -1;
static char url[64];
static _Atomic int64_t parsed_row_id;

/* The destination. */
static struct slice answers; /* still to be given */
static struct loop_io *listen_io;
static struct loop_timer *pause_timer;
static struct line {
	int fd;
	struct loop_io *io;
	struct slice rest;
	bool end;
} lines[LINES_MAX];

/* The request under way. */
static bool ended;
static size_t n_body;

static void
line_close(struct line *line)
{
	loop_io_free(&line->io);
	fd_close(&line->fd);
}

static void
line_send(struct line *line, size_t n)
{
	if (n == 0)
		return;
	(void)send(line->fd, line->rest.p, n, MSG_NOSIGNAL);
	line->rest = slice_of(line->rest.p + n, line->rest.len - n);
}

/* Takes the next answer; without one the connection ends. */
static void
line_answer(struct line *line)
{
	const char *end = answers.len == 0
			      ? NULL
			      : memchr(answers.p, ANSWER_END, answers.len);
	size_t len = end == NULL ? answers.len : (size_t)(end - answers.p);
	unsigned char how;
	size_t first;

	if (len == 0) {
		if (answers.len > 0)
			answers = slice_of(answers.p + 1, answers.len - 1);
		line_close(line);
		return;
	}
	how = (unsigned char)answers.p[0];
	line->rest = slice_of(answers.p + 1, len - 1);
	line->end = (how & FLAG_END) != 0;
	first = how & ~(unsigned)FLAG_END;
	len += end == NULL ? 0 : 1;
	answers = slice_of(answers.p + len, answers.len - len);
	line_send(line, first < line->rest.len ? first : line->rest.len);
	loop_timer_set(pause_timer, line->end ? 0 : PAUSE_MS);
}

static void
on_request(int fd, unsigned events, void *arg)
{
	struct line *line = arg;
	char bytes[16384];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0)
		line_close(line);
	/* Requests are small and come at once. */
	else if (memmem(bytes, (size_t)n, "\r\n\r\n", 4) != NULL)
		line_answer(line);
}

/* The rest of what is being said; who then still waits is told the end. */
static void
on_pause(void *arg)
{
	bool more = false;

	(void)arg;
	for (size_t i = 0; i < LINES_MAX; i++) {
		struct line *line = &lines[i];
		bool had_rest = line->rest.len > 0;

		if (line->fd == -1)
			continue;
		line_send(line, line->rest.len);
		more |= had_rest && !line->end;
		if (line->end || !had_rest)
			(void)shutdown(line->fd, SHUT_WR);
	}
	if (more)
		loop_timer_set(pause_timer, PAUSE_MS);
}

static void
on_connection(int fd, unsigned events, void *arg)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	(void)arg;
	if (accepted == -1)
		return;
	for (size_t i = 0; i < LINES_MAX; i++) {
		if (lines[i].fd != -1)
			continue;
		lines[i] = (struct line){.fd = accepted};
		lines[i].io = loop_io_create(
		    loop, accepted, LOOP_READ, on_request, &lines[i]);
		CHECK(lines[i].io != NULL);
		return;
	}
	(void)close(accepted);
}

static void
prepare(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	if (loop != NULL)
		return;
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	for (size_t i = 0; i < LINES_MAX; i++)
		lines[i].fd = -1;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(listener != -1);
	CHECK(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK(listen(listener, LINES_MAX) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
	(void)snprintf(
	    url, sizeof(url), "http://127.0.0.1:%u/", ntohs(at.sin_port));
	loop = loop_create();
	CHECK(loop != NULL);
	listen_io =
	    loop_io_create(loop, listener, LOOP_READ, on_connection, NULL);
	pause_timer = loop_timer_create(loop, on_pause, NULL);
	CHECK(listen_io != NULL && pause_timer != NULL);
}

/* ---- the client ---- */

static bool
on_body(void *arg, int status, struct slice bytes)
{
	(void)arg;
	CHECK(!ended && status >= 0);
	CHECK(parsed_row_id == ROW_ID);
	n_body += bytes.len;
	return n_body <= BODY_BYTES_MAX;
}

static bool
may_send(void *arg)
{
	(void)arg;
	return true;
}

static void
on_end(void *arg, const struct transport_end *end)
{
	(void)arg;
	CHECK(!ended);
	ended = true;
	CHECK(end->fault == FAULT_NONE && end->retry_after_ms >= 0);
	CHECK(end->code == CURLE_OK ? end->status >= 200
				    : end->error[0] != '\0');
	loop_stop(loop);
}

static void
exchange(struct transport *transport, unsigned n)
{
	static const char *const methods[] = {"POST", "GET", "HEAD"};
	struct transport_request request = {
	    .method = methods[n % (sizeof(methods) / sizeof(methods[0]))],
	    .url = url,
	    .body = SLICE_INIT("body"),
	    .row_id = ROW_ID,
	    .may_send = may_send,
	    .on_body = on_body,
	    .on_end = on_end,
	};

	ended = false;
	n_body = 0;
	CHECK(transport_start(transport, &request) != NULL);
	CHECK(loop_run(loop) == 0);
	CHECK(ended && parsed_row_id == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct transport_config config = {
	    .max_transfers = 1,
	    .connect_timeout_ms = TIMEOUT_MS,
	    .timeout_ms = TIMEOUT_MS,
	    .max_received_bytes = RECEIVED_BYTES_MAX,
	    .max_header_bytes = HEADER_BYTES_MAX,
	    .max_lookups = 1,
	    .lookup_share = 1,
	    .parsed_row_id = &parsed_row_id,
	};
	struct transport *transport;
	struct err err;
	unsigned n = 0;

	prepare();
	answers = slice_of((const char *)data, size);
	transport = transport_create(loop, &config, &err);
	CHECK(transport != NULL);
	do
		exchange(transport, n);
	while (answers.len > 0 && ++n < ANSWERS_MAX);
	transport_free(&transport);
	loop_timer_clear(pause_timer);
	for (size_t i = 0; i < LINES_MAX; i++)
		if (lines[i].fd != -1)
			line_close(&lines[i]);
	return 0;
}
