/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DESTINATION_H
#define CASSATA_WORKER_DESTINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/slice.h"

/*
 * The hosts that deliveries go to, with a cap on the deliveries under way to
 * one of them, so that a slow receiver cannot take all the slots. A delivery
 * over the cap waits in its host's queue. When that is full, too, it goes back
 * to the datastore until the host should have room, so that a slow receiver's
 * backlog does not take all the memory for claims either. Hosts exist while
 * they are in use.
 */
struct destination;
struct delivery;

enum { DESTINATION_BUCKETS = 256 };

struct destinations {
	unsigned cap; /* per host; 0: none, then nothing here does anything */
	unsigned queue_max; /* per host */
	LIST_HEAD(, destination) buckets[DESTINATION_BUCKETS];
};

void destinations_init(
    struct destinations *set, unsigned cap, unsigned queue_max);

enum admission {
	ADMISSION_NOW,	  /* it may start */
	ADMISSION_QUEUED, /* destination_done will name it */
	ADMISSION_FULL,	  /* not taken: see destination_defer_ms */
};

/*
 * Without memory for a new host a delivery may start. *destination is to be
 * given to destination_done when a delivery that was admitted has ended.
 */
enum admission destination_admit(struct destinations *set, struct slice url,
    struct delivery *delivery, struct destination **destination);

/*
 * Milliseconds until a delivery that was not taken should come again: what the
 * queue and those that were sent away before it will take, by the time of the
 * deliveries so far; between a second and a minute. now_ms is monotonic.
 */
int64_t destination_defer_ms(const struct destinations *set,
    struct destination *destination, int64_t now_ms);

/*
 * Takes those out of all queues that stays(arg, delivery) is false for; by then
 * they are in none.
 */
void destinations_unqueue(struct destinations *set,
    bool (*stays)(void *arg, struct delivery *delivery), void *arg);

/*
 * A delivery that was admitted has ended, elapsed_ms after its start: the next
 * one of that host, which is admitted by this, or NULL. destination may be
 * NULL.
 */
struct delivery *destination_done(
    struct destination *destination, int64_t elapsed_ms);

#endif
