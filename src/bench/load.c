/* SPDX-License-Identifier: ISC */
#include "bench/load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

enum {
	ANSWER_MAX_BYTES = 16 * 1024 * 1024,
	OUT_MAX_BYTES = 256 * 1024 * 1024,
};

struct request {
	uint64_t number;
	int64_t start_us;
};

struct load_conn {
	struct watch watch;
	struct load *load;
	int fd;
	bool wants_write;
	struct buf in, out;
	size_t out_at;
	struct request *ring; /* config.pipeline of them */
	unsigned first, n;
};

/* ---- connections ---- */

static int
connect_one(const struct load *load, struct err *err)
{
	const struct load_config *config = &load->config;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *ai;
	static const int on = 1;
	int fd = -1, code;

	code = getaddrinfo(config->host, config->port, &hints, &list);
	if (code != 0)
		return err_set(err, "%s: %s", config->host, gai_strerror(code));
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd != -1 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
			break;
		err_errno(err, "%s port %s", config->host, config->port);
		fd_close(&fd);
	}
	freeaddrinfo(list);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    fd_set_nonblock(fd) == -1) {
		err_errno(err, "socket");
		fd_close(&fd);
	}
	return fd;
}

static int
open_load_conn(struct load_conn *c, struct err *err)
{
	c->fd = connect_one(c->load, err);
	if (c->fd == -1)
		return -1;
	if (poller_add(c->load->poller, c->fd, EPOLLIN, &c->watch) == -1)
		return err_errno(err, "epoll");
	return 0;
}

/* What was under way is lost with the connection. */
static void
reopen(struct load_conn *c)
{
	struct load *load = c->load;

	load->n_failed += c->n;
	load->n_under_way -= c->n;
	if (c->n == load->config.pipeline)
		load->n_idle++;
	c->n = 0;
	c->out_at = 0;
	c->wants_write = false;
	buf_reset(&c->in);
	buf_reset(&c->out);
	fd_close(&c->fd);
	if (open_load_conn(c, &load->err) == -1) {
		fd_close(&c->fd);
		load->n_idle--;
		load->ended = true;
	}
}

static int
flush(struct load_conn *c)
{
	bool wants_write;

	while (c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->out_at,
		    c->out.len - c->out_at, MSG_NOSIGNAL);

		if (n == -1 && errno == EAGAIN)
			break;
		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0)
			c->out_at += (size_t)n;
	}
	if (c->out_at == c->out.len) {
		buf_reset(&c->out);
		c->out_at = 0;
	}
	wants_write = c->out.len > 0;
	if (wants_write != c->wants_write) {
		c->wants_write = wants_write;
		return poller_change(c->load->poller, c->fd,
		    EPOLLIN | (wants_write ? (uint32_t)EPOLLOUT : 0u),
		    &c->watch);
	}
	return 0;
}

/* ---- requests ---- */

/* The run is over for sending: by time, by number, or because build said so. */
static bool
is_over(struct load *load, int64_t now_us)
{
	const struct load_config *config = &load->config;

	if (!load->ended &&
	    ((config->count > 0 && load->n_sent == config->count) ||
		now_us >= load->end_us))
		load->ended = true;
	return load->ended;
}

static void
put_request(struct load_conn *c, int64_t start_us)
{
	struct load *load = c->load;
	struct request *r;

	if (load->config.build(load->config.arg, &c->out) == -1) {
		load->ended = true;
		return;
	}
	r = &c->ring[(c->first + c->n) % load->config.pipeline];
	r->number = load->n_sent++;
	r->start_us = start_us;
	load->n_under_way++;
	if (++c->n == load->config.pipeline)
		load->n_idle--;
}

static void
fill(struct load_conn *c, int64_t now_us)
{
	while (c->n < c->load->config.pipeline && !is_over(c->load, now_us))
		put_request(c, now_us);
	if (flush(c) == -1)
		reopen(c);
}

static void
count_answer(struct load_conn *c, int status, struct slice body, int64_t now_us)
{
	struct load *load = c->load;
	struct request r = c->ring[c->first];

	c->first = (c->first + 1) % load->config.pipeline;
	if (c->n-- == load->config.pipeline)
		load->n_idle++;
	load->n_under_way--;
	load->n_answered++;
	load->last_us = now_us;
	histogram_add(&load->latency, now_us - r.start_us);
	load->config.answered(load->config.arg, r.number, status, body);
}

/* ---- answers ---- */

/* The value of a header, up to the end of the head; or NULL. */
static const char *
header_value(const char *head, const char *end, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = head; p + len < end; p++) {
		p = memchr(p, '\r', (size_t)(end - p));
		if (p == NULL || p + len >= end)
			break;
		if (strncasecmp(p, name, len) == 0)
			return p + len;
	}
	return NULL;
}

struct answer {
	int status;
	char *body;
	size_t body_len, len; /* of what came, framing included */
};

/*
 * Takes the framing out of a body in chunks, if all of it is there: 1, 0 when
 * it is not, -1 when it is none.
 */
static int
join_chunks(struct answer *answer, const char *end)
{
	for (int pass = 0; pass < 2; pass++) {
		char *at = answer->body, *to = answer->body, *line_end;
		size_t size;

		do {
			line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
			if (line_end == NULL)
				return 0;
			size = strtoul(at, &at, 16);
			if (at != line_end || size > ANSWER_MAX_BYTES)
				return -1;
			at += 2;
			if ((size_t)(end - at) < size + 2)
				return 0;
			if (pass == 1)
				memmove(to, at, size);
			to += size;
			at += size + 2;
		} while (size > 0);
		answer->body_len = (size_t)(to - answer->body);
		answer->len = (size_t)(at - answer->body);
	}
	return 1;
}

/* 1 with the first answer in the buffer, 0 when it is not whole; -1. */
static int
parse_answer(const struct buf *in, size_t at, struct answer *answer)
{
	char *head = in->p + at, *end, *in_end = in->p + in->len;
	size_t head_len;
	const char *length;
	int rc = 1;

	end = memmem(head, in->len - at, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	if (end - head < 12 || memcmp(head, "HTTP/1.1 ", 9) != 0)
		return -1;
	head_len = (size_t)(end - head) + 4;
	*answer = (struct answer){
	    .status = (head[9] - '0') * 100 + (head[10] - '0') * 10 +
		      (head[11] - '0'),
	    .body = head + head_len,
	};
	if (header_value(head, end + 2, "\r\ntransfer-encoding:") != NULL) {
		rc = join_chunks(answer, in_end);
	} else {
		length = header_value(head, end + 2, "\r\ncontent-length:");
		if (length != NULL)
			answer->len = strtoul(length, NULL, 10);
		if (answer->len > ANSWER_MAX_BYTES)
			return -1;
		answer->body_len = answer->len;
		rc = answer->len <= (size_t)(in_end - answer->body);
	}
	answer->len += head_len;
	return rc;
}

/* 0, or -1 when the connection is of no more use. */
static int
take_answers(struct load_conn *c, int64_t now_us)
{
	struct answer answer;
	size_t at = 0;
	int rc = 0;

	while (c->n > 0 && (rc = parse_answer(&c->in, at, &answer)) == 1) {
		at += answer.len;
		count_answer(c, answer.status,
		    slice_of(answer.body, answer.body_len), now_us);
	}
	buf_consume(&c->in, at);
	return rc == -1 ? -1 : 0;
}

static int
receive_answers(struct load_conn *c)
{
	int got = poller_receive(c->fd, &c->in);

	return got == 1 ? take_answers(c, mono_us()) : got;
}

static void
on_ready(struct watch *watch, uint32_t events)
{
	struct load_conn *c = (struct load_conn *)watch;

	if (((events & ~(uint32_t)EPOLLOUT) != 0 && receive_answers(c) == -1) ||
	    flush(c) == -1)
		reopen(c);
	if (c->load->config.rate == 0 && c->fd != -1)
		fill(c, mono_us());
}

/* ---- the run ---- */

static struct load_conn *
next_idle(struct load *load)
{
	for (;;) {
		struct load_conn *c = &load->conns[load->next];

		load->next = (load->next + 1) % load->config.connections;
		if (c->fd != -1 && c->n < load->config.pipeline)
			return c;
	}
}

/* With a rate: those whose time has come, on connections with room. */
int
load_tick(struct load *load)
{
	int64_t now_us = mono_us();

	if (load->config.rate == 0)
		return is_over(load, now_us)
			   ? -1
			   : (int)((load->end_us - now_us) / 1000 + 1);
	/* All whose time is before the end, however late we are. */
	while (load->n_idle > 0) {
		int64_t due_us =
		    load->start_us +
		    (int64_t)((double)load->n_sent * 1e6 / load->config.rate);
		struct load_conn *c;

		if (is_over(load, due_us))
			return -1;
		if (due_us > now_us)
			return (int)((due_us - now_us + 999) / 1000);
		c = next_idle(load);
		put_request(c, due_us);
		if (flush(c) == -1)
			reopen(c);
	}
	(void)is_over(load, now_us);
	return -1;
}

bool
load_done(const struct load *load)
{
	return load->ended && load->n_under_way == 0;
}

static int
conn_init(struct load *load, struct load_conn *c, struct err *err)
{
	c->watch.ready = on_ready;
	c->load = load;
	c->fd = -1;
	buf_init(&c->in, ANSWER_MAX_BYTES);
	buf_init(&c->out, OUT_MAX_BYTES);
	c->ring = calloc(load->config.pipeline, sizeof(*c->ring));
	return c->ring == NULL ? err_set(err, "out of memory")
			       : open_load_conn(c, err);
}

int
load_start(struct load *load, const struct poller *poller,
    const struct load_config *config, struct err *err)
{
	unsigned n = config->connections;

	*load = (struct load){
	    .poller = poller,
	    .config = *config,
	    .n_idle = n,
	    .conns = calloc(n, sizeof(*load->conns)),
	};
	if (load->conns == NULL || histogram_init(&load->latency) == -1)
		return err_set(err, "out of memory");
	for (unsigned i = 0; i < n; i++)
		load->conns[i].fd = -1;
	for (unsigned i = 0; i < n; i++)
		if (conn_init(load, &load->conns[i], err) == -1)
			return -1;
	load->start_us = load->last_us = mono_us();
	load->end_us = load->start_us + config->duration_ms * 1000;
	if (config->rate == 0)
		for (unsigned i = 0; i < n; i++)
			fill(&load->conns[i], load->start_us);
	return 0;
}

void
load_fini(struct load *load)
{
	for (unsigned i = 0;
	     load->conns != NULL && i < load->config.connections; i++) {
		struct load_conn *c = &load->conns[i];

		fd_close(&c->fd);
		buf_free(&c->in);
		buf_free(&c->out);
		free(c->ring);
	}
	free(load->conns);
	load->conns = NULL;
	histogram_fini(&load->latency);
}
