/* SPDX-License-Identifier: ISC */
#include "store/store_sqlite.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

static bool
has_bit(uint64_t mask, unsigned shard)
{
	return (mask >> shard & 1) != 0;
}

static enum store_status
run_with_owner(
    struct sqlite_conn *c, const char *sql, uint64_t owner, struct err *err)
{
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_bits(&q, owner);
	return sqlite_query_run(&q, &changed, err);
}

/* By the clock as it is: others may judge later, not earlier. */
static enum store_status
note_lapse(struct sqlite_conn *c, struct store_lease_turn *turn, int64_t now_ms,
    struct err *err)
{
	static const char sql[] =
	    "SELECT 1 FROM instance WHERE owner = ? AND until_ms > ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool living;

	sqlite_bind_bits(&q, turn->owner);
	sqlite_bind_int(&q, now_ms);
	status = sqlite_query_step(&q, &living, err);
	if (status == STORE_OK && living)
		sqlite_query_end(&q);
	turn->lapsed = !living;
	return status;
}

static const char unregister_sql[] = "DELETE FROM instance WHERE owner = ?";

static enum store_status
register_owner(struct sqlite_conn *c, const struct store_lease_turn *turn,
    int64_t now_ms, struct err *err)
{
	static const char sql[] =
	    "INSERT INTO instance"
	    " (owner, until_ms, host, pid, started_ms, active)"
	    " VALUES (?, ?, ?, ?, ?, ?)"
	    " ON CONFLICT (owner) DO UPDATE SET until_ms = excluded.until_ms,"
	    " active = excluded.active";
	struct sqlite_query q = sqlite_query_start(c, sql);
	char host[HOST_NAME_MAX + 1] = "";
	size_t changed;

	(void)gethostname(host, sizeof(host) - 1);
	sqlite_bind_bits(&q, turn->owner);
	sqlite_bind_int(&q, now_ms + turn->lease_ms);
	sqlite_bind_bytes(&q, slice_from_string(host));
	sqlite_bind_int(&q, getpid());
	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, store_takes_share(turn));
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
keep_away(
    struct sqlite_conn *c, uint64_t owner, int64_t until_ms, struct err *err)
{
	static const char sql[] =
	    "UPDATE instance SET until_ms = max(until_ms, ?), active = 0"
	    " WHERE owner = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_int(&q, until_ms);
	sqlite_bind_bits(&q, owner);
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
forget_dead(struct sqlite_conn *c, struct store_lease_turn *turn,
    uint64_t owner, struct err *err)
{
	static const char sql[] =
	    "UPDATE lease SET until_ms = 0 WHERE owner = ?";
	enum store_status status;

	status = run_with_owner(c, unregister_sql, owner, err);
	/* On other hosts nobody knows what it died of. */
	turn->buried = turn->buried || sqlite3_changes(c->db) > 0;
	/* Not only those that we take: the rest is for the others. */
	if (status == STORE_OK)
		status = run_with_owner(c, sql, owner, err);
	return status;
}

/* Brings the registrations up to date: ours, the away, the expired, the dead.
 */
static enum store_status
register_living(struct sqlite_conn *c, struct store_lease_turn *turn,
    size_t n_known, int64_t now_ms, struct err *err)
{
	static const char expire[] = "DELETE FROM instance WHERE until_ms <= ?";
	enum store_status status;

	if (store_lease_ends(turn, n_known))
		status = run_with_owner(c, unregister_sql, turn->owner, err);
	else
		status = register_owner(c, turn, now_ms, err);
	for (size_t i = 0; i < turn->n_away && status == STORE_OK; i++)
		status = keep_away(
		    c, turn->away[i], store_away_until(turn, now_ms), err);
	for (size_t i = 0; i < turn->n_dead && status == STORE_OK; i++)
		status = forget_dead(c, turn, turn->dead[i].owner, err);
	if (status == STORE_OK)
		status = sqlite_query_run_with(
		    c, expire, store_lease_now(turn, now_ms), err);
	return status;
}

static enum store_status
read_rank(struct sqlite_conn *c, uint64_t owner, unsigned *rank,
    unsigned *n_living, struct err *err)
{
	static const char sql[] =
	    "SELECT count(*), coalesce(sum(owner < ?), 0) FROM instance"
	    " WHERE active";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_bits(&q, owner);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	*n_living = (unsigned)sqlite_read_int(&q);
	*rank = (unsigned)sqlite_read_int(&q);
	return sqlite_query_done(&q, err);
}

static enum store_status
read_leases(
    struct sqlite_conn *c, struct lease_row rows[EVENT_SHARDS], struct err *err)
{
	static const char sql[] = "SELECT shard, owner, until_ms FROM lease";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		int64_t shard = sqlite_read_int(&q);
		struct lease_row lease = {.owner = sqlite_read_bits(&q)};

		lease.until_ms = sqlite_read_int(&q);
		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
		if (status != STORE_OK) {
			sqlite_query_end(&q);
			break;
		}
		rows[shard] = lease;
	}
	return status;
}

static enum store_status
write_lease(struct sqlite_conn *c, unsigned shard, uint64_t owner,
    int64_t until_ms, struct err *err)
{
	static const char sql[] =
	    "UPDATE lease SET owner = ?, until_ms = ? WHERE shard = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_bits(&q, owner);
	sqlite_bind_int(&q, until_ms);
	sqlite_bind_int(&q, shard);
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
write_leases(struct sqlite_conn *c, const struct lease_plan *plan,
    uint64_t owner, int64_t until_ms, struct err *err)
{
	enum store_status status = STORE_OK;

	for (unsigned i = 0; i < EVENT_SHARDS && status == STORE_OK; i++) {
		if (has_bit(plan->drop, i))
			status = write_lease(c, i, 0, 0, err);
		else if (has_bit(plan->keep | plan->take, i))
			status = write_lease(c, i, owner, until_ms, err);
	}
	return status;
}

#define INTERRUPTED "CAST('interrupted' AS BLOB)"

/* Of the shards in the mask. */
static enum store_status
read_lost(struct sqlite_conn *c, uint64_t shards,
    struct lost_row rows[STORE_LOST_MAX], size_t *n, struct err *err)
{
	static const char sql[] =
	    "SELECT id, owner, attempts, suspect FROM event"
	    " WHERE status = 1 AND (? >> shard) & 1"
	    " AND owner NOT IN (SELECT owner FROM instance) LIMIT ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	*n = 0;
	sqlite_bind_bits(&q, shards);
	sqlite_bind_int(&q, STORE_LOST_MAX);
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		struct lost_row *lost = &rows[(*n)++];

		lost->id = sqlite_read_int(&q);
		lost->owner = sqlite_read_bits(&q);
		lost->attempts = (unsigned)sqlite_read_int(&q);
		lost->suspect = (unsigned)sqlite_read_int(&q);
	}
	return status;
}

/* As if it had not been claimed, but for the suspicion. */
static enum store_status
uncount(
    struct sqlite_conn *c, int64_t id, enum verdict verdict, struct err *err)
{
	static const char sql[] =
	    "UPDATE event SET status = 0, attempts = max(attempts, 1) - 1,"
	    " suspect = suspect + ?, due_ms = due_ms + ? WHERE id = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_int(&q, verdict != VERDICT_INNOCENT);
	sqlite_bind_int(
	    &q, verdict == VERDICT_QUARANTINED ? STORE_QUARANTINE_MS : 0);
	sqlite_bind_int(&q, id);
	return sqlite_query_run(&q, &changed, err);
}

/* The attempt is logged, and was the last one, or is followed by another. */
static enum store_status
count(struct sqlite_conn *c, int64_t id, enum verdict verdict, int64_t now_ms,
    struct err *err)
{
	static const char log[] =
	    "REPLACE INTO attempt"
	    " (event, number, at_ms, code, error, response)"
	    " SELECT id, attempts, ?, 0, " INTERRUPTED ", x'' FROM event"
	    " WHERE id = ?";
	static const char again[] =
	    "UPDATE event SET status = 0,"
	    " due_ms = max(due_ms, ? + " STORE_INTERRUPTED_WAIT_MS "),"
	    " last_code = 0, last_error = " INTERRUPTED " WHERE id = ?";
	static const char give_up[] =
	    "UPDATE event SET status = 3, suspect = 0, due_ms = ?,"
	    " last_code = 0, last_error = " INTERRUPTED " WHERE id = ?";
	struct sqlite_query q = sqlite_query_start(c, log);
	enum store_status status;
	size_t changed;

	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, id);
	status = sqlite_query_run(&q, &changed, err);
	if (status != STORE_OK)
		return status;
	q = sqlite_query_start(
	    c, verdict == VERDICT_GIVEN_UP ? give_up : again);
	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, id);
	return sqlite_query_run(&q, &changed, err);
}

/* Gives the rows of lost workers back. */
static enum store_status
put_back(struct sqlite_conn *c, struct store_lease_turn *turn, uint64_t shards,
    int64_t now_ms, struct err *err)
{
	struct lost_row rows[STORE_LOST_MAX];
	enum store_status status;
	size_t n;

	do {
		status = read_lost(c, shards, rows, &n, err);
		for (size_t i = 0; i < n && status == STORE_OK; i++) {
			enum verdict verdict = store_judge(turn, &rows[i]);

			status =
			    verdict < VERDICT_COUNTED
				? uncount(c, rows[i].id, verdict, err)
				: count(c, rows[i].id, verdict, now_ms, err);
		}
		turn->n_interrupted += n;
	} while (status == STORE_OK && n == STORE_LOST_MAX);
	return status;
}

/* Rows that are to be delivered alone; they are the last of the index. */
static enum store_status
find_quarantined(
    struct sqlite_conn *c, struct store_lease_turn *turn, struct err *err)
{
	static const char sql[] = "SELECT 1 FROM event WHERE status = 0"
				  " AND due_ms >= ? LIMIT 1";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;

	sqlite_bind_int(&q, STORE_QUARANTINE_MS);
	status = sqlite_query_step(&q, &turn->quarantined, err);
	if (status == STORE_OK && turn->quarantined)
		sqlite_query_end(&q);
	return status;
}

static int
compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static enum store_status
find_strays(struct sqlite_conn *c, struct store_lease_turn *turn,
    const int64_t *known, size_t n_known, struct err *err)
{
	static const char sql[] =
	    "SELECT id FROM event WHERE status = 1 AND owner = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_bits(&q, turn->owner);
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		int64_t id = sqlite_read_int(&q);

		if (turn->n_strays < STORE_STRAYS_MAX &&
		    (n_known == 0 || bsearch(&id, known, n_known, sizeof(id),
					 compare_ids) == NULL))
			turn->strays[turn->n_strays++] = id;
	}
	return status;
}

static enum store_status
lease_shards(struct sqlite_conn *c, struct store_lease_turn *turn,
    size_t n_known, int64_t now_ms, struct err *err)
{
	struct lease_row rows[EVENT_SHARDS] = {{0}};
	struct lease_plan plan;
	enum store_status status;
	unsigned rank = 0;

	status = register_living(c, turn, n_known, now_ms, err);
	if (status == STORE_OK)
		status = read_rank(c, turn->owner, &rank, &turn->n_living, err);
	if (status == STORE_OK)
		status = store_check_rank(turn, rank, turn->n_living, err);
	if (status == STORE_OK)
		status = read_leases(c, rows, err);
	if (status != STORE_OK)
		return status;
	plan = store_lease_plan(rows, turn, rank, turn->n_living, now_ms);
	turn->shards = plan.keep | plan.take;
	turn->dropped = plan.drop;
	return write_leases(
	    c, &plan, turn->owner, now_ms + turn->lease_ms, err);
}

enum store_status
sqlite_lease(struct store_backend *backend, struct store_lease_turn *turn,
    const int64_t *known, size_t n_known, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);
	int64_t now_ms = clock_wall_ms();

	if (status != STORE_OK)
		return status;
	turn->now_ms = now_ms;
	status = note_lapse(c, turn, now_ms, err);
	if (status == STORE_OK)
		status = lease_shards(c, turn, n_known, now_ms, err);
	if (status == STORE_OK)
		status = put_back(c, turn,
		    turn->buried ? UINT64_MAX : turn->shards, now_ms, err);
	if (status == STORE_OK)
		status = find_quarantined(c, turn, err);
	if (status == STORE_OK && turn->in_doubt)
		status = find_strays(c, turn, known, n_known, err);
	return sqlite_conn_end(c, status, err);
}
