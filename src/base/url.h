/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_URL_H
#define CASSATA_BASE_URL_H

#include <stdbool.h>

#include "base/slice.h"

/*
 * A URL (RFC 3986 3) in pieces, none of them decoded or judged: what may stand
 * in one is its owner's to say. Of a piece that is not there p is NULL; one
 * that is empty has a p.
 *
 * SCHEME://[USER[:PASSWORD]@]HOST[:PORT][PATH][?QUERY][#FRAGMENT]
 */
struct url {
	struct slice scheme;
	struct slice user, password;
	struct slice server; /* never NULL: HOST[:PORT] as a whole */
	struct slice host;   /* never NULL; without the brackets of a literal */
	bool host_is_literal; /* in brackets: an IPv6 address */
	struct slice port;
	struct slice path;            /* with its '/' */
	struct slice query, fragment; /* without '?' and '#' */
};

/* A '#' in the URL of a datastore is a character as others are. */
enum url_form { URL_WITH_FRAGMENT, URL_WITHOUT_FRAGMENT };

/* 0, or -1 when text does not begin with SCHEME://. Borrows text. */
int url_split(struct slice text, enum url_form form, struct url *url);

/* The same of [USER[:PASSWORD]@]HOST[:PORT], which always is one. */
void url_split_authority(struct slice text, struct url *url);

/* Whether it leads to HOST or HOST:PORT, as that stands in it; to "" all do. */
bool url_leads_to(struct slice text, struct slice destination);

/* "example.net" of "HTTPS://example.net:8443/path": what a URL names its host,
 * without port. Empty when it has none. */
struct slice url_host_name(struct slice text);

/* Whether there is one, and no brackets or colons but around a literal and in
 * it. */
bool url_has_host(const struct url *url);

/* Of what stands in brackets. */
bool url_is_ipv6(struct slice host);

/* 1 to 65535; 0 for anything else. */
unsigned url_port(struct slice port);

#endif
