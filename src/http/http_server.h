/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_SERVER_H
#define CASSATA_HTTP_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "http/http_conns.h"

/*
 * Accepts connections on sockets that it may share with siblings, and owns
 * them. At the limit a new connection takes the place of one that is idle or
 * makes little progress. While all requests are being served it waits in the
 * backlog; after a moment of that a few are let in to be told so: of their
 * exchanges reserve is set.
 */
struct http_server;

/*
 * settings, handler, loop and the listening, non-blocking sockets must outlive
 * it. NULL when memory is short.
 */
struct http_server *http_server_create(struct loop *loop, const int *listen_fds,
    size_t n_listen, const struct http_settings *settings,
    const struct http_handler *handler);

/* Closes the connections that are left. *server may be NULL, and is after. */
void http_server_free(struct http_server **server);

/* How a server drains. */
struct http_drain {
	/* Of the last server of its sockets: those that wait to be accepted are
	 * served, too. */
	bool last;
	int64_t idle_ms; /* for idle connections */
	/* For clients to send the rest of a request and to take an answer, what
	 * the handler takes for it not counted; 0: as ever. */
	int64_t begun_ms;
};

/*
 * Accepts no more, has each connection finish what it has begun, and calls
 * handler->drained when none is left, maybe at once.
 */
void http_server_drain(
    struct http_server *server, const struct http_drain *how);

/* Up to now; they stay at their place. */
const struct http_counts *http_server_counts(struct http_server *server);

#endif
