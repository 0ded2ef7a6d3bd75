/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_PAUSES_H
#define CASSATA_STORE_PAUSES_H

#include "store/store_types.h"

/* A list of pauses in memory. */

/* An empty one. */
void pauses_init(struct store_pauses *pauses);
void pauses_fini(struct store_pauses *pauses);

/* Forgets all of them. */
void pauses_clear(struct store_pauses *pauses);

/*
 * A copy of *pause behind the others. 0, or -1 when memory is short. The slices
 * of all are good only after pauses_settle.
 */
int pauses_add(struct store_pauses *pauses, const struct store_pause *pause);

/* No more is added. */
void pauses_settle(struct store_pauses *pauses);

/* The one of that name, or NULL. */
const struct store_pause *pauses_find(
    const struct store_pauses *pauses, enum pause_kind kind, struct slice name);

/* The first one, of those from at on, that an event is of: by its application
 * or by its URL; or NULL. */
const struct store_pause *pauses_match(
    const struct store_pauses *pauses, size_t at, const struct event *ev);

/* Whether both lists are of the same, notes aside. */
bool pauses_equal(const struct store_pauses *a, const struct store_pauses *b);

#endif
