/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_ADDRESS_POLICY_H
#define CASSATA_WORKER_ADDRESS_POLICY_H

#include <stddef.h>
#include <sys/socket.h>

/* Where our own services listen: as getsockname tells it. Borrowed. */
struct own_listeners {
	const struct sockaddr_storage *list;
	size_t n;
};

/*
 * Pure: why a request may not go to this address, as a text for the log of
 * attempts, or NULL when it may. It is the address that is connected to, after
 * names were looked up, so that no spelling passes. Refused are link-local
 * addresses (RFC 3927, RFC 4291 2.5.6), where clouds keep the credentials of
 * their machines, and our own listeners; an IPv4 address within an IPv6 one
 * (RFC 4291 2.5.5.2) is judged as what it is.
 */
const char *address_refusal(
    const struct sockaddr *address, const struct own_listeners *own);

/*
 * The same of a connection, whose ends are the same where it leads to this
 * machine: that tells all the addresses of a listener that has any.
 */
const char *connection_refusal(const char *peer_ip, int peer_port,
    const char *local_ip, const struct own_listeners *own);

#endif
