/* SPDX-License-Identifier: ISC */
#include "worker/wire.h"

void
wire_init(struct wire *wire, struct scoreboard_slot *score)
{
	wire->score = score;
	wire->n_free = SCOREBOARD_WIRE;
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		wire->free[i] = SCOREBOARD_WIRE - 1 - i;
}

int
wire_enter(struct wire *wire, int64_t row_id)
{
	int place;

	if (wire->n_free == 0) {
		(void)atomic_fetch_add(&wire->score->n_unlisted, 1);
		return -1;
	}
	place = wire->free[--wire->n_free];
	atomic_store(&wire->score->wire[place], row_id);
	return place;
}

void
wire_leave(struct wire *wire, int place)
{
	if (place == -1) {
		(void)atomic_fetch_sub(&wire->score->n_unlisted, 1);
		return;
	}
	atomic_store(&wire->score->wire[place], 0);
	wire->free[wire->n_free++] = place;
}
