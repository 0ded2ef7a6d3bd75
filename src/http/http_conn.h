/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_CONN_H
#define CASSATA_HTTP_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "http/http_conns.h"
#include "http/http_exchange.h"
#include "http/peers.h"
#include "http/stream.h"

enum http_conn_state {
	CONN_READING,   /* a request, or idle when there is no exchange */
	CONN_WAITING,   /* for the handler: nothing is read meanwhile */
	CONN_STREAMING, /* a body to its sink, and the sink's answer */
	CONN_WRITING,   /* the rest of an answer */
	CONN_LINGERING, /* closed by us: reads and drops until the peer closes,
			   so that it sees our answer and no reset */
};

/* The queue that it is in. */
enum http_conn_place {
	CONN_NOWHERE, /* its request is being served: it must not make room */
	CONN_IDLE,    /* between two requests */
	CONN_BUSY, /* moves bytes: more of a request, the rest of an answer */
};

/* One client connection: one request at a time, in order. */
struct http_conn {
	struct http_conns *conns;
	struct stream stream;
	enum http_conn_state state;
	struct loop_io *io;
	struct loop_timer *timer;
	struct peer *peer;
	int64_t since_ms;    /* monotonic: began to read this, or to write it */
	int64_t moved_ms;    /* monotonic: the last time that bytes moved */
	int64_t deadline_ms; /* monotonic; INT64_MAX for none */
	int64_t leave_by_ms; /* none is later; INT64_MAX: as ever */
	int64_t armed_ms;    /* when the timer fires: never after deadline_ms */
	struct http_exchange *x; /* NULL while idle */
	struct buf out;
	size_t out_at;      /* bytes of out already written */
	int64_t n_requests; /* answered */
	bool continued;     /* 100 Continue was sent for this request */
	bool head_seen;     /* the deadline is that of the body */
	/* While it streams. */
	bool answering;       /* the head of the answer is out */
	bool input_over;      /* the body has ended, or is not read any more */
	bool held;            /* the sink has no room */
	bool unfed;           /* the sink is to be asked */
	bool lost;            /* the client is gone, the sink still busy */
	uint64_t n_whole;     /* units of the body that have come */
	int64_t unit_ms;      /* monotonic: since when the next one comes */
	int64_t stream_bytes; /* that have come since since_ms */
	bool yields;          /* waits for its turn, not for the socket */
	bool closing;         /* linger, then close, when out is written */
	bool reserve; /* beyond the limit: one answer, and none but of health */
	enum http_conn_place place;
	LIST_ENTRY(http_conn) entry;
	TAILQ_ENTRY(http_conn) place_entry;
};

/*
 * Takes fd over, and a connection of the peer: they are given back when this
 * fails (-1) or the connection ends.
 */
int http_conn_open(
    struct http_conns *conns, int fd, struct peer *peer, bool reserve);

void http_conn_close(struct http_conn *c); /* and frees it */

/*
 * Goes on after a handler that returned LATER: the answer is complete. The
 * exchange may be another's on return.
 */
void http_conn_answered(struct http_exchange *x);

/*
 * The sink of the exchange has done something: made a piece of the answer, has
 * room again, is not busy any more, or is done. The exchange may be another's
 * on return.
 */
void http_conn_pushed(struct http_exchange *x);

/* Whether bytes came that were not read: closing it would cut a request. */
bool http_conn_has_input(const struct http_conn *c);

/* Of a request that is served: whether its client sends no more. It has gone,
 * or only waits for the answer. */
bool http_conn_has_ended(const struct http_exchange *x);

/*
 * Bytes per second of what it reads or writes now, each connection of the same
 * peer counted with it: the lowest is the first to make room. 0 after a second
 * without any, and for less than one, or those that read slowly together would
 * keep the memory of all. Who waits for its turn with more is the fastest.
 */
int64_t http_conn_progress(const struct http_conn *c, int64_t now_ms);

/* Bytes that its request and answer hold. */
size_t http_conn_memory(const struct http_conn *c);

/* Lets it finish what it has begun, then closes it; idle ones soon. */
void http_conn_drain(struct http_conn *c);

#endif
