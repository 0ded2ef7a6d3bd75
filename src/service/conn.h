/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_CONN_H
#define CASSATA_SERVICE_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "service/exchange.h"

enum conn_state {
	CONN_READING, /* a request, or idle when there is no exchange */
	CONN_WAITING, /* for the datastore: nothing is read meanwhile */
	CONN_WRITING, /* the rest of an answer */
	CONN_LINGERING, /* closed by us: reads and drops until the peer closes,
			   so that it sees our answer and no reset */
};

/* One client connection: one request at a time, in order. */
struct conn {
	struct service *service;
	int fd;
	enum conn_state state;
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t deadline_ms; /* monotonic; INT64_MAX for none */
	int64_t armed_ms;    /* when the timer fires: never after deadline_ms */
	struct exchange *x;  /* NULL while idle */
	struct buf out;
	size_t out_at;	     /* bytes of out already written */
	int64_t n_requests; /* answered */
	bool continued;	     /* 100 Continue was sent for this request */
	bool head_seen;	     /* the deadline is that of the body */
	bool closing;	     /* linger, then close, when out is written */
	bool idle;	     /* between two requests: in service->idle */
	LIST_ENTRY(conn) entry;
	TAILQ_ENTRY(conn) idle_entry;
};

/* Takes fd over: it is closed when this fails (-1) or the connection ends. */
int conn_open(struct service *service, int fd);

void conn_close(struct conn *c); /* and frees it */

/* Whether bytes came that were not read: closing it would cut a request. */
bool conn_has_input(const struct conn *c);

/* Lets it finish what it has begun, then closes it; idle ones soon. */
void conn_drain(struct conn *c);

#endif
