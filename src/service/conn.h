/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_CONN_H
#define CASSATA_SERVICE_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "service/exchange.h"
#include "service/peers.h"

enum conn_state {
	CONN_READING, /* a request, or idle when there is no exchange */
	CONN_WAITING, /* for the datastore: nothing is read meanwhile */
	CONN_WRITING, /* the rest of an answer */
	CONN_LINGERING, /* closed by us: reads and drops until the peer closes,
			   so that it sees our answer and no reset */
};

/* The list of the service that it is in. */
enum conn_place {
	CONN_NOWHERE, /* its request is being served: it must not make room */
	CONN_IDLE,    /* between two requests */
	CONN_BUSY,    /* moves bytes: more of a request, the rest of an answer */
};

/* One client connection: one request at a time, in order. */
struct conn {
	struct service *service;
	int fd;
	enum conn_state state;
	struct loop_io *io;
	struct loop_timer *timer;
	struct peer *peer;
	int64_t since_ms;    /* monotonic: began to read this, or to write it */
	int64_t moved_ms;    /* monotonic: the last time that bytes moved */
	int64_t deadline_ms; /* monotonic; INT64_MAX for none */
	int64_t armed_ms;    /* when the timer fires: never after deadline_ms */
	struct exchange *x;  /* NULL while idle */
	struct buf out;
	size_t out_at;	     /* bytes of out already written */
	int64_t n_requests; /* answered */
	bool continued;	     /* 100 Continue was sent for this request */
	bool head_seen;	     /* the deadline is that of the body */
	bool closing;	     /* linger, then close, when out is written */
	bool reserve; /* beyond the limit: one answer, and none but of health */
	enum conn_place place;
	LIST_ENTRY(conn) entry;
	TAILQ_ENTRY(conn) place_entry;
};

/*
 * Takes fd over, and a connection of the peer: they are given back when this
 * fails (-1) or the connection ends.
 */
int conn_open(
    struct service *service, int fd, struct peer *peer, bool reserve);

void conn_close(struct conn *c); /* and frees it */

/* Whether bytes came that were not read: closing it would cut a request. */
bool conn_has_input(const struct conn *c);

/* Bytes that its request and answer hold. */
size_t conn_memory(const struct conn *c);

/*
 * Bytes per second of what it reads or writes now, 0 after a second without
 * any, each connection of the same peer counted with it: the lowest is the
 * first to make room.
 */
int64_t conn_progress(const struct conn *c, int64_t now_ms);

/* Lets it finish what it has begun, then closes it; idle ones soon. */
void conn_drain(struct conn *c);

#endif
