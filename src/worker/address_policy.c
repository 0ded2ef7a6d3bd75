/* SPDX-License-Identifier: ISC */
#include "worker/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static const char link_local[] = "refused: a link-local address";
static const char own_listener[] = "refused: an address that Cassata itself "
				   "listens on";

/* Every address as one of IPv6. */
struct endpoint {
	struct in6_addr ip;
	in_port_t port; /* network byte order */
};

static const uint8_t mapped_prefix[12] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* False for other families. */
static bool
endpoint_of(const struct sockaddr *address, struct endpoint *end)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (address->sa_family) {
	case AF_INET:
		memcpy(&in, address, sizeof(in));
		memcpy(end->ip.s6_addr, mapped_prefix, sizeof(mapped_prefix));
		memcpy(end->ip.s6_addr + sizeof(mapped_prefix), &in.sin_addr,
		    sizeof(in.sin_addr));
		end->port = in.sin_port;
		return true;
	case AF_INET6:
		memcpy(&in6, address, sizeof(in6));
		end->ip = in6.sin6_addr;
		end->port = in6.sin6_port;
		return true;
	default:
		return false;
	}
}

/* NULL for an address of IPv6. */
static const uint8_t *
ipv4_of(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_V4MAPPED(ip) ? ip->s6_addr + sizeof(mapped_prefix)
					: NULL;
}

static bool
is_link_local(const struct in6_addr *ip)
{
	const uint8_t *v4 = ipv4_of(ip);

	return v4 != NULL ? v4[0] == 169 && v4[1] == 254
			  : IN6_IS_ADDR_LINKLOCAL(ip);
}

/* 0.0.0.0 or ::, which a connection takes for this machine. */
static bool
is_unspecified(const struct in6_addr *ip)
{
	static const uint8_t zero[4];
	const uint8_t *v4 = ipv4_of(ip);

	return v4 != NULL ? memcmp(v4, zero, sizeof(zero)) == 0
			  : IN6_IS_ADDR_UNSPECIFIED(ip);
}

static bool
is_loopback(const struct in6_addr *ip)
{
	const uint8_t *v4 = ipv4_of(ip);

	return v4 != NULL ? v4[0] == 127 : IN6_IS_ADDR_LOOPBACK(ip);
}

/* Whether what is sent there comes to the listener, as far as that can be seen
 * without asking for this machine's addresses. */
static bool
reaches(const struct endpoint *to, const struct endpoint *listener)
{
	if (to->port != listener->port)
		return false;
	if (is_unspecified(&listener->ip))
		return is_loopback(&to->ip) || is_unspecified(&to->ip);
	return IN6_ARE_ADDR_EQUAL(&to->ip, &listener->ip) ||
	       (is_unspecified(&to->ip) && is_loopback(&listener->ip));
}

const char *
address_refusal(
    const struct sockaddr *address, const struct own_listeners *own)
{
	struct endpoint to, listener;

	if (!endpoint_of(address, &to))
		return NULL;
	if (is_link_local(&to.ip))
		return link_local;
	for (size_t i = 0; i < own->n; i++)
		if (endpoint_of((const struct sockaddr *)&own->list[i],
			&listener) &&
		    reaches(&to, &listener))
			return own_listener;
	return NULL;
}

const char *
connection_refusal(const char *peer_ip, int peer_port, const char *local_ip,
    const struct own_listeners *own)
{
	struct endpoint listener;

	if (strcmp(peer_ip, local_ip) != 0)
		return NULL;
	for (size_t i = 0; i < own->n; i++)
		if (endpoint_of((const struct sockaddr *)&own->list[i],
			&listener) &&
		    ntohs(listener.port) == peer_port &&
		    is_unspecified(&listener.ip))
			return own_listener;
	return NULL;
}
