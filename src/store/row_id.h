/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_ROW_ID_H
#define CASSATA_STORE_ROW_ID_H

#include <stdint.h>

/*
 * A new row id: milliseconds since 2020 above 22 bits of a counter with a
 * random start, rising within a process. Not unique across processes by
 * construction: the datastore's primary key decides. Not thread-safe: one
 * thread of a process makes ids.
 */
int64_t row_id_make(int64_t wall_ms);

/* The lowest id of those that are made in that millisecond. */
int64_t row_id_first(int64_t wall_ms);

/* When it was made, or a moment later where the clock had stepped back. */
int64_t row_id_made_ms(int64_t row_id);

#endif
