/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_EXCHANGE_H
#define CASSATA_HTTP_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "http/http_parser.h"
#include "http/http_response.h"

struct http_conn;
struct call; /* what a handler makes of it; http/ knows no more of it */

/* What a handler returns. */
enum verdict {
	ANSWERED, /* res and body are complete */
	LATER,    /* http_conn_answered will tell, after the handler */
	BY_PIECE, /* x->sink answers */
};

/*
 * Who takes the body of a request as it comes, and may answer meanwhile: what
 * it puts into x->body, after http_exchange_answer, is the next piece of the
 * answer. Or, with take NULL, who answers a whole request by the piece. It
 * changes its members and x->body within these functions, or calls
 * http_conn_pushed after it did. Unless it is busy or done, each call of take
 * or more takes or makes something.
 */
struct http_sink {
	/* Takes of the bytes as many as it has room for; it is asked again for
	 * the rest when the answer so far is out, if it is busy after
	 * http_conn_pushed. last: behind these the body ends. */
	size_t (*take)(void *arg, struct slice bytes, bool last);
	/* The answer so far is out, and there is nothing more to take. */
	void (*more)(void *arg);
	/* Nothing more comes, and why; it is to answer what it has and be done.
	 * 0, which may also come later: nobody is there to read an answer. */
	void (*stop)(void *arg, int status, const char *reason);
	void (*end)(void *arg); /* once, at last, when it is not busy */
	void *arg;
	bool busy;        /* others use what it has: it must stay */
	bool done;        /* the answer is complete */
	size_t pending;   /* bytes of the unit, a line say, that is not whole */
	uint64_t n_whole; /* units that were */
};

/*
 * One request and its answer. A connection borrows an exchange while it has
 * bytes of a request; idle connections have none. Until it is answered nothing
 * is read, so that all slices into `in` stay valid.
 */
struct http_exchange {
	struct http_conn *conn; /* NULL in the pool */
	struct call *call; /* memory for the handler, zeroed at its creation */

	struct buf in; /* bytes read; the request starts at in_at */
	size_t in_at;
	struct http_parser parser;
	struct http_request req;
	bool reserve; /* of a connection beyond the limit */

	/* The answer. */
	struct http_response res;
	struct buf fields; /* more header lines, by http_field_append */
	struct buf body;
	struct http_sink sink; /* stop is NULL: there is none */
	struct buf arena;      /* for what lives as long as the request */

	STAILQ_ENTRY(http_exchange) entry; /* in the pool */
};

STAILQ_HEAD(http_exchange_list, http_exchange);

struct http_exchange_sizes {
	size_t max_request_bytes;
	size_t max_arena_bytes;
	size_t call_bytes;
};

/* Its memory counts in the budget. NULL when memory is short. */
struct http_exchange *http_exchange_create(
    const struct http_exchange_sizes *sizes, struct buf_budget *memory);
void http_exchange_free(struct http_exchange *x);

/*
 * Its memory, present and to come, counts there; but for the arena, which is
 * only used when a request has arrived and is to be served.
 */
void http_exchange_move(struct http_exchange *x, struct buf_budget *memory);

/* Before the first byte of a request is looked at. */
void http_exchange_begin(
    struct http_exchange *x, const struct http_limits *limits);

/*
 * Makes it ready for another connection: forgets all bytes, gives large buffers
 * back.
 */
void http_exchange_reset(struct http_exchange *x);

/* Begins the answer anew. type: of the body, NULL for none; static text. */
void http_exchange_answer(
    struct http_exchange *x, int status, const char *type);

/* One more header of the answer; the value is copied. */
void http_exchange_field(
    struct http_exchange *x, const char *name, struct slice value);

#endif
