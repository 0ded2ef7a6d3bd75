/* SPDX-License-Identifier: ISC */
#include "store/store_backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum event_state
store_row_state(enum row_status status, int last_code, bool has_error)
{
	switch (status) {
	case ROW_WAITING:
		return last_code != 0 || has_error ? EVENT_SERVICE_UNAVAILABLE
						   : EVENT_PENDING;
	case ROW_PROCESSING:
		return EVENT_PROCESSING;
	case ROW_COMPLETED:
		return EVENT_COMPLETED;
	case ROW_FAILED:
		break;
	}
	return EVENT_FAILED;
}

bool
store_lease_ends(const struct store_lease_turn *turn, size_t n_known)
{
	/* A stray would be left to nobody. */
	return turn->leaving && n_known == 0 && !turn->in_doubt;
}

int64_t
store_away_until(const struct store_lease_turn *turn, int64_t now_ms)
{
	/* Somebody renews, and so prolongs this, every third of a lease. */
	return now_ms + turn->lease_ms / 2;
}

int64_t
store_lease_now(const struct store_lease_turn *turn, int64_t now_ms)
{
	if (turn->expected_now_ms != 0 && turn->expected_now_ms < now_ms)
		return turn->expected_now_ms;
	return now_ms;
}

int64_t
store_clock_offset(int64_t before_ms, int64_t now_ms, int64_t after_ms)
{
	if (now_ms < before_ms)
		return now_ms - before_ms;
	return now_ms > after_ms ? now_ms - after_ms : 0;
}

static bool
lease_is_free(const struct lease_row *row, const struct store_lease_turn *turn,
    int64_t now_ms)
{
	if (row->owner == 0 || row->until_ms <= store_lease_now(turn, now_ms))
		return true;
	for (size_t i = 0; i < turn->n_dead; i++)
		if (turn->dead[i] == row->owner)
			return true;
	return false;
}

struct lease_plan
store_lease_plan(const struct lease_row rows[EVENT_SHARDS],
    const struct store_lease_turn *turn, unsigned rank, unsigned n_living,
    int64_t now_ms)
{
	struct lease_plan plan = {0};
	unsigned share = 0, held = 0;

	if (!turn->leaving) {
		assert(rank < n_living);
		share = EVENT_SHARDS / n_living +
			(rank < EVENT_SHARDS % n_living ? 1 : 0);
	}
	/* A lease of ours that ran out but was not taken is still ours. */
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++)
		if (rows[shard].owner == turn->owner) {
			plan.keep |= UINT64_C(1) << shard;
			held++;
		}
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		uint64_t bit = UINT64_C(1) << shard;

		if (held > share && (plan.keep & bit) != 0) {
			plan.keep &= ~bit;
			plan.drop |= bit;
			held--;
		} else if (held < share && (plan.keep & bit) == 0 &&
			   lease_is_free(&rows[shard], turn, now_ms)) {
			plan.take |= bit;
			held++;
		}
	}
	return plan;
}

/*
 * Keys are hashes, so the rows due next are spread about evenly: twice the even
 * part, and one more to see whether there are more.
 */
size_t
store_pick_limit(size_t claim_max, unsigned n_shards)
{
	size_t part;

	assert(n_shards > 0);
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
store_pick(
    struct due_row *rows, size_t n, size_t limit, struct store_turn *turn)
{
	size_t seen[EVENT_SHARDS] = {0};
	size_t n_claims = 0;

	if (n > 0)
		qsort(rows, n, sizeof(*rows), compare_due);
	while (n_claims < n && n_claims < turn->claim_max &&
	       rows[n_claims].due_ms <= turn->horizon_ms)
		n_claims++;

	turn->more = n_claims < n && rows[n_claims].due_ms <= turn->horizon_ms;
	turn->next_due_ms = n_claims < n ? rows[n_claims].due_ms : INT64_MAX;
	/* Behind the last row of a shard that was cut at the limit are others,
	 * due at its time at the earliest. */
	for (size_t i = 0; i < n_claims; i++) {
		if (++seen[rows[i].shard] < limit)
			continue;
		turn->more = true;
		if (rows[i].due_ms < turn->next_due_ms)
			turn->next_due_ms = rows[i].due_ms;
	}
	return n_claims;
}

void
store_take(struct store_turn *turn, struct store_claim *claim)
{
	turn->claims[turn->n_claims++] = claim;
	turn->n_bytes += claim->bytes;
}

bool
store_leave(struct store_turn *turn, int64_t due_ms)
{
	if (turn->claim_bytes == 0 || turn->n_bytes < turn->claim_bytes)
		return false;
	turn->cut = turn->more = true;
	if (due_ms < turn->next_due_ms)
		turn->next_due_ms = due_ms;
	return true;
}

void
store_forget_claims(struct store_turn *turn)
{
	while (turn->n_claims > 0)
		store_claim_free(turn->claims[--turn->n_claims]);
	turn->n_bytes = 0;
	turn->cut = false;
}

static struct slice
move_in(char **at, struct slice s)
{
	struct slice copy = {*at, s.len};

	if (s.len > 0)
		memcpy(*at, s.p, s.len);
	*at += s.len;
	return copy;
}

static size_t
event_bytes(const struct event *ev)
{
	return ev->app.len + ev->id.len + ev->method.len + ev->url.len +
	       ev->headers.len + ev->body.len;
}

static struct event
move_event_in(char **at, const struct event *ev)
{
	return (struct event){
	    .app = move_in(at, ev->app),
	    .id = move_in(at, ev->id),
	    .method = move_in(at, ev->method),
	    .url = move_in(at, ev->url),
	    .headers = move_in(at, ev->headers),
	    .body = move_in(at, ev->body),
	    .body_is_text = ev->body_is_text,
	    .expiry_ms = ev->expiry_ms,
	};
}

struct store_claim *
store_claim_create(const struct event *ev)
{
	size_t bytes = sizeof(struct store_claim) + event_bytes(ev);
	struct store_claim *claim = malloc(bytes);
	char *at;

	if (claim == NULL)
		return NULL;
	*claim = (struct store_claim){.bytes = bytes};
	at = (char *)(claim + 1);
	claim->event = move_event_in(&at, ev);
	return claim;
}

struct store_record *
store_record_create(const struct event *ev, struct slice last_error,
    size_t n_log, size_t log_bytes)
{
	struct store_record *record;
	char *at;

	record = malloc(sizeof(*record) + n_log * sizeof(*record->log) +
			event_bytes(ev) + last_error.len + log_bytes);
	if (record == NULL)
		return NULL;
	*record = (struct store_record){0};
	record->log = (struct store_attempt *)(record + 1);
	at = (char *)(record->log + n_log);
	record->event = move_event_in(&at, ev);
	record->last_error = move_in(&at, last_error);
	return record;
}

void
store_record_log(
    struct store_record *record, const struct store_attempt *attempt)
{
	struct slice last = record->n_log > 0
				? record->log[record->n_log - 1].response
				: record->last_error;
	char *at = (char *)record + (last.p + last.len - (char *)record);
	struct store_attempt *entry = &record->log[record->n_log++];

	*entry = *attempt;
	entry->error = move_in(&at, attempt->error);
	entry->response = move_in(&at, attempt->response);
}
