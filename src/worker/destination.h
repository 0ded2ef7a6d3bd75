/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DESTINATION_H
#define CASSATA_WORKER_DESTINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/slice.h"

/*
 * The hosts that deliveries go to, with a cap on the deliveries under way to
 * one of them, so that a slow receiver cannot take all the slots. A delivery
 * over the cap waits in its host's queue. Hosts exist while they are in use.
 */
struct destination;
struct delivery;

enum { DESTINATION_BUCKETS = 256 };

struct destinations {
	unsigned cap; /* per host; 0: none, then nothing here does anything */
	LIST_HEAD(, destination) buckets[DESTINATION_BUCKETS];
};

void destinations_init(struct destinations *set, unsigned cap);

/*
 * True when the delivery may start now; false when it was queued. Without
 * memory for a new host it may start. *destination is to be given back to
 * destination_done when the delivery ended.
 */
bool destination_admit(struct destinations *set, struct slice url,
    struct delivery *delivery, struct destination **destination);

/*
 * A delivery that was admitted has ended: the next one of that host, which is
 * admitted by this, or NULL. destination may be NULL.
 */
struct delivery *destination_done(struct destination *destination);

#endif
