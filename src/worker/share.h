/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_SHARE_H
#define CASSATA_WORKER_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/slice.h"

/*
 * A share: what one host, one address or one application has of a worker's
 * slots, at most the cap of its set, so that a slow one cannot take them all. A
 * delivery beyond it waits in the share's queue while that can be served soon;
 * else it goes back to the datastore, so that a backlog does not take all the
 * memory for claims either. Shares exist while somebody refers to them.
 *
 * Times are monotonic milliseconds. A share may be NULL where memory was short:
 * then it has no cap. A set without a cap makes no shares.
 */
struct share;

/* Part of whatever waits. */
struct share_entry {
	TAILQ_ENTRY(share_entry) link;
};

enum { SHARE_BUCKETS = 256 };

struct shares {
	unsigned cap; /* of each; 0: none */
	/* Of those that have one of their own, 0 of others; or NULL. */
	unsigned (*cap_of)(const void *arg, struct slice name);
	const void *arg;
	unsigned queue_max; /* of each */
	bool fold;          /* names are the same whatever the case */
	LIST_HEAD(, share) buckets[SHARE_BUCKETS];
};

/* Of cap and queue_max each, as above; without cap_of. */
void shares_init(
    struct shares *set, unsigned cap, unsigned queue_max, bool fold);

/* The share of that name, referred to once more; or NULL. */
struct share *share_get(struct shares *set, struct slice name);

/* Gives the reference back, and sets *share to NULL. */
void share_put(struct share **share);

/* Whether a slot is free. */
bool share_has_room(const struct share *share);

/* Takes a slot, free or not: share_has_room tells. */
void share_take(struct share *share, int64_t now_ms);

/* Gives a slot back that was taken elapsed_ms ago. */
void share_give(struct share *share, int64_t elapsed_ms, int64_t now_ms);

/* Queues a delivery; false when it would have to wait for too long. */
bool share_wait(struct share *share, struct share_entry *entry, int64_t now_ms);

/* Takes the first out of the queue, if there is one and a slot is free. */
struct share_entry *share_next(struct share *share);

/*
 * Milliseconds until a delivery that may not wait should come again: what those
 * in the queue and those that were sent away before it will take; between a
 * second and a minute.
 */
int64_t share_defer_ms(struct share *share, int64_t now_ms);

/* Takes out the last that has to wait for too long by now, or NULL. */
struct share_entry *share_shed(struct share *share, int64_t now_ms);

/* Takes those out of the queue that stays(arg, entry) is false for; by then
 * they are not in it. */
void share_unqueue(struct share *share,
    bool (*stays)(void *arg, struct share_entry *entry), void *arg);

/* Calls fn(arg, share) for each that has a queue. */
void shares_visit(
    struct shares *set, void (*fn)(void *arg, struct share *share), void *arg);

/* Calls fn(arg, name, cap, n) for each whose slots are all taken, n being how
 * many are in its queue. */
void shares_full(const struct shares *set,
    void (*fn)(void *arg, struct slice name, unsigned cap, unsigned n),
    void *arg);

#endif
