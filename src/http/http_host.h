/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_HOST_H
#define CASSATA_HTTP_HTTP_HOST_H

#include <stdbool.h>

#include "base/slice.h"

/* Hosts as a request names them, in Host and in its target. Pure. */

/* host [":" port] of RFC 3986, of which http needs a host that is not empty. */
bool http_host_is_valid(struct slice host);

/* Whether it is host ":" port, as only CONNECT has it (RFC 9112, 3.2.3). */
bool http_host_is_authority(struct slice target);

/*
 * Length of "http://host" in front of the path, with where in it the host
 * starts; 0 when it is something else.
 */
size_t http_origin_len(struct slice target, size_t *host);

#endif
