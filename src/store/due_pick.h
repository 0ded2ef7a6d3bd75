/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_DUE_PICK_H
#define CASSATA_STORE_DUE_PICK_H

#include "store/store_types.h"

/* Which of the due rows are claimed. */

/* A due row as the index tells it. */
struct due_row {
	int64_t due_ms;
	int64_t row_id;
	unsigned shard;
};

/* Fills *row with what the datastore says; STORE_BROKEN for nonsense. */
enum store_status store_due_row(struct due_row *row, int64_t due_ms,
    int64_t row_id, int64_t shard, struct err *err);

/* Rows to look at in each of n_shards shards for a claim of claim_max. */
size_t store_pick_limit(size_t claim_max, unsigned n_shards);

/*
 * Pure: sorts rows (the first `limit` waiting rows of each shard, unordered
 * between shards) by (due, id) and returns how many to claim; sets reply->more
 * and reply->next_due_ms.
 */
size_t store_pick(struct due_row *rows, size_t n, size_t limit,
    const struct claim_request *request, struct claim_reply *reply);

/* Puts a claim into those of the reply. */
void store_take(struct claim_reply *reply, struct store_claim *claim);

/* Whether these have enough bytes; then the next row, due at due_ms, is left.
 */
bool store_leave(const struct claim_request *request, struct claim_reply *reply,
    int64_t due_ms);

#endif
