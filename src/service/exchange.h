/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_EXCHANGE_H
#define CASSATA_SERVICE_EXCHANGE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "event/event.h"
#include "http/http_parser.h"
#include "http/http_response.h"
#include "store/store.h"
#include "store/store_thread.h"

struct conn;
struct service;

/* The decoded ids and the headers of an event, with room. */
enum { EXCHANGE_SCRATCH_BYTES = 64 * 1024 };

/*
 * One request and its answer. A connection borrows an exchange while it has
 * bytes of a request; idle connections have none. While the datastore works on
 * it nothing is read, so that all slices into `in` stay valid.
 */
struct exchange {
	struct service *service;
	struct conn *conn;
	void (*answered)(struct exchange *x); /* res and body are complete */

	struct buf in;	/* bytes read; the request starts at in_at */
	size_t in_at;
	struct http_parser parser;
	struct http_request req;

	bool reserve; /* of a connection beyond the limit */
	struct slice app, id; /* from the path, decoded, in scratch */
	struct buf scratch;   /* decoded ids, the event's headers */
	struct event event;
	struct store_add add;

	/* The call of the datastore: what it is about and what came out. */
	struct store_job job;
	struct event_key key;
	enum store_find find;
	enum store_status status;
	struct store_record *record;
	enum cancel_outcome cancelled;
	enum event_state state;
	struct err err;

	struct http_response res;
	struct buf body; /* of the answer */

	STAILQ_ENTRY(exchange) entry; /* in the intake, documents or pool */
};

STAILQ_HEAD(exchange_list, exchange);

/* NULL when memory is short. */
struct exchange *exchange_create(struct service *service);
void exchange_free(struct exchange *x);

/*
 * Its memory, present and to come, counts there; but for the scratch, which is
 * only used when a request has arrived and is to be served.
 */
void exchange_move(struct exchange *x, struct buf_budget *memory);

/*
 * Makes it ready for another connection: forgets all bytes, gives large buffers
 * back.
 */
void exchange_reset(struct exchange *x);

#endif
