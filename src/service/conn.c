/* SPDX-License-Identifier: ISC */
#include "service/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/api.h"
#include "service/service.h"

enum {
	READ_BYTES = BUF_SMALL_BYTES, /* the least room for a read */
	KEEP_OUT_BYTES = 2 * 1024, /* an idle connection keeps no more */
	ANSWERS_PER_TURN = 16, /* to pipelined requests; then others */
	LINGER_MS = 2000,
	STALLED_MS = 1000,
	/* An idle client may be sending right now. */
	STOP_IDLE_MS = 1000,
	DRAIN_IDLE_MS = 5000, /* others serve new ones: there is no hurry */
};

static void run(struct conn *c);

static void
set_place(struct conn *c, enum conn_place place)
{
	struct service *service = c->service;

	if (c->place == place)
		return;
	if (c->place == CONN_IDLE)
		TAILQ_REMOVE(&service->idle, c, place_entry);
	else if (c->place == CONN_BUSY)
		TAILQ_REMOVE(&service->busy, c, place_entry);
	c->place = place;
	if (place == CONN_NOWHERE)
		return;
	if (place == CONN_IDLE)
		TAILQ_INSERT_TAIL(&service->idle, c, place_entry);
	else
		TAILQ_INSERT_TAIL(&service->busy, c, place_entry);
	service_conn_movable(service);
}

void
conn_close(struct conn *c)
{
	struct service *service = c->service;

	set_place(c, CONN_NOWHERE);
	LIST_REMOVE(c, entry);
	if (c->x != NULL)
		service_return_exchange(service, c->x);
	loop_io_free(&c->io);
	loop_timer_free(&c->timer);
	buf_free(&c->out);
	peers_leave(&service->peers, c->peer);
	close(c->fd);
	free(c);
	service_conn_closed(service);
}

/*
 * Only an earlier deadline moves the timer; a later one is noticed when it
 * fires, so that a busy keep-alive connection never touches it.
 */
static void
set_deadline(struct conn *c, int64_t timeout_ms)
{
	int64_t now_ms = clock_mono_ms();

	c->deadline_ms = now_ms + timeout_ms;
	if (c->deadline_ms < c->armed_ms) {
		c->armed_ms = c->deadline_ms;
		loop_timer_set(c->timer, timeout_ms);
	}
}

/* From now on it reads something, or writes it. */
static void
begin(struct conn *c, int64_t timeout_ms)
{
	set_deadline(c, timeout_ms);
	c->since_ms = c->moved_ms = c->deadline_ms - timeout_ms;
}

static void
clear_deadline(struct conn *c)
{
	c->deadline_ms = INT64_MAX;
}

static int64_t
idle_timeout_ms(const struct service *service)
{
	int64_t half_ms = service->cfg->master.shutdown_timeout_ms / 2;

	if (!service->draining)
		return service->cfg->service.idle_timeout_ms;
	if (atomic_load(&service->child->sb->shared->master.stopping))
		return STOP_IDLE_MS;
	return half_ms < DRAIN_IDLE_MS ? half_ms : DRAIN_IDLE_MS;
}

static void
become_idle(struct conn *c)
{
	c->state = CONN_READING;
	c->head_seen = c->continued = false;
	if (c->x != NULL) {
		service_return_exchange(c->service, c->x);
		c->x = NULL;
	}
	if (c->out.cap > KEEP_OUT_BYTES)
		buf_free(&c->out);
	loop_io_want(c->io, LOOP_READ);
	set_deadline(c, idle_timeout_ms(c->service));
	set_place(c, CONN_IDLE);
}

static void
linger(struct conn *c)
{
	if (shutdown(c->fd, SHUT_WR) == -1) {
		conn_close(c);
		return;
	}
	c->state = CONN_LINGERING;
	service_return_exchange(c->service, c->x);
	c->x = NULL;
	buf_free(&c->out);
	loop_io_want(c->io, LOOP_READ);
	set_deadline(c, LINGER_MS);
}

/*
 * Writes what it can. 1 when all is out, 0 when the rest waits for the socket,
 * -1 when the connection is gone (closed and freed).
 */
static int
flush(struct conn *c)
{
	size_t before = c->out_at;

	while (c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->out_at,
		    c->out.len - c->out_at, MSG_NOSIGNAL);

		if (n > 0) {
			c->out_at += (size_t)n;
		} else if (n == -1 && errno == EINTR) {
			continue;
		} else if (n == -1 && errno == EAGAIN) {
			if (c->out_at > before)
				c->moved_ms = clock_mono_ms();
			loop_io_want(c->io, LOOP_WRITE);
			return 0;
		} else {
			conn_close(c);
			return -1;
		}
	}
	buf_reset(&c->out);
	c->out_at = 0;
	return 1;
}

static enum metric
class_of(int status)
{
	if (status < 400)
		return METRIC_REQUESTS_2XX;
	return status < 500 ? METRIC_REQUESTS_4XX : METRIC_REQUESTS_5XX;
}

/* 0, or -1 when memory is short; then nothing was added to out. */
static int
write_answer(struct conn *c)
{
	struct exchange *x = c->x;
	struct http_response *res = &x->res;
	size_t before = c->out.len;

	res->close = c->closing;
	res->head = slice_eq(x->req.method, SLICE_LITERAL("HEAD"));
	res->minor = x->req.minor;
	res->body = buf_slice(&x->body);
	if (!x->body.failed &&
	    http_response_write(&c->out, res, clock_wall_ms()) == 0)
		return 0;
	c->out.failed = false;
	c->out.len = before;
	return -1;
}

/* The answer is complete: puts it on the wire. The caller goes on with run. */
static void
answer(struct conn *c)
{
	struct exchange *x = c->x;

	if (c->service->draining || c->reserve || !x->req.keep_alive ||
	    ++c->n_requests == c->service->cfg->service.max_requests)
		c->closing = true;
	if (write_answer(c) == -1) {
		c->closing = true; /* which says so, when there is no room */
		buf_free(&x->body);
		service_out_of_memory(x);
		(void)write_answer(c);
	}
	metric_add(c->service->child->score, class_of(x->res.status), 1);
	x->in_at += x->parser.consumed;
	c->state = CONN_WRITING;
	begin(c, c->service->cfg->service.write_timeout_ms);
}

static void
answered(struct exchange *x)
{
	struct conn *c = x->conn;
	bool waited = c->state == CONN_WAITING;

	answer(c);
	/* An answer given at once returns into run, which goes on itself. */
	if (waited) {
		set_place(c, CONN_BUSY);
		run(c);
	}
}

/* Looks at what has come; for more than once, if its bytes have moved. */
static enum http_result
look(struct exchange *x)
{
	return http_parse(&x->parser, x->in.p + x->in_at,
	    x->in.len - x->in_at, &x->req);
}

/*
 * Says why a request is not served, then closes: the rest of what the client
 * sends is not read.
 */
static void
refuse(struct conn *c, void (*fill)(struct exchange *x))
{
	struct exchange *x = c->x;

	c->closing = true;
	(void)look(x); /* room for more may have been made since */
	if (!x->parser.head_done)
		x->req = (struct http_request){.minor = 1};
	x->parser.consumed = x->in.len - x->in_at;
	fill(x);
	answer(c);
}

static void
fill_unreadable(struct exchange *x)
{
	api_problem(x, x->parser.status, x->parser.reason);
}

static void
fill_late(struct exchange *x)
{
	api_problem(x, 408, "the request did not arrive in time");
}

/*
 * A body may take bodyTimeout, but after the time of a head it must have come
 * at the least rate.
 */
static void
set_body_deadline(struct conn *c)
{
	const struct config_service *cfg = &c->service->cfg->service;
	int64_t bytes = (int64_t)(c->x->in.len - c->x->in_at);
	int64_t ms = cfg->body_timeout_ms;

	if (cfg->min_body_rate > 0 &&
	    bytes * 1000 / cfg->min_body_rate < ms - cfg->header_timeout_ms)
		ms = cfg->header_timeout_ms + bytes * 1000 / cfg->min_body_rate;
	set_deadline(c, c->since_ms + ms - clock_mono_ms());
}

static void
start_request(struct exchange *x)
{
	http_parser_init(&x->parser, &x->service->limits);
	buf_reset(&x->body);
	buf_reset(&x->scratch);
}

/*
 * Looks at the bytes of a request; the state says what comes next: READING for
 * more, WAITING for the datastore, WRITING for an answer.
 */
static void
parse(struct conn *c)
{
	struct exchange *x = c->x;

	switch (look(x)) {
	case HTTP_BAD:
		refuse(c, fill_unreadable);
		return;
	case HTTP_DONE:
		clear_deadline(c);
		c->state = CONN_READING; /* how answered() knows it was at once */
		api_dispatch(x);
		if (c->state == CONN_READING) {
			c->state = CONN_WAITING;
			set_place(c, CONN_NOWHERE);
		}
		return;
	case HTTP_MORE:
		break;
	}
	if (!x->parser.head_done)
		return;
	if (!c->head_seen) {
		c->head_seen = true;
		c->since_ms = clock_mono_ms();
	}
	set_body_deadline(c);
	if (x->req.expect_continue && !c->continued) {
		c->continued = true;
		buf_append_string(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	}
}

/* Moves the bytes of the next request to the front. */
static void
next_request(struct conn *c)
{
	struct exchange *x = c->x;

	c->head_seen = c->continued = false;
	if (x->in_at == x->in.len) {
		become_idle(c);
		return;
	}
	c->state = CONN_READING;
	loop_io_want(c->io, LOOP_READ);
	begin(c, c->service->cfg->service.header_timeout_ms);
	start_request(x);
}

/*
 * Drives a connection with bytes or an answer until it must wait for the
 * socket or the datastore. It may be closed and freed on return.
 */
static void
run(struct conn *c)
{
	int answers = 0;

	for (;;) {
		size_t before;

		if (c->out.len > 0 && c->state != CONN_WAITING) {
			if (flush(c) != 1)
				return;
			if (c->state == CONN_READING)
				loop_io_want(c->io, LOOP_READ);
		}
		switch (c->state) {
		case CONN_WRITING:
			if (c->closing) {
				linger(c);
				return;
			}
			if (answers++ == ANSWERS_PER_TURN) {
				loop_io_want(c->io, LOOP_WRITE);
				return;
			}
			next_request(c);
			if (c->x == NULL)
				return;
			break;
		case CONN_READING:
			before = c->out.len;
			parse(c);
			if (c->state == CONN_READING && c->out.len == before)
				return;
			break;
		case CONN_WAITING:
		case CONN_LINGERING:
			return;
		}
	}
}

/* Room for the next read; consumed bytes in front make room first. */
static int
make_room(struct exchange *x)
{
	struct buf *in = &x->in;
	size_t more = in->len / 2 > READ_BYTES ? in->len / 2 : READ_BYTES;

	if (in->cap - in->len >= READ_BYTES)
		return 0;
	if (x->in_at > 0) {
		buf_consume(in, x->in_at);
		x->in_at = 0;
	}
	if (more > in->max - in->len)
		more = in->max - in->len;
	if (more > 0 && buf_reserve(in, more) == 0)
		return 0;
	return in->cap > in->len ? 0 : -1; /* the last of it will do */
}

static int
ensure_exchange(struct conn *c)
{
	if (c->x != NULL)
		return 0;
	c->x = service_take_exchange(c->service);
	if (c->x == NULL)
		return -1;
	set_place(c, CONN_BUSY);
	exchange_move(c->x, &c->peer->memory);
	c->x->conn = c;
	c->x->reserve = c->reserve;
	c->x->answered = answered;
	start_request(c->x);
	return 0;
}

static void
read_request(struct conn *c)
{
	bool first = c->x == NULL;
	struct exchange *x;
	ssize_t n;
	int rc;

	if (ensure_exchange(c) == -1) {
		conn_close(c);
		return;
	}
	while ((rc = make_room(c->x)) == -1)
		if (!service_free_memory(c->service))
			break;
	if (rc == -1) {
		refuse(c, service_out_of_memory);
		run(c);
		return;
	}
	x = c->x;
	do
		n = recv(c->fd, x->in.p + x->in.len, x->in.cap - x->in.len, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN) {
		if (first)
			become_idle(c);
		return;
	}
	if (n <= 0) {
		conn_close(c);
		return;
	}
	x->in.len += (size_t)n;
	if (first)
		begin(c, c->service->cfg->service.header_timeout_ms);
	else
		c->moved_ms = clock_mono_ms();
	run(c);
}

static void
drop_input(struct conn *c)
{
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		conn_close(c);
}

static void
on_io(int fd, unsigned events, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)events;
	switch (c->state) {
	case CONN_READING:
		if (c->out.len > 0)
			run(c); /* the rest of a 100 Continue */
		else
			read_request(c);
		break;
	case CONN_WRITING:
		run(c);
		break;
	case CONN_LINGERING:
		drop_input(c);
		break;
	case CONN_WAITING:
		/* Most say nothing until they have their answer: only who does
		 * costs the calls to stop watching and to watch again. */
		loop_io_want(c->io, 0);
		break;
	}
}

bool
conn_has_input(const struct conn *c)
{
	char byte;

	return c->state == CONN_READING && recv(c->fd, &byte, 1, MSG_PEEK) == 1;
}

static void
on_deadline(void *arg)
{
	struct conn *c = arg;
	int64_t now_ms = clock_mono_ms();

	c->armed_ms = INT64_MAX;
	if (c->deadline_ms == INT64_MAX)
		return;
	if (now_ms < c->deadline_ms) {
		set_deadline(c, c->deadline_ms - now_ms);
		return;
	}
	if (c->state == CONN_READING && c->x != NULL) {
		refuse(c, fill_late);
		run(c);
	} else if (conn_has_input(c)) {
		read_request(c);
	} else {
		conn_close(c);
	}
}

size_t
conn_memory(const struct conn *c)
{
	return c->out.cap +
	       (c->x == NULL ? 0 : c->x->in.cap + c->x->body.cap);
}

int64_t
conn_progress(const struct conn *c, int64_t now_ms)
{
	size_t bytes = 0;

	if (now_ms - c->moved_ms >= STALLED_MS)
		return 0;
	if (c->state == CONN_READING && c->x != NULL)
		bytes = c->x->in.len - c->x->in_at;
	else if (c->state == CONN_WRITING)
		bytes = c->out_at;
	/* A second more, or the first bytes would seem to be very fast. */
	return (int64_t)bytes * 1000 / (now_ms - c->since_ms + 1000) /
	       c->peer->n_conns;
}

int
conn_open(struct service *service, int fd, struct peer *peer, bool reserve)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		peers_leave(&service->peers, peer);
		close(fd);
		return -1;
	}
	c->service = service;
	c->fd = fd;
	c->peer = peer;
	c->reserve = reserve;
	buf_init_within(&c->out, service->memory.max, &peer->memory);
	c->io = loop_io_create(service->loop, fd, LOOP_READ, on_io, c);
	c->timer = loop_timer_create(service->loop, on_deadline, c);
	if (c->io == NULL || c->timer == NULL) {
		if (c->io != NULL)
			loop_io_free(&c->io);
		if (c->timer != NULL)
			loop_timer_free(&c->timer);
		peers_leave(&service->peers, peer);
		close(fd);
		free(c);
		return -1;
	}
	LIST_INSERT_HEAD(&service->conns, c, entry);
	c->armed_ms = INT64_MAX;
	set_deadline(c, service->cfg->service.idle_timeout_ms);
	set_place(c, CONN_IDLE);
	return 0;
}

void
conn_drain(struct conn *c)
{
	if (c->place == CONN_IDLE)
		set_deadline(c, idle_timeout_ms(c->service));
}
