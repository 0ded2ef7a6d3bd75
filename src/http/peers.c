/* SPDX-License-Identifier: ISC */
#include "http/peers.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { IPV6_PREFIX_BYTES = 8 };

static struct in6_addr
address_of(const struct sockaddr_storage *storage)
{
	const struct sockaddr_in *v4 = (const void *)storage;
	const struct sockaddr_in6 *v6 = (const void *)storage;
	struct in6_addr address = {{{0}}};

	if (storage->ss_family == AF_INET) {
		address.s6_addr[10] = address.s6_addr[11] = 0xff;
		memcpy(&address.s6_addr[12], &v4->sin_addr, 4);
	} else if (storage->ss_family == AF_INET6) {
		address = v6->sin6_addr;
		if (!IN6_IS_ADDR_V4MAPPED(&address))
			memset(&address.s6_addr[IPV6_PREFIX_BYTES], 0,
			    sizeof(address) - IPV6_PREFIX_BYTES);
	}
	return address;
}

static int
compare(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;

	return memcmp(&x->address, &y->address, sizeof(x->address));
}

struct peer *
peers_join(struct peers *peers, const struct sockaddr_storage *address)
{
	struct peer wanted = {.address = address_of(address)}, *peer;
	struct peer **found = tfind(&wanted, &peers->root, compare);

	if (found != NULL) {
		(*found)->n_conns++;
		return *found;
	}
	peer = malloc(sizeof(*peer));
	if (peer == NULL)
		return NULL;
	*peer = wanted;
	peer->n_conns = 1;
	if (tsearch(peer, &peers->root, compare) == NULL) {
		free(peer);
		return NULL;
	}
	return peer;
}

void
peers_leave(struct peers *peers, struct peer *peer)
{
	check(peer->n_conns > 0);
	if (--peer->n_conns > 0)
		return;
	check(peer->memory.used == 0);
	(void)tdelete(peer, &peers->root, compare);
	free(peer);
}
