/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_IF_MATCH_H
#define CASSATA_SERVICE_IF_MATCH_H

#include "base/buf.h"
#include "base/slice.h"
#include "http/http_exchange.h"

/*
 * The tags of If-Match (RFC 9110, 13.1.1), p NULL where there is none. Several
 * lines are one with commas in between (5.3): it is then in *lines, which the
 * caller frees in any case. 0, or -1 when memory is short.
 */
int if_match_take(
    const struct http_exchange *x, struct buf *lines, struct slice *tags);

#endif
