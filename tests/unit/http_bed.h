/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_TESTS_HTTP_BED_H
#define CASSATA_TESTS_HTTP_BED_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

#include "base/buf.h"
#include "base/loop.h"
#include "http/http_conn.h"
#include "http/http_conns.h"

/*
 * A handler and clients on one loop, for the tests of the HTTP server: what is
 * waited for stops the loop, and a long time ends the test.
 */
enum { BED_WAITING_MAX = 64, BED_PATIENCE_MS = 30000 };

struct bed {
	struct loop *loop;
	struct http_settings settings;
	struct http_handler handler;
	struct loop_timer *patience;
	struct http_exchange *waiting[BED_WAITING_MAX]; /* for their answer */
	int n_waiting;
	int stop_at; /* that many wait: the loop stops; 0: never */
	size_t late_bytes; /* of a later answer, beside its word */
	int n_handled;
	bool reserve; /* the last one handled was of the reserve */
	bool drained;
	void (*stream)(struct http_exchange *x); /* for /stream */
};

/* /later waits for bed_answer; else the answer is the body of the request. */
static enum verdict
bed_handle(void *arg, struct http_exchange *x)
{
	struct bed *bed = arg;

	bed->n_handled++;
	bed->reserve = x->reserve;
	if (slice_eq(x->req.path, SLICE_LITERAL("/later"))) {
		ck_assert_int_lt(bed->n_waiting, BED_WAITING_MAX);
		bed->waiting[bed->n_waiting++] = x;
		if (bed->n_waiting == bed->stop_at)
			loop_stop(bed->loop);
		return LATER;
	}
	http_exchange_answer(x, 200, "text/plain");
	if (slice_eq(x->req.path, SLICE_LITERAL("/stream"))) {
		bed->stream(x);
		return BY_PIECE;
	}
	buf_append_slice(&x->body, x->req.body);
	return ANSWERED;
}

/* /sink: the body goes to the test's. */
static bool
bed_streams(void *arg, struct http_exchange *x)
{
	struct bed *bed = arg;

	if (!slice_eq(x->req.path, SLICE_LITERAL("/sink")))
		return false;
	bed->stream(x);
	return true;
}

static void
bed_refuse(void *arg, struct http_exchange *x, int status, const char *reason)
{
	(void)arg;
	http_exchange_answer(x, status, "text/plain");
	buf_append_string(&x->body, reason);
}

static void
bed_drained(void *arg)
{
	struct bed *bed = arg;

	bed->drained = true;
	loop_stop(bed->loop);
}

static void
bed_lost_patience(void *arg)
{
	(void)arg;
	ck_abort_msg("what should come did not");
}

static inline void
bed_init(struct bed *bed)
{
	*bed = (struct bed){
	    .loop = loop_create(),
	    .settings =
		{
		    .limits = {1024, 1024, 16, 1 << 20},
		    .sizes = {(1 << 20) + 16384, 4096, 16},
		    .max_conns = 16,
		    .max_requests = 1000,
		    .idle_timeout_ms = 20000,
		    .header_timeout_ms = 20000,
		    .body_timeout_ms = 20000,
		    .write_timeout_ms = 20000,
		    .max_memory_bytes = 1 << 23,
		},
	    .handler = {.handle = bed_handle,
		.streams = bed_streams,
		.refuse = bed_refuse,
		.drained = bed_drained,
		.arg = bed},
	};
	ck_assert_ptr_nonnull(bed->loop);
	bed->patience = loop_timer_create(bed->loop, bed_lost_patience, NULL);
	ck_assert_ptr_nonnull(bed->patience);
}

static inline void
bed_fini(struct bed *bed)
{
	loop_timer_free(&bed->patience);
	loop_free(bed->loop);
}

static inline void
bed_run(struct bed *bed)
{
	loop_timer_set(bed->patience, BED_PATIENCE_MS);
	ck_assert_int_eq(loop_run(bed->loop), 0);
	loop_timer_clear(bed->patience);
}

/* Until n requests wait for their answer. */
static inline void
bed_wait(struct bed *bed, int n)
{
	bed->stop_at = n;
	if (bed->n_waiting < n)
		bed_run(bed);
	bed->stop_at = 0;
	ck_assert_int_eq(bed->n_waiting, n);
}

/* Answers the one that waits for the longest time. */
static inline void
bed_answer(struct bed *bed)
{
	struct http_exchange *x = bed->waiting[0];

	ck_assert_int_gt(bed->n_waiting, 0);
	bed->n_waiting--;
	memmove(&bed->waiting[0], &bed->waiting[1],
	    (size_t)bed->n_waiting * sizeof(bed->waiting[0]));
	http_exchange_answer(x, 200, "text/plain");
	buf_append_string(&x->body, "late");
	for (size_t i = 0; i < bed->late_bytes; i++)
		buf_append_char(&x->body, '.');
	http_conn_answered(x);
}

struct client {
	struct bed *bed;
	int fd;
	struct loop_io *io;
	char *got; /* with a NUL */
	size_t len, size;
	bool ended;
	const char *until; /* stops the loop; NULL: only the end does */
};

static inline bool
client_has(const struct client *client, const char *text)
{
	return client->got != NULL &&
	       memmem(client->got, client->len, text, strlen(text)) != NULL;
}

static void
on_client(int fd, unsigned events, void *arg)
{
	struct client *client = arg;
	char bytes[16384];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)events;
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client->ended = true;
		loop_io_want(client->io, 0);
		loop_stop(client->bed->loop);
		return;
	}
	if (client->size <= client->len + (size_t)n) {
		client->size = 2 * (client->len + sizeof(bytes));
		client->got = realloc(client->got, client->size);
		ck_assert_ptr_nonnull(client->got);
	}
	memcpy(client->got + client->len, bytes, (size_t)n);
	client->len += (size_t)n;
	client->got[client->len] = '\0';
	if (client->until != NULL && client_has(client, client->until))
		loop_stop(client->bed->loop);
}

/* Takes over fd, a non-blocking socket. */
static inline void
client_init(struct client *client, struct bed *bed, int fd)
{
	*client = (struct client){.bed = bed, .fd = fd};
	client->io =
	    loop_io_create(bed->loop, fd, LOOP_READ, on_client, client);
	ck_assert_ptr_nonnull(client->io);
}

static inline void
client_fini(struct client *client)
{
	loop_io_free(&client->io);
	close(client->fd);
	free(client->got);
}

static inline void
client_send(struct client *client, const char *text)
{
	ck_assert_int_eq(
	    write(client->fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Until that was received; then all up to now is forgotten. */
static inline void
client_expect(struct client *client, const char *text)
{
	client->until = text;
	while (!client_has(client, text) && !client->ended)
		bed_run(client->bed);
	client->until = NULL;
	ck_assert_msg(client_has(client, text), "no \"%s\" in \"%s\"", text,
	    client->got == NULL ? "" : client->got);
	client->len = 0;
}

/* Until the server has ended the connection. */
static inline void
client_expect_end(struct client *client)
{
	while (!client->ended)
		bed_run(client->bed);
}

#endif
