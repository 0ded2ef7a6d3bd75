/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_SWEEP_H
#define CASSATA_SERVICE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"

/* Of an item, in whose struct it is. */
struct sweep_node {
	const uint8_t *key;              /* EVENT_KEY_BYTES; borrowed */
	struct sweep_node *below, *next; /* the rest is private */
	uint64_t round, number;
};

/*
 * Items of a call with many, taken in the order of their keys and then from the
 * first again, as an elevator goes: what is behind the last one that was taken
 * waits for the next round. So neighbours in the index of keys come together,
 * of all that wait and not only of one commit. Of one key the first that came
 * is the first that goes. Zeroed at first.
 */
struct sweep {
	struct sweep_node *first;    /* of a pairing heap; NULL: none */
	uint8_t at[EVENT_KEY_BYTES]; /* the key of the last that was taken */
	uint64_t round;              /* and its round */
	uint64_t n_added;
};

bool sweep_is_empty(const struct sweep *sweep);

/* The node, and its key, must stay until it is taken. */
void sweep_add(struct sweep *sweep, struct sweep_node *node);

/* Not when it is empty. */
struct sweep_node *sweep_take(struct sweep *sweep);

#endif
