/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_CLAIM_SIZE_H
#define CASSATA_WORKER_CLAIM_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How many events to claim at once: few when there is little to do; doubling
 * while the datastore has more, so that a backlog costs few transactions, and
 * halving when less than half was there: what comes steadily is then taken by
 * one claim, not by several that begin small. Pure.
 */
struct claim_size {
	size_t min, max;
	size_t size;  /* of the next claim */
	bool backlog; /* the last claim left due events behind */
};

/* Of min to max events; the first claim has min. */
void claim_size_init(struct claim_size *cs, size_t min, size_t max);

/*
 * Events to claim when held of capacity are in memory, of which some are still
 * waiting to be started; 0 to wait: under backlog a small claim pays only when
 * nothing else is there to be started.
 */
size_t claim_size_want(
    const struct claim_size *cs, size_t held, size_t capacity, size_t waiting);

/* After a claim of n events: whether more are due. */
void claim_size_claimed(struct claim_size *cs, size_t n, bool more);

/* After one of n events that took all the memory there was. */
void claim_size_cut(struct claim_size *cs, size_t n);

#endif
