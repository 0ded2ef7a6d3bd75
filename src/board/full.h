/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_FULL_H
#define CASSATA_BOARD_FULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "board/scoreboard.h"

/*
 * Which applications and hosts have all the slots of a worker that they may
 * have, as it tells in its slot of the scoreboard, for whoever asks why an
 * event is late. Hints, up to a quarter of a second old; of more than
 * SCOREBOARD_FULL some are not there.
 */
enum full_kind { FULL_APP, FULL_HOST };

struct full {
	unsigned slots, waiting; /* all of them taken; in the worker's memory */
};

/* Tells another one, the n-th from 0. */
void full_tell(struct scoreboard_slot *slot, size_t n, enum full_kind kind,
    struct slice name, const struct full *full);

/* There are no more than these n. */
void full_tell_end(struct scoreboard_slot *slot, size_t n);

/* Whether it is one of those; a host whatever its case. */
bool full_find(const struct scoreboard_slot *slot, enum full_kind kind,
    struct slice name, struct full *full);

#endif
