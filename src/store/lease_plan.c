/* SPDX-License-Identifier: ISC */
#include "store/lease_plan.h"

#include "base/check.h"

bool
store_lease_ends(const struct lease_request *request)
{
	/* A stray would be left to nobody. */
	return request->leaving && request->n_known == 0 && !request->in_doubt;
}

bool
store_takes_share(const struct lease_request *request)
{
	return !request->leaving && !request->alone;
}

int64_t
store_clock_offset(int64_t before_ms, int64_t now_ms, int64_t after_ms)
{
	if (now_ms < before_ms)
		return now_ms - after_ms;
	return now_ms > after_ms ? now_ms - after_ms : 0;
}

const struct store_death *
store_death_of(const struct lease_request *request, uint64_t owner)
{
	for (size_t i = 0; i < request->n_dead; i++)
		if (request->dead[i].owner == owner)
			return &request->dead[i];
	return NULL;
}

static bool
was_on_wire(const struct store_death *death, int64_t row_id)
{
	if (death == NULL || !death->wire_known)
		return true;
	for (size_t i = 0; i < death->n_wire; i++)
		if (death->wire[i] == row_id)
			return true;
	return false;
}

enum verdict
store_judge(const struct lease_request *request, const struct lost_row *row)
{
	const struct store_death *death = store_death_of(request, row->owner);
	bool quarantined = row->suspect >= SUSPECT_QUARANTINED;
	unsigned max_attempts =
	    row->max_attempts > 0 ? row->max_attempts : request->max_attempts;

	if (death != NULL ? death->culprit == row->id : quarantined)
		return row->attempts > 1 && row->attempts >= max_attempts
			   ? VERDICT_GIVEN_UP
			   : VERDICT_COUNTED;
	if (quarantined || (death != NULL && death->culprit != 0) ||
	    !was_on_wire(death, row->id))
		return VERDICT_INNOCENT;
	return row->suspect == 0 ? VERDICT_SUSPECT : VERDICT_QUARANTINED;
}

size_t
store_judged(const struct lease_request *request, const struct lost_row *rows,
    size_t n, enum verdict verdict, int64_t *ids)
{
	size_t n_ids = 0;

	for (size_t i = 0; i < n; i++)
		if (store_judge(request, &rows[i]) == verdict)
			ids[n_ids++] = rows[i].id;
	return n_ids;
}

unsigned
store_lease_share(unsigned rank, unsigned n_living)
{
	check(rank < n_living);
	return EVENT_SHARDS / n_living +
	       (rank < EVENT_SHARDS % n_living ? 1 : 0);
}

struct lease_plan
store_lease_plan(uint64_t mine, uint64_t free, unsigned share)
{
	struct lease_plan plan = {.keep = mine};
	unsigned held = (unsigned)__builtin_popcountll(mine);

	check((mine & free) == 0);
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		uint64_t bit = UINT64_C(1) << shard;

		if (held > share && (mine & bit) != 0) {
			plan.keep &= ~bit;
			plan.drop |= bit;
			held--;
		} else if (held < share && (free & bit) != 0) {
			plan.take |= bit;
			held++;
		}
	}
	return plan;
}
