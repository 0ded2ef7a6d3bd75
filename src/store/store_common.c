/* SPDX-License-Identifier: ISC */
#include "store/store_backend.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum event_state
store_row_state(enum row_status status, bool has_code, bool has_error)
{
	switch (status) {
	case ROW_WAITING:
		return has_code || has_error ? EVENT_SERVICE_UNAVAILABLE
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

bool
store_takes_share(const struct store_lease_turn *turn)
{
	return !turn->leaving && !turn->alone;
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

const struct store_death *
store_death_of(const struct store_lease_turn *turn, uint64_t owner)
{
	for (size_t i = 0; i < turn->n_dead; i++)
		if (turn->dead[i].owner == owner)
			return &turn->dead[i];
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
store_judge(const struct store_lease_turn *turn, const struct lost_row *row)
{
	const struct store_death *death = store_death_of(turn, row->owner);
	bool quarantined = row->suspect >= SUSPECT_QUARANTINED;

	if (death != NULL ? death->culprit == row->id : quarantined)
		return row->attempts > 1 && row->attempts >= turn->max_attempts
			   ? VERDICT_GIVEN_UP
			   : VERDICT_COUNTED;
	if (quarantined || (death != NULL && death->culprit != 0) ||
	    !was_on_wire(death, row->id))
		return VERDICT_INNOCENT;
	return row->suspect == 0 ? VERDICT_SUSPECT : VERDICT_QUARANTINED;
}

size_t
store_judged(const struct store_lease_turn *turn, const struct lost_row *rows,
    size_t n, enum verdict verdict, int64_t *ids)
{
	size_t n_ids = 0;

	for (size_t i = 0; i < n; i++)
		if (store_judge(turn, &rows[i]) == verdict)
			ids[n_ids++] = rows[i].id;
	return n_ids;
}

static bool
lease_is_free(const struct lease_row *row, const struct store_lease_turn *turn,
    int64_t now_ms)
{
	if (row->owner == 0 || row->until_ms <= store_lease_now(turn, now_ms))
		return true;
	return store_death_of(turn, row->owner) != NULL;
}

struct lease_plan
store_lease_plan(const struct lease_row rows[EVENT_SHARDS],
    const struct store_lease_turn *turn, unsigned rank, unsigned n_living,
    int64_t now_ms)
{
	struct lease_plan plan = {0};
	unsigned share = 0, held = 0;

	if (store_takes_share(turn)) {
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
 * Shards are drawn by lot, so the rows due next are spread about evenly: twice
 * the even part, and one more to see whether there are more.
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

/* ---- what is read ---- */

enum store_status
store_check_number(
    const char *what, int64_t value, int64_t max, struct err *err)
{
	if (value >= 0 && value <= max)
		return STORE_OK;
	(void)err_set(err, "the datastore says %s %" PRId64, what, value);
	return STORE_BROKEN;
}

enum store_status
store_check_rank(const struct store_lease_turn *turn, unsigned rank,
    unsigned n_living, struct err *err)
{
	if (!store_takes_share(turn) || rank < n_living)
		return STORE_OK;
	(void)err_set(err, "the datastore does not show our registration");
	return STORE_BROKEN;
}

/* When it is due, in quarantine or not. */
static int64_t
plain_due_ms(int64_t due_ms)
{
	return due_ms < STORE_QUARANTINE_MS ? due_ms
					    : due_ms - STORE_QUARANTINE_MS;
}

enum store_status
store_due_row(struct due_row *row, int64_t due_ms, int64_t row_id,
    int64_t shard, struct err *err)
{
	enum store_status status =
	    store_check_number("due_ms", due_ms, STORE_TIME_MAX_MS, err);

	if (status == STORE_OK)
		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
	*row = (struct due_row){.due_ms = plain_due_ms(due_ms),
	    .row_id = row_id,
	    .shard = (unsigned)(shard & (EVENT_SHARDS - 1))};
	return status;
}

static enum store_status
check_row(const struct store_row *row, struct err *err)
{
	const struct event *ev = &row->event;
	const struct {
		const char *name;
		int64_t value, max;
	} all[] = {
	    {"id", row->id, INT64_MAX},
	    {"shard", row->shard, EVENT_SHARDS - 1},
	    {"status", row->status, ROW_FAILED},
	    {"attempts", row->attempts, STORE_ATTEMPTS_MAX},
	    {"due_ms", row->due_ms, STORE_TIME_MAX_MS},
	    {"created_ms", row->created_ms, STORE_TIME_MAX_MS},
	    {"expiry_ms", ev->expiry_ms, STORE_TIME_MAX_MS},
	    {"last_code", row->last_code, INT_MAX},
	    {"bytes of last_error", (int64_t)row->last_error.len,
		STORE_ERROR_MAX},
	    {"bytes of app", (int64_t)ev->app.len, EVENT_APP_MAX},
	    {"bytes of event_id", (int64_t)ev->id.len, EVENT_ID_MAX},
	    {"bytes of method", (int64_t)ev->method.len, EVENT_METHOD_MAX},
	    {"bytes of url", (int64_t)ev->url.len, EVENT_URL_MAX},
	    {"bytes of headers", (int64_t)ev->headers.len,
		EVENT_HEADER_BYTES_MAX},
	    {"bytes of body", (int64_t)ev->body.len, EVENT_BODY_MAX},
	    {"count of attempts", row->n_log, STORE_LOG_MAX},
	    {"bytes of attempts", row->log_bytes,
		(int64_t)STORE_LOG_MAX *
		    (STORE_ERROR_MAX + STORE_RESPONSE_MAX)},
	};
	struct err reason;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (store_check_number(all[i].name, all[i].value, all[i].max,
			&reason) != STORE_OK) {
			(void)err_set(err, "event %" PRId64 " is damaged: %s",
			    row->id, reason.text);
			return STORE_BROKEN;
		}
	return STORE_OK;
}

static enum store_status
no_memory(struct err *err)
{
	(void)err_set(err, "out of memory");
	return STORE_UNAVAILABLE;
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

size_t
store_event_bytes(const struct event *ev)
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

enum store_status
store_claim_create(
    const struct store_row *row, struct store_claim **claim, struct err *err)
{
	size_t bytes =
	    sizeof(struct store_claim) + store_event_bytes(&row->event);
	enum store_status status = check_row(row, err);
	char *at;

	*claim = NULL;
	if (status != STORE_OK)
		return status;
	if (row->attempts == 0) { /* it was marked, and that counts */
		(void)err_set(err,
		    "event %" PRId64 " is damaged: claimed without an attempt",
		    row->id);
		return STORE_BROKEN;
	}
	*claim = malloc(bytes);
	if (*claim == NULL)
		return no_memory(err);
	at = (char *)(*claim + 1);
	**claim = (struct store_claim){
	    .row_id = row->id,
	    .shard = (unsigned)row->shard,
	    .attempt = (unsigned)row->attempts,
	    .due_ms = plain_due_ms(row->due_ms),
	    .bytes = bytes,
	    .event = move_event_in(&at, &row->event),
	};
	return STORE_OK;
}

enum store_status
store_record_create(
    const struct store_row *row, struct store_record **record, struct err *err)
{
	enum store_status status = check_row(row, err);
	struct store_record *r;
	size_t bytes;

	*record = NULL;
	if (status != STORE_OK)
		return status;
	bytes = sizeof(*r) + (size_t)row->n_log * sizeof(*r->log) +
		store_event_bytes(&row->event) + row->last_error.len +
		(size_t)row->log_bytes;
	r = malloc(bytes);
	if (r == NULL)
		return no_memory(err);
	*r = (struct store_record){
	    .state = store_row_state((enum row_status)row->status,
		row->last_code != 0, row->last_error.len > 0),
	    .attempts = (unsigned)row->attempts,
	    .due_ms = plain_due_ms(row->due_ms),
	    .created_ms = row->created_ms,
	    .last_code = (int)row->last_code,
	    .log = (struct store_attempt *)(r + 1),
	    .max_log = (size_t)row->n_log,
	    .end = (char *)r + bytes,
	};
	r->at = (char *)(r->log + r->max_log);
	r->event = move_event_in(&r->at, &row->event);
	r->last_error = move_in(&r->at, row->last_error);
	*record = r;
	return STORE_OK;
}

enum store_status
store_record_log(struct store_record *record, const struct store_log_row *row,
    struct err *err)
{
	size_t room = (size_t)(record->end - record->at);
	enum store_status status;

	status = store_check_number(
	    "the number of an attempt", row->number, STORE_ATTEMPTS_MAX, err);
	if (status == STORE_OK)
		status = store_check_number("the time of an attempt",
		    row->at_ms, STORE_TIME_MAX_MS, err);
	if (status == STORE_OK)
		status = store_check_number(
		    "the code of an attempt", row->code, INT_MAX, err);
	if (status != STORE_OK)
		return status;
	if (record->n_log == record->max_log || row->error.len > room ||
	    row->response.len > room - row->error.len) {
		(void)err_set(err, "the datastore says more attempts, or bytes "
				   "in them, than it counted");
		return STORE_BROKEN;
	}
	record->log[record->n_log++] = (struct store_attempt){
	    .number = (unsigned)row->number,
	    .at_ms = row->at_ms,
	    .code = (int)row->code,
	    .error = move_in(&record->at, row->error),
	    .response = move_in(&record->at, row->response),
	};
	return STORE_OK;
}
