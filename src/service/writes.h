/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_WRITES_H
#define CASSATA_SERVICE_WRITES_H

#include <stdbool.h>

#include "service/call.h"

/*
 * Calls that change the datastore, which a frozen daemon refuses; its master
 * waits for those that have begun.
 */

#define WRITES_FROZEN                                                          \
	"the service is frozen for maintenance: it takes no changes"

/* False: frozen. */
bool writes_may_begin(const struct call *call);

/* The same; then the answer is made. */
bool writes_begin(struct call *call);

/* The datastore has done its part. */
void writes_end(const struct call *call);

/* 503, with Retry-After: when is not known. */
enum verdict writes_refuse(struct http_exchange *x);

#endif
