/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_RESPONSE_LINE_H
#define CASSATA_WORKER_RESPONSE_LINE_H

#include <stdbool.h>

#include "base/slice.h"

/* What a line of a response's head says, with its end or without. Pure. */

/* Whether it is, or wants to be, a status line. */
bool response_begins(struct slice line);

/*
 * Of one that begins so: "HTTP/1.1 200 OK" (RFC 9112 4). "HTTP/2-1 500" is the
 * status -1 to libcurl 7.88, and 200 to 8.14.
 */
bool response_status_line(struct slice line);

/*
 * Whether it tells of a coding other than chunked. We ask for none (RFC 9112
 * 7.4), yet libcurl before 8.14 decodes up to five compressions, one within the
 * other, of which 9 KB can keep it busy for hours in one call.
 */
bool response_strange_coding(struct slice line);

/* Whether it is "Cassata-Retry: no". */
bool response_refuses_retry(struct slice line);

#endif
