/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_CONNS_H
#define CASSATA_HTTP_HTTP_CONNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "http/http_exchange.h"
#include "http/http_parser.h"
#include "http/peers.h"

/* What the connections of a server have in common. */

struct http_settings {
	struct http_limits limits;
	struct http_exchange_sizes sizes; /* of each request */
	int max_conns;
	int max_per_address;  /* 0: no limit */
	int64_t max_requests; /* of a connection */
	int64_t idle_timeout_ms, header_timeout_ms, body_timeout_ms,
	    write_timeout_ms;
	int64_t min_body_rate;   /* bytes per second; 0: no limit */
	size_t max_memory_bytes; /* of all requests and answers */
};

/* What is done with requests: by the user of the server. */
struct http_handler {
	enum verdict (*handle)(void *arg, struct http_exchange *x);
	/* Whether the body that follows this head is taken as it comes: then
	 * x->sink is filled in, and handle is not called. May be NULL. */
	bool (*streams)(void *arg, struct http_exchange *x);
	/* Makes the answer to a request that is not served, and says why. */
	void (*refuse)(
	    void *arg, struct http_exchange *x, int status, const char *reason);
	/* After http_server_drain: the last connection has ended. */
	void (*drained)(void *arg);
	void *arg;
};

enum { HTTP_STATUS_CLASSES = 6 }; /* by the first digit */

struct http_counts {
	int64_t conns;        /* open now */
	int64_t memory_bytes; /* held now */
	int64_t accepted, displaced, refused;
	int64_t answered[HTTP_STATUS_CLASSES];
};

/* Who opened them, and closes them for others. */
struct http_conns_owner {
	/* One has ended, or may make room from now on. */
	void (*changed)(void *arg);
	/* Closes one that does not read its answer; false: there is none. Never
	 * one whose request is being read or answered now. */
	bool (*free_memory)(void *arg);
};

TAILQ_HEAD(http_conn_queue, http_conn);

struct http_conns {
	const struct http_settings *settings; /* borrowed */
	const struct http_handler *handler;   /* borrowed */
	struct loop *loop;                    /* borrowed */
	const struct http_conns_owner *owner; /* borrowed */
	void *owner_arg;

	LIST_HEAD(, http_conn) all;
	int n;
	struct http_conn_queue idle; /* of all, the longest idle first */
	struct http_conn_queue busy; /* of all, that move bytes */
	struct peers peers;          /* whose they are */
	struct buf_budget memory;
	struct http_exchange_list pool; /* idle exchanges */
	int n_pool;
	struct http_counts counts;
	bool draining;
	int64_t idle_timeout_ms; /* a shorter one while draining */
	int64_t begun_ms; /* while draining: see http_drain; or INT64_MAX */
};

/* All that is borrowed must outlive them. */
void http_conns_init(struct http_conns *conns, struct loop *loop,
    const struct http_settings *settings, const struct http_handler *handler,
    const struct http_conns_owner *owner, void *owner_arg);

/* Frees the pool; the connections must be gone. */
void http_conns_fini(struct http_conns *conns);

/* For the connections: the functions of their owner. */
void http_conns_changed(struct http_conns *conns);
bool http_conns_free_memory(struct http_conns *conns);

/* An exchange from the pool, or a new one; NULL when memory is short. */
struct http_exchange *http_conns_take_exchange(struct http_conns *conns);
void http_conns_return_exchange(
    struct http_conns *conns, struct http_exchange *x);

#endif
