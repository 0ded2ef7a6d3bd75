/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_HOSTS_H
#define CASSATA_SERVICE_HOSTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "config/config.h"

/*
 * What this server is called by, to tell its own clients from web pages: a page
 * can have its own name resolve to any address (DNS rebinding), but it cannot
 * make a browser leave that name out of Host, nor its origin out of Origin.
 */
struct hosts {
	const struct config_strings *configured; /* borrowed */
	bool any;                                /* "*" is among them */
	bool any_address; /* it listens on all: each may be one of ours */
	size_t n_names;
	char **names; /* an IPv6 address in brackets */
	size_t n_addresses;
	struct in6_addr *addresses; /* of the listeners; IPv4 mapped */
};

/*
 * localhost, the system's name, the name and addresses that it listens on, and
 * service.hosts. 0, or -1 when memory is short; hosts_free is due anyway.
 */
int hosts_init(struct hosts *hosts, const struct config_service *cfg,
    const int *listen_fds, size_t n_listen);
void hosts_free(struct hosts *hosts);

/* Whether a Host, with or without a port, is this server. */
bool hosts_has(const struct hosts *hosts, struct slice host);

/* Whether an Origin is this server's, which was called by that Host. */
bool hosts_has_origin(
    const struct hosts *hosts, struct slice origin, struct slice host);

#endif
