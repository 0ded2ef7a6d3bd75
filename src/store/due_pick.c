/* SPDX-License-Identifier: ISC */
#include "store/due_pick.h"

#include <stdlib.h>

#include "base/check.h"
#include "store/record.h"

/*
 * Shards are drawn by lot, so the rows due next are spread about evenly: twice
 * the even part, and one more to see whether there are more.
 */
size_t
store_pick_limit(size_t claim_max, unsigned n_shards)
{
	size_t part;

	check(n_shards > 0);
	part = 2 * (claim_max / n_shards + 1) + 4;
	return (part < claim_max ? part : claim_max) + 1;
}

static int
compare_due(const void *a, const void *b)
{
	const struct due_row *x = a, *y = b;

	if (x->due_ms != y->due_ms)
		return x->due_ms < y->due_ms ? -1 : 1;
	return (x->row_id > y->row_id) - (x->row_id < y->row_id);
}

size_t
store_pick(struct due_row *rows, size_t n, size_t limit,
    const struct claim_request *request, struct claim_reply *reply)
{
	size_t seen[EVENT_SHARDS] = {0};
	size_t n_claims = 0;

	if (n > 0)
		qsort(rows, n, sizeof(*rows), compare_due);
	while (n_claims < n && n_claims < request->claim_max &&
	       rows[n_claims].due_ms <= request->horizon_ms)
		n_claims++;

	reply->more =
	    n_claims < n && rows[n_claims].due_ms <= request->horizon_ms;
	reply->next_due_ms = n_claims < n ? rows[n_claims].due_ms : INT64_MAX;
	/* Behind the last row of a shard that was cut at the limit are others,
	 * due at its time at the earliest. */
	for (size_t i = 0; i < n_claims; i++) {
		if (++seen[rows[i].shard] < limit)
			continue;
		reply->more = true;
		if (rows[i].due_ms < reply->next_due_ms)
			reply->next_due_ms = rows[i].due_ms;
	}
	return n_claims;
}

void
store_take(struct claim_reply *reply, struct store_claim *claim)
{
	reply->claims[reply->n_claims++] = claim;
	reply->n_bytes += claim->bytes;
}

bool
store_leave(const struct claim_request *request, struct claim_reply *reply,
    int64_t due_ms)
{
	if (request->claim_bytes == 0 ||
	    reply->n_bytes + reply->n_passed_bytes < request->claim_bytes)
		return false;
	reply->cut = reply->more = true;
	if (due_ms < reply->next_due_ms)
		reply->next_due_ms = due_ms;
	return true;
}

enum store_status
store_due_row(struct due_row *row, int64_t due_ms, int64_t row_id,
    int64_t shard, struct err *err)
{
	enum store_status status =
	    store_check_number("due_ms", due_ms, STORE_DUE_MAX_MS, err);

	if (status == STORE_OK)
		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
	*row = (struct due_row){.due_ms = store_plain_due_ms(due_ms),
	    .row_id = row_id,
	    .shard = (unsigned)(shard & (EVENT_SHARDS - 1))};
	return status;
}
