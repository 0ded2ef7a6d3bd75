/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_WIRE_H
#define CASSATA_WORKER_WIRE_H

#include "board/scoreboard.h"

/*
 * Which rows are on the wire, written where the master finds it when we die:
 * these alone may be the reason.
 */
struct wire {
	struct scoreboard_slot *score;
	int n_free;
	int free[SCOREBOARD_WIRE];
};

/* Nothing is on the wire. score is borrowed: the worker's slot. */
void wire_init(struct wire *wire, struct scoreboard_slot *score);

/* The place of the row, for wire_leave; -1 where there was none left. */
int wire_enter(struct wire *wire, int64_t row_id);
void wire_leave(struct wire *wire, int place);

#endif
