/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_PLACEMENT_H
#define CASSATA_BOARD_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "board/scoreboard.h"

/*
 * Into which shard a new event goes. A shard only says whose worker looks at
 * the event: the key finds duplicates without it. One that is due soon goes
 * where a worker of this host looks, who can be woken; one that is due later
 * than everybody's next look goes anywhere, so that hosts share the deliveries
 * whoever took the adds.
 */
struct placement {
	/* What each worker of this host holds that holds any: what they say. */
	uint64_t shards[SCOREBOARD_WORKER_SLOTS];
	size_t n_workers;
	int64_t soon_ms; /* due before that: soon */
};

/* What is due from then on, whoever looks once in look_ms finds by himself. */
int64_t placement_soon_ms(int64_t now_ms, int64_t look_ms);

/* As it is now. Everybody looks at least once in look_ms. */
void placement_read(
    struct placement *placement, const struct scoreboard *sb, int64_t look_ms);

/*
 * Pure: the shard of an event that is due then. lot is drawn anew for each, so
 * that no client chooses whose work its events become: first a worker, so that
 * one with few shards has its part, then one of its shards.
 */
unsigned placement_shard(
    const struct placement *placement, int64_t due_ms, uint32_t lot);

#endif
