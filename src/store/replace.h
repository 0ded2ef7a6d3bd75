/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_REPLACE_H
#define CASSATA_STORE_REPLACE_H

#include "sql/sql.h"
#include "store/found.h"
#include "store/store_types.h"

/* Fills in what became of an add that found another's row in its place: it is
 * the same, it is kept, or they are in conflict. */
void replace_judge(struct store_add *add, const struct found *found);

/* Whether it is to take the place of what was found. */
bool replace_is_due(const struct store_add *add);

/*
 * Deletes what is there and is to be replaced, and adds the new events. Of adds
 * of one key, which are neighbours, each finds what the one before has left.
 */
enum store_status replace_events(struct sql *sql, struct store_add *const *adds,
    size_t n, int64_t now_ms, struct err *err);

#endif
