/* SPDX-License-Identifier: ISC */
#include "http/http_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

enum {
	READ_BYTES = BUF_SMALL_BYTES, /* the least room for a read */
	KEEP_OUT_BYTES = 2 * 1024,    /* an idle connection keeps no more */
	ANSWERS_PER_TURN = 16,        /* to pipelined requests; then others */
	LINGER_MS = 2000,
	STALLED_MS = 1000,
	STREAM_BYTES = 64 * 1024, /* of a request's body, read at once */
};

#define DRAINING  "the server stops or reloads: send the rest again"
#define NO_MEMORY "too much memory is held by unanswered requests"

static void run_conn(struct http_conn *c);

static struct http_conn_queue *
queue_of(struct http_conn *c)
{
	switch (c->place) {
	case CONN_IDLE:
		return &c->conns->idle;
	case CONN_BUSY:
		return &c->conns->busy;
	case CONN_NOWHERE:
		return NULL;
	default:
		check(false);
	}
}

static void
set_place(struct http_conn *c, enum http_conn_place place)
{
	struct http_conn_queue *queue = queue_of(c);

	if (c->place == place)
		return;
	if (queue != NULL)
		TAILQ_REMOVE(queue, c, place_entry);
	c->place = place;
	queue = queue_of(c);
	if (queue == NULL)
		return;
	TAILQ_INSERT_TAIL(queue, c, place_entry);
	http_conns_changed(c->conns);
}

/* What it holds, but for its place in the lists. */
static void
free_conn(struct http_conn *c)
{
	loop_io_free(&c->io);
	loop_timer_free(&c->timer);
	buf_free(&c->out);
	peers_leave(&c->conns->peers, c->peer);
	close(c->stream.fd);
	free(c);
}

static void
return_exchange(struct http_conn *c)
{
	if (c->x != NULL)
		http_conns_return_exchange(c->conns, c->x);
	c->x = NULL;
}

void
http_conn_close(struct http_conn *c)
{
	struct http_conns *conns = c->conns;

	set_place(c, CONN_NOWHERE);
	LIST_REMOVE(c, entry);
	return_exchange(c);
	free_conn(c);
	check(conns->n-- > 0);
	http_conns_changed(conns);
}

/*
 * Only an earlier deadline moves the timer; a later one is noticed when it
 * fires, so that a busy keep-alive connection never touches it.
 */
static void
set_deadline(struct http_conn *c, int64_t timeout_ms)
{
	int64_t now_ms = clock_mono_ms();

	c->deadline_ms = now_ms + timeout_ms;
	/* Lingering is short, and for an answer that is out. */
	if (c->state != CONN_LINGERING && c->deadline_ms > c->leave_by_ms)
		c->deadline_ms = c->leave_by_ms;
	if (c->deadline_ms < c->armed_ms) {
		c->armed_ms = c->deadline_ms;
		loop_timer_set(c->timer, c->deadline_ms - now_ms);
	}
}

/* So long it may stay in a drain. */
static void
set_leave_by(struct http_conn *c)
{
	if (c->conns->begun_ms < INT64_MAX)
		c->leave_by_ms = clock_mono_ms() + c->conns->begun_ms;
}

/* From now on it reads something, or writes it. What the handler took before is
 * none of the client's time. */
static void
begin_phase(struct http_conn *c, int64_t timeout_ms)
{
	if (c->deadline_ms == INT64_MAX)
		set_leave_by(c);
	set_deadline(c, timeout_ms);
	c->since_ms = c->moved_ms = clock_mono_ms();
}

static void
clear_deadline(struct http_conn *c)
{
	c->deadline_ms = INT64_MAX;
}

static void
become_idle(struct http_conn *c)
{
	c->state = CONN_READING;
	c->head_seen = c->continued = false;
	return_exchange(c);
	if (c->out.cap > KEEP_OUT_BYTES)
		buf_free(&c->out);
	loop_io_want(c->io, LOOP_READ);
	set_deadline(c, c->conns->idle_timeout_ms);
	set_place(c, CONN_IDLE);
}

static void
linger(struct http_conn *c)
{
	if (c->stream.kind->end_output(&c->stream) == -1) {
		http_conn_close(c);
		return;
	}
	c->state = CONN_LINGERING;
	check(c->x != NULL && c->out.len == 0);
	return_exchange(c);
	buf_free(&c->out);
	loop_io_want(c->io, LOOP_READ);
	set_deadline(c, LINGER_MS);
}

/* The client is gone; who is busy with its request finishes that. */
static void
lose(struct http_conn *c)
{
	struct http_exchange *x = c->x;

	if (x == NULL || !x->sink.busy) {
		http_conn_close(c);
		return;
	}
	c->lost = true;
	loop_io_want(c->io, 0);
	clear_deadline(c);
	set_place(c, CONN_NOWHERE);
	x->sink.stop(x->sink.arg, 0, NULL);
}

/*
 * Writes what it can. 1 when all is out, 0 when the rest waits for the socket,
 * -1 when the connection is gone (closed and freed, or lost).
 */
static int
flush_out(struct http_conn *c)
{
	size_t before = c->out_at;

	check(before <= c->out.len);
	while (c->out_at < c->out.len) {
		ssize_t n = c->stream.kind->write(
		    &c->stream, c->out.p + c->out_at, c->out.len - c->out_at);

		if (n > 0) {
			c->out_at += (size_t)n;
		} else if (n == -1 && errno == EAGAIN) {
			if (c->out_at > before)
				c->moved_ms = clock_mono_ms();
			loop_io_want(c->io, LOOP_WRITE);
			return 0;
		} else {
			lose(c);
			return -1;
		}
	}
	buf_reset(&c->out);
	c->out_at = 0;
	return 1;
}

/* 0, or -1 when memory is short; then nothing was added to out. */
static int
write_answer(struct http_conn *c)
{
	struct http_exchange *x = c->x;
	struct http_response *res = &x->res;
	size_t before = c->out.len;

	res->head = slice_eq(x->req.method, SLICE_LITERAL("HEAD"));
	res->minor = x->req.minor;
	res->body = buf_slice(&x->body);
	res->fields = buf_slice(&x->fields);
	/* Its end is that of the connection. */
	if (res->streamed && res->minor == 0)
		c->closing = true;
	res->close = c->closing;
	if (!x->body.failed && !x->fields.failed &&
	    http_response_write(&c->out, res, clock_wall_ms()) == 0)
		return 0;
	c->out.failed = false;
	c->out.len = before;
	return -1;
}

static void
fill_refusal(struct http_exchange *x, int status, const char *reason)
{
	const struct http_handler *handler = x->conn->conns->handler;

	handler->refuse(handler->arg, x, status, reason);
}

static void
count_status(struct http_conns *conns, int status)
{
	check(status / 100 < HTTP_STATUS_CLASSES);
	conns->counts.answered[status / 100]++;
}

/* An answer begins: is it the last one? */
static void
decide_closing(struct http_conn *c)
{
	if (c->conns->draining || c->reserve || !c->x->req.keep_alive ||
	    ++c->n_requests == c->conns->settings->max_requests)
		c->closing = true;
}

/* The answer is complete: puts it on the wire. The caller goes on with run. */
static void
answer(struct http_conn *c)
{
	struct http_exchange *x = c->x;

	decide_closing(c);
	if (write_answer(c) == -1) {
		c->closing = true; /* which says so, when there is no room */
		buf_free(&x->body);
		(void)http_conns_free_memory(c->conns); /* for the next time */
		fill_refusal(x, 503, NO_MEMORY);
		(void)write_answer(c);
	}
	count_status(c->conns, x->res.status);
	x->in_at += x->parser.consumed;
	check(x->in_at <= x->in.len);
	c->state = CONN_WRITING;
	begin_phase(c, c->conns->settings->write_timeout_ms);
}

void
http_conn_answered(struct http_exchange *x)
{
	struct http_conn *c = x->conn;

	check(c->x == x && c->state == CONN_WAITING);
	answer(c);
	set_place(c, CONN_BUSY);
	run_conn(c);
}

/* Looks at what has come; for more than once, if its bytes have moved. */
static enum http_result
look(struct http_exchange *x)
{
	return http_parse(
	    &x->parser, x->in.p + x->in_at, x->in.len - x->in_at, &x->req);
}

/*
 * Says why a request is not served, then closes: the rest of what the client
 * sends is not read.
 */
static void
refuse_request(struct http_conn *c, int status, const char *reason)
{
	struct http_exchange *x = c->x;

	c->closing = true;
	(void)look(x); /* room for more may have been made since */
	if (!x->parser.head_done)
		x->req = (struct http_request){.minor = 1};
	x->parser.consumed = x->in.len - x->in_at;
	fill_refusal(x, status, reason);
	answer(c);
}

/*
 * A body may take bodyTimeout, but after the time of a head it must have come
 * at the least rate.
 */
static void
set_body_deadline(struct http_conn *c, int64_t since_ms, int64_t bytes)
{
	const struct http_settings *settings = c->conns->settings;
	int64_t ms = settings->body_timeout_ms, least = settings->min_body_rate;

	if (least > 0 &&
	    bytes * 1000 / least < ms - settings->header_timeout_ms)
		ms = settings->header_timeout_ms + bytes * 1000 / least;
	set_deadline(c, since_ms + ms - clock_mono_ms());
}

/* Nothing more of the body is read. */
static void
stop_stream(struct http_conn *c, int status, const char *reason)
{
	struct http_sink *sink = &c->x->sink;

	if (c->input_over)
		return;
	c->closing = c->input_over = true;
	if (!sink->done)
		sink->stop(sink->arg, status, reason);
}

static void
go_on_after(struct http_conn *c)
{
	if (c->x->req.expect_continue && !c->continued) {
		c->continued = true;
		buf_append_string(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
	}
}

static void
enter_stream(struct http_conn *c)
{
	c->state = CONN_STREAMING;
	c->answering = c->held = c->input_over = c->lost = false;
	c->unfed = true;
	c->n_whole = 0;
	c->stream_bytes = 0;
	begin_phase(c, c->conns->settings->body_timeout_ms);
	c->unit_ms = c->since_ms;
}

/* Whether the body whose head has come goes to a sink. */
static bool
open_stream(struct http_conn *c)
{
	const struct http_handler *handler = c->conns->handler;
	struct http_exchange *x = c->x;

	if (!handler->streams(handler->arg, x))
		return false;
	check(x->sink.take != NULL && x->sink.stop != NULL);
	x->parser.streamed = true;
	enter_stream(c);
	if (c->conns->draining) {
		stop_stream(c, 503, DRAINING);
		return true;
	}
	go_on_after(c);
	(void)buf_reserve(&x->in, STREAM_BYTES); /* less will do */
	return true;
}

/* The first or next piece of the sink's answer goes to out. 0 or -1. */
static int
move_piece(struct http_conn *c)
{
	struct http_exchange *x = c->x;

	if (!c->answering) {
		(void)look(x); /* room for more may have been made since */
		c->answering = true;
		decide_closing(c);
		x->res.streamed = !x->sink.done;
		if (write_answer(c) == -1)
			return -1;
		count_status(c->conns, x->res.status);
	}
	if (x->res.streamed && !http_response_is_chunked(&x->res)) {
		buf_append_slice(&c->out, buf_slice(&x->body));
	} else if (x->res.streamed) {
		if (x->body.len > 0)
			http_chunk_append(&c->out, buf_slice(&x->body));
		if (x->sink.done)
			http_chunk_append(&c->out, slice_of(NULL, 0));
	}
	if (x->body.failed || c->out.failed)
		return -1;
	buf_reset(&x->body);
	begin_phase(c, c->conns->settings->write_timeout_ms);
	c->stream_bytes = 0;
	return 0;
}

/* Offers the sink what has come. */
static void
feed(struct http_conn *c)
{
	struct http_exchange *x = c->x;
	enum http_result result = look(x);
	size_t had, n, len = x->in.len - x->in_at;

	if (result == HTTP_BAD) {
		stop_stream(c, x->parser.status, x->parser.reason);
		return;
	}
	had = x->req.body.len;
	n = x->sink.take(x->sink.arg, x->req.body, result == HTTP_DONE);
	http_parser_drop(&x->parser, x->in.p + x->in_at, &len, n);
	x->in.len = x->in_at + len;
	c->held = n < had;
	c->input_over = result == HTTP_DONE && n == had;
	if (c->n_whole != x->sink.n_whole) {
		c->n_whole = x->sink.n_whole;
		c->unit_ms = clock_mono_ms();
	}
}

/*
 * Each unit has the time of a body, and there may be as much between two. What
 * a sink takes that is busy, or has no room, is not the client's: it may wait
 * for an answer before it goes on.
 */
static void
await_stream(struct http_conn *c)
{
	const struct http_sink *sink = &c->x->sink;
	bool reads = !c->held && !c->input_over;

	loop_io_want(c->io, reads ? LOOP_READ : 0);
	set_place(c, sink->busy ? CONN_NOWHERE : CONN_BUSY);
	if (!reads || sink->busy)
		clear_deadline(c);
	else if (sink->pending > 0)
		set_body_deadline(c, c->unit_ms, (int64_t)sink->pending);
	else
		set_deadline(c, c->conns->settings->body_timeout_ms);
}

/* 1 when there is more to do now, 0 when something must be waited for, or it is
 * gone. out is empty. */
static int
run_stream(struct http_conn *c)
{
	struct http_exchange *x = c->x;

	if (x->sink.done && !c->input_over)
		c->closing = true;
	if ((x->body.len > 0 || x->body.failed || x->sink.done) &&
	    move_piece(c) == -1) {
		lose(c);
		return 0;
	}
	if (x->sink.done) {
		check(!x->sink.busy);
		if (!c->closing)
			x->in_at += x->parser.consumed;
		set_place(c, CONN_BUSY);
		c->state = CONN_WRITING;
		return 1;
	}
	if (c->out.len > 0)
		return 1;
	if (c->unfed) {
		/* What it submits must not lose its connection meanwhile. */
		set_place(c, CONN_NOWHERE);
		if (c->input_over)
			x->sink.more(x->sink.arg);
		else
			feed(c);
		if (!x->sink.busy)
			set_place(c, CONN_BUSY);
		c->unfed = !x->sink.busy &&
			   (x->body.len > 0 || c->held || c->input_over);
		return 1;
	}
	await_stream(c);
	return 0;
}

void
http_conn_pushed(struct http_exchange *x)
{
	struct http_conn *c = x->conn;

	check(c->x == x);
	check(c->state == CONN_STREAMING);
	if (c->lost) {
		buf_reset(&x->body);
		if (!x->sink.busy)
			http_conn_close(c);
		return;
	}
	if (c->held || !x->sink.busy)
		c->unit_ms = clock_mono_ms();
	c->unfed = true;
	if (c->out.len == 0)
		run_conn(c);
	else if (!x->sink.busy) /* it may not read, and is to make room */
		set_place(c, CONN_BUSY);
}

static void
serve_request(struct http_conn *c)
{
	const struct http_handler *handler = c->conns->handler;

	clear_deadline(c);
	/* What it takes longer for is answered after this, on the loop. */
	c->state = CONN_WAITING;
	switch (handler->handle(handler->arg, c->x)) {
	case ANSWERED:
		answer(c);
		break;
	case LATER:
		/* Its socket stays watched: most say nothing until they have
		 * their answer, and need no calls of epoll then. */
		set_place(c, CONN_NOWHERE);
		break;
	case BY_PIECE:
		enter_stream(c);
		c->input_over = true;
		break;
	default:
		check(false);
	}
}

/*
 * Looks at the bytes of a request; the state says what comes next: READING for
 * more, WAITING for the handler, WRITING for an answer.
 */
static void
parse(struct http_conn *c)
{
	struct http_exchange *x = c->x;
	enum http_result result = look(x);

	if (result == HTTP_HEAD) {
		if (open_stream(c))
			return;
		result = look(x);
	}
	switch (result) {
	case HTTP_BAD:
		refuse_request(c, x->parser.status, x->parser.reason);
		return;
	case HTTP_DONE:
		serve_request(c);
		return;
	case HTTP_MORE:
		break;
	case HTTP_HEAD:
	default:
		check(false);
	}
	if (!x->parser.head_done)
		return;
	if (!c->head_seen) {
		c->head_seen = true;
		c->since_ms = clock_mono_ms();
	}
	set_body_deadline(c, c->since_ms, (int64_t)(x->in.len - x->in_at));
	go_on_after(c);
}

static void
begin_exchange(struct http_conn *c)
{
	http_exchange_begin(c->x, &c->conns->settings->limits);
	c->x->parser.ask_stream = c->conns->handler->streams != NULL;
}

/* Goes on with what came behind this request, or waits for more. */
static void
next_request(struct http_conn *c)
{
	struct http_exchange *x = c->x;

	c->head_seen = c->continued = false;
	if (x->in_at == x->in.len) {
		become_idle(c);
		return;
	}
	c->state = CONN_READING;
	loop_io_want(c->io, LOOP_READ);
	begin_phase(c, c->conns->settings->header_timeout_ms);
	begin_exchange(c);
}

/* Its share of the turn is over. */
static void
yield(struct http_conn *c)
{
	c->yields = true;
	loop_io_want(c->io, LOOP_WRITE);
}

/*
 * After an answer is out. 1 when there is more to do now, 0 when something must
 * be waited for; then it may be closed and freed.
 */
static int
go_on(struct http_conn *c, int *answers)
{
	if (c->closing) {
		linger(c);
		return 0;
	}
	if ((*answers)++ == ANSWERS_PER_TURN) {
		yield(c);
		return 0;
	}
	next_request(c);
	return c->x != NULL;
}

/*
 * Drives a connection with bytes or an answer until it must wait for the
 * socket or the handler. It may be closed and freed on return.
 */
static void
run_conn(struct http_conn *c)
{
	int answers = 0;

	c->yields = false;
	for (;;) {
		size_t before;

		if (c->out.len > 0 && c->state != CONN_WAITING) {
			if (flush_out(c) != 1)
				return;
			if (c->state == CONN_READING)
				loop_io_want(c->io, LOOP_READ);
		}
		switch (c->state) {
		case CONN_WRITING:
			if (go_on(c, &answers) == 0)
				return;
			break;
		case CONN_READING:
			before = c->out.len;
			parse(c);
			if (c->state == CONN_READING && c->out.len == before)
				return;
			break;
		case CONN_STREAMING:
			if (run_stream(c) == 0)
				return;
			break;
		case CONN_WAITING:
		case CONN_LINGERING:
			return;
		default:
			check(false);
		}
	}
}

/* Room for the next read; consumed bytes in front make room first. */
static int
make_room(struct http_exchange *x)
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
ensure_exchange(struct http_conn *c)
{
	if (c->x != NULL)
		return 0;
	c->x = http_conns_take_exchange(c->conns);
	if (c->x == NULL)
		return -1;
	set_place(c, CONN_BUSY);
	http_exchange_move(c->x, &c->peer->memory);
	c->x->conn = c;
	c->x->reserve = c->reserve;
	begin_exchange(c);
	return 0;
}

static void
read_request(struct http_conn *c)
{
	bool first = c->x == NULL;
	struct http_exchange *x;
	ssize_t n;
	int rc;

	if (ensure_exchange(c) == -1) {
		http_conn_close(c);
		return;
	}
	while ((rc = make_room(c->x)) == -1)
		if (!http_conns_free_memory(c->conns))
			break;
	if (rc == -1) {
		if (c->state == CONN_STREAMING)
			stop_stream(c, 503, NO_MEMORY);
		else
			refuse_request(c, 503, NO_MEMORY);
		run_conn(c);
		return;
	}
	x = c->x;
	n = c->stream.kind->read(
	    &c->stream, x->in.p + x->in.len, x->in.cap - x->in.len);
	if (n == -1 && errno == EAGAIN) {
		if (first)
			become_idle(c);
		return;
	}
	if (n <= 0) {
		lose(c);
		return;
	}
	x->in.len += (size_t)n;
	c->unfed = true;
	c->stream_bytes += n;
	if (first)
		begin_phase(c, c->conns->settings->header_timeout_ms);
	else
		c->moved_ms = clock_mono_ms();
	run_conn(c);
}

static void
drop_input(struct http_conn *c)
{
	char bytes[4096];
	ssize_t n = c->stream.kind->read(&c->stream, bytes, sizeof(bytes));

	if (n == 0 || (n == -1 && errno != EAGAIN))
		http_conn_close(c);
}

static void
on_conn_io(int fd, unsigned events, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	/* Its handler holds the exchange; the answer watches it anew. */
	if ((events & LOOP_FAILED) != 0 && c->state != CONN_WAITING) {
		lose(c);
		return;
	}
	switch (c->state) {
	case CONN_READING:
	case CONN_STREAMING:
		if (c->out.len > 0) /* as the rest of a 100 Continue */
			run_conn(c);
		else
			read_request(c);
		break;
	case CONN_WRITING:
		run_conn(c);
		break;
	case CONN_LINGERING:
		drop_input(c);
		break;
	case CONN_WAITING:
		/* Only who sends before it has its answer costs calls to stop
		 * watching and to watch again. */
		loop_io_want(c->io, 0);
		break;
	default:
		check(false);
	}
}

bool
http_conn_has_input(const struct http_conn *c)
{
	return (c->state == CONN_READING || (c->state == CONN_STREAMING &&
						!c->held && !c->input_over)) &&
	       c->stream.kind->has_input(&c->stream);
}

bool
http_conn_has_ended(const struct http_exchange *x)
{
	const struct stream *stream = &x->conn->stream;

	return stream->kind->has_ended(stream);
}

static void
on_deadline(void *arg)
{
	struct http_conn *c = arg;
	int64_t now_ms = clock_mono_ms();

	c->armed_ms = INT64_MAX;
	if (c->deadline_ms == INT64_MAX)
		return;
	if (now_ms < c->deadline_ms) {
		set_deadline(c, c->deadline_ms - now_ms);
		return;
	}
	if (c->state == CONN_READING && c->x != NULL) {
		refuse_request(c, 408, "the request did not arrive in time");
		run_conn(c);
	} else if (c->state == CONN_STREAMING && c->out.len > 0) {
		lose(c); /* it does not read its answer */
	} else if (c->state == CONN_STREAMING && c->input_over) {
		run_conn(c);
	} else if (http_conn_has_input(c)) {
		read_request(c);
	} else if (c->state == CONN_STREAMING) {
		stop_stream(c, 408, "the rest did not arrive in time");
		run_conn(c);
	} else {
		lose(c);
	}
}

size_t
http_conn_memory(const struct http_conn *c)
{
	return c->out.cap + (c->x == NULL ? 0 : c->x->in.cap + c->x->body.cap);
}

int64_t
http_conn_progress(const struct http_conn *c, int64_t now_ms)
{
	size_t bytes = 0;

	if (now_ms - c->moved_ms >= STALLED_MS)
		return 0;
	if (c->yields)
		return (INT64_MAX - 1) / c->peer->n_conns;
	if (c->state == CONN_READING && c->x != NULL)
		bytes = c->x->in.len - c->x->in_at;
	else if (c->state == CONN_STREAMING)
		bytes = (size_t)c->stream_bytes + c->out_at;
	else if (c->state == CONN_WRITING)
		bytes = c->out_at;
	/* A second more, or the first bytes would seem to be very fast. */
	return (int64_t)bytes * 1000 / (now_ms - c->since_ms + 1000) /
	       c->peer->n_conns;
}

int
http_conn_open(
    struct http_conns *conns, int fd, struct peer *peer, bool reserve)
{
	struct http_conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		peers_leave(&conns->peers, peer);
		close(fd);
		return -1;
	}
	c->conns = conns;
	c->stream = stream_plain(fd);
	c->peer = peer;
	c->reserve = reserve;
	buf_init_within(&c->out, conns->memory.max, &peer->memory);
	c->io = loop_io_create(conns->loop, fd, LOOP_READ, on_conn_io, c);
	c->timer = loop_timer_create(conns->loop, on_deadline, c);
	if (c->io == NULL || c->timer == NULL) {
		free_conn(c);
		return -1;
	}
	LIST_INSERT_HEAD(&conns->all, c, entry);
	conns->n++;
	c->armed_ms = c->leave_by_ms = INT64_MAX;
	set_deadline(c, conns->idle_timeout_ms);
	set_place(c, CONN_IDLE);
	return 0;
}

void
http_conn_drain(struct http_conn *c)
{
	if (c->state == CONN_STREAMING && !c->lost) {
		stop_stream(c, 503, DRAINING);
		if (c->out.len == 0 && !c->x->sink.busy)
			set_deadline(c, 0); /* its last piece */
	} else if (c->place == CONN_IDLE) {
		set_deadline(c, c->conns->idle_timeout_ms);
	}
	set_leave_by(c);
	if (c->deadline_ms > c->leave_by_ms && c->deadline_ms < INT64_MAX)
		set_deadline(c, c->leave_by_ms - clock_mono_ms());
}
