/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_LOOKUPS_H
#define CASSATA_WORKER_LOOKUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "worker/share.h"

/*
 * Names that libcurl looks up: each has a thread and descriptors of its own, so
 * that there are few at a time, and of one application or domain a share of
 * these. A thread that nobody waits for any more keeps its place for as long as
 * it may go on.
 */
struct lookups {
	struct lookup *list;
	size_t n, max;
	struct shares apps, domains;
};

/* At most max, and share of one application or domain (0: no cap). 0, or -1
 * without memory. */
int lookups_init(struct lookups *lookups, size_t max, unsigned share);

/* Also after a failed init, or of zeros. */
void lookups_fini(struct lookups *lookups);

/* One of host, for who (never NULL, with none yet). False when there is no
 * room: *wait_ms until there may be, if that is known. */
bool lookups_begin(struct lookups *lookups, const void *who, struct slice app,
    struct slice host, int64_t *wait_ms);

/* That of who has ended. */
void lookups_end(struct lookups *lookups, const void *who);

/* Its thread goes on without who: nobody tells when that ends. */
void lookups_abandon(struct lookups *lookups, const void *who);

#endif
