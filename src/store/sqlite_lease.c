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
	sqlite_bind_int(&q, !turn->leaving);
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
forget_dead(struct sqlite_conn *c, uint64_t owner, struct err *err)
{
	static const char sql[] =
	    "UPDATE lease SET until_ms = 0 WHERE owner = ?";
	enum store_status status;

	status = run_with_owner(c, unregister_sql, owner, err);
	/* Not only those that we take: the rest is for the others. */
	if (status == STORE_OK)
		status = run_with_owner(c, sql, owner, err);
	return status;
}

/* Brings the registrations up to date: ours, the away, the expired, the dead.
 */
static enum store_status
register_living(struct sqlite_conn *c, const struct store_lease_turn *turn,
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
	if (status == STORE_OK)
		status = sqlite_query_run_with(
		    c, expire, store_lease_now(turn, now_ms), err);
	for (size_t i = 0; i < turn->n_dead && status == STORE_OK; i++)
		status = forget_dead(c, turn->dead[i], err);
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

#define LEFT                                                                   \
	" WHERE status = 1 AND shard = ?"                                      \
	" AND owner NOT IN (SELECT owner FROM instance)"

/* What a lost owner left in a shard: logged, and due again or given up. */
static enum store_status
put_back(struct sqlite_conn *c, struct store_lease_turn *turn, unsigned shard,
    int64_t now_ms, struct err *err)
{
	static const char log_sql[] =
	    "REPLACE INTO attempt"
	    " (event, number, at_ms, code, error, response)"
	    " SELECT id, attempts, ?, 0, " INTERRUPTED ", x'' FROM event" LEFT;
	static const char sql[] =
	    "UPDATE event SET"
	    " status = CASE WHEN attempts >= ? THEN 3 ELSE 0 END,"
	    " due_ms = max(due_ms, ? + " STORE_INTERRUPTED_WAIT_MS "),"
	    " last_code = 0, last_error = " INTERRUPTED LEFT;
	struct sqlite_query q = sqlite_query_start(c, log_sql);
	enum store_status status;
	size_t n;

	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, shard);
	status = sqlite_query_run(&q, &n, err);
	if (status != STORE_OK || n == 0)
		return status;
	q = sqlite_query_start(c, sql);
	sqlite_bind_int(&q, turn->max_attempts);
	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, shard);
	status = sqlite_query_run(&q, &n, err);
	turn->n_interrupted += n;
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
	for (unsigned i = 0; i < EVENT_SHARDS && status == STORE_OK; i++)
		if (has_bit(turn->shards, i))
			status = put_back(c, turn, i, now_ms, err);
	if (status == STORE_OK && turn->in_doubt)
		status = find_strays(c, turn, known, n_known, err);
	return sqlite_conn_end(c, status, err);
}
