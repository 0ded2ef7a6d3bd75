/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_PEERS_H
#define CASSATA_HTTP_PEERS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/buf.h"

/*
 * The addresses that connections come from, and how many from each. Those of
 * one IPv6 /64 are one, since a single host can take all of them; so are those
 * that have none (Unix sockets).
 */
struct peers {
	void *root; /* of tsearch(3) */
};

struct peer {
	struct in6_addr address; /* IPv4 mapped */
	int n_conns;
	struct buf_budget memory; /* a part of that of all */
};

/* One connection more from there. NULL when memory is short. */
struct peer *peers_join(
    struct peers *peers, const struct sockaddr_storage *address);

/* One less; the last one frees the peer. */
void peers_leave(struct peers *peers, struct peer *peer);

#endif
