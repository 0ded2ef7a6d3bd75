/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_PERCENT_H
#define CASSATA_BASE_PERCENT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"

/* The percent-encoding of URLs (RFC 3986 2.1). */

/* Appends s with every byte that is not unreserved as %XX. 0, or -1 when out
 * failed. */
int percent_encode(struct buf *out, struct slice s);

/*
 * Into out, which has room for s.len bytes and may be s.p itself. 0, or -1 for a
 * bad escape.
 */
int percent_decode(struct slice s, char *out, size_t *out_len);

#endif
