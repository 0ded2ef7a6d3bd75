/* SPDX-License-Identifier: ISC */
#include "store/store_mysql.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define INTERRUPTED "interrupted"

struct lease_body {
	struct store_lease_turn *turn;
	const int64_t *known;
	size_t n_known;
	int64_t now_ms; /* the database's */
	unsigned rank;
	bool registered; /* we are among those that take a share */
	bool any_expired; /* one that is registered lives no more */
	bool any_dead;   /* one of turn->dead[] has a lease or is registered */
	bool lost_rows;  /* in our shards, of owners that do not live */
	uint64_t judged; /* shards to look for such rows in */
	bool renewed;    /* and nothing else was to do */
	/* The registration may be renewed though leases were gone: remembered
	 * when the turn starts over. */
	bool part_renewed;
};

/* The database's clock, and what ours is off. */
static enum store_status
read_clock(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql now = {
	    .head = "SELECT " MYSQL_NOW_MS, .columns = "i"};
	int64_t before_ms = clock_wall_ms(), after_ms;
	enum store_status status = mysql_conn_value(c, &now, &b->now_ms, err);

	if (status == STORE_OK)
		status = store_check_number(
		    "the time", b->now_ms, STORE_TIME_MAX_MS, err);
	if (status != STORE_OK)
		return status;
	after_ms = clock_wall_ms();
	b->turn->clock_offset_ms =
	    store_clock_offset(before_ms, b->now_ms, after_ms);
	return status;
}

/* Until the end of the transaction nobody claims or takes a shard. */
static enum store_status
lock_leases(
    struct mysql_conn *c, struct lease_row rows[EVENT_SHARDS], struct err *err)
{
	static const struct mysql_sql lock = {
	    .head = "SELECT shard, owner, until_ms FROM lease"
		    " ORDER BY shard FOR UPDATE",
	    .columns = "iui",
	};
	enum store_status status = mysql_conn_select(c, &lock, 0, err);

	while (mysql_conn_next(c, &status, err)) {
		int64_t shard = mysql_conn_col_i64(c, 0);

		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
		if (status == STORE_OK)
			rows[shard] = (struct lease_row){
			    mysql_conn_col_u64(c, 1), mysql_conn_col_i64(c, 2)};
	}
	return status;
}

/*
 * By the clock as it is now that the leases are locked: who took ours had to
 * wait for it, and others may judge later, not earlier.
 */
static enum store_status
note_lapse(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT COUNT(*) FROM instance WHERE owner = ?"
		    " AND until_ms > " MYSQL_NOW_MS,
	    .columns = "i",
	};
	enum store_status status;
	int64_t n_living = 0;

	mysql_conn_u64(c, b->turn->owner);
	status = mysql_conn_value(c, &sql, &n_living, err);
	b->turn->lapsed = b->part_renewed || n_living == 0;
	return status;
}

static enum store_status
unregister(
    struct mysql_conn *c, uint64_t owner, uint64_t *affected, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "DELETE FROM instance WHERE owner = ?"};

	mysql_conn_u64(c, owner);
	return mysql_conn_exec(c, &sql, 0, affected, err);
}

static enum store_status
register_self(struct mysql_conn *c, const struct lease_body *b, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "INSERT INTO instance"
		    " (owner, until_ms, host, pid, started_ms, active)"
		    " VALUES (?, ?, ?, ?, ?, ?)"
		    " ON DUPLICATE KEY UPDATE until_ms = VALUES(until_ms),"
		    " active = VALUES(active)",
	};
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) == -1)
		host[0] = '\0';
	mysql_conn_u64(c, b->turn->owner);
	mysql_conn_i64(c, b->now_ms + b->turn->lease_ms);
	mysql_conn_bytes(c, slice_from_string(host));
	mysql_conn_i64(c, getpid());
	mysql_conn_i64(c, b->now_ms);
	mysql_conn_i64(c, store_takes_share(b->turn));
	return mysql_conn_exec(c, &sql, 0, NULL, err);
}

static enum store_status
keep_away(
    struct mysql_conn *c, uint64_t owner, int64_t until_ms, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE instance SET until_ms = GREATEST(until_ms, ?),"
		    " active = 0 WHERE owner = ?"};

	mysql_conn_i64(c, until_ms);
	mysql_conn_u64(c, owner);
	return mysql_conn_exec(c, &sql, 0, NULL, err);
}

/* Our place among the living. */
static void
note_instance(
    struct lease_body *b, bool active, uint64_t owner, int64_t until_ms)
{
	bool expired = until_ms <= store_lease_now(b->turn, b->now_ms);

	b->any_expired = b->any_expired || expired;
	if (!active || expired)
		return;
	b->turn->n_living++;
	if (owner < b->turn->owner)
		b->rank++;
	if (owner == b->turn->owner)
		b->registered = true;
}

/* Forgets those that are gone: who has seen their rows put back, by whatever
 * clock, is registered anew, and so learns of it. */
static enum store_status
count_living(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql list = {
	    .head = "SELECT CAST(active AS SIGNED), owner, until_ms"
		    " FROM instance",
	    .columns = "iui",
	};
	static const struct mysql_sql forget = {
	    .head = "DELETE FROM instance WHERE until_ms <= ?"};
	enum store_status status = mysql_conn_select(c, &list, 0, err);

	while (mysql_conn_next(c, &status, err))
		note_instance(b, mysql_conn_col_i64(c, 0) != 0,
		    mysql_conn_col_u64(c, 1), mysql_conn_col_i64(c, 2));
	if (status != STORE_OK || !b->any_expired)
		return status;
	mysql_conn_i64(c, store_lease_now(b->turn, b->now_ms));
	return mysql_conn_exec(c, &forget, 0, NULL, err);
}

static enum store_status
update_registrations(
    struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	struct store_lease_turn *turn = b->turn;
	uint64_t affected = 0;
	enum store_status status;

	status = store_lease_ends(turn, b->n_known)
		     ? unregister(c, turn->owner, NULL, err)
		     : register_self(c, b, err);
	for (size_t i = 0; status == STORE_OK && i < turn->n_away; i++)
		status = keep_away(
		    c, turn->away[i], store_away_until(turn, b->now_ms), err);
	for (size_t i = 0; status == STORE_OK && i < turn->n_dead; i++) {
		status = unregister(c, turn->dead[i].owner, &affected, err);
		/* On other hosts nobody knows what it died of. */
		turn->buried = turn->buried || affected > 0;
	}
	return status == STORE_OK ? count_living(c, b, err) : status;
}

/* A bit per shard whose owner is known to be dead: free for the others. */
static uint64_t
shards_of_dead(const struct lease_row rows[EVENT_SHARDS],
    const struct store_lease_turn *turn)
{
	uint64_t shards = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++)
		if (store_death_of(turn, rows[shard].owner) != NULL)
			shards |= UINT64_C(1) << shard;
	return shards;
}

/* Arguments for an IN list of the shards in the mask; returns its arity. */
static unsigned
add_shards(struct mysql_conn *c, uint64_t shards)
{
	size_t n = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++)
		if ((shards >> shard & 1) != 0) {
			mysql_conn_i64(c, shard);
			n++;
		}
	return mysql_conn_pad(c, n);
}

static enum store_status
write_leases(struct mysql_conn *c, uint64_t shards, uint64_t owner,
    int64_t until_ms, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE lease SET owner = ?, until_ms = ? WHERE shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	unsigned arity;

	if (shards == 0)
		return STORE_OK;
	mysql_conn_u64(c, owner);
	mysql_conn_i64(c, until_ms);
	arity = add_shards(c, shards);
	return mysql_conn_exec(c, &sql, arity, NULL, err);
}

static int
compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A row under our token that nothing we have under way accounts for? */
static void
note_processing(struct lease_body *b, int64_t id)
{
	struct store_lease_turn *turn = b->turn;

	if (turn->n_strays < STORE_STRAYS_MAX &&
	    (b->n_known == 0 || bsearch(&id, b->known, b->n_known, sizeof(id),
				    compare_ids) == NULL))
		turn->strays[turn->n_strays++] = id;
}

/* The shards are named for the index. */
static enum store_status
find_strays(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT id FROM event WHERE status = 1 AND owner = ?"
		    " AND shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	    .columns = "i",
	};
	enum store_status status;
	unsigned arity;

	mysql_conn_u64(c, b->turn->owner);
	arity = add_shards(c, UINT64_MAX);
	status = mysql_conn_select(c, &sql, arity, err);
	while (mysql_conn_next(c, &status, err))
		note_processing(b, mysql_conn_col_i64(c, 0));
	return status;
}

/* The argument is the time by which leases of others end. */
#define LOST                                                                   \
	"status = 1 AND owner NOT IN"                                          \
	" (SELECT owner FROM instance WHERE until_ms > ?)"

/* Without the locks of put_back, which mostly has nothing to do. */
static enum store_status
find_lost(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT id FROM event WHERE " LOST " AND shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") LIMIT 1",
	    .columns = "i",
	};
	enum store_status status;
	unsigned arity;

	mysql_conn_i64(c, store_lease_now(b->turn, b->now_ms));
	arity = add_shards(c, b->judged);
	status = mysql_conn_select(c, &sql, arity, err);
	while (mysql_conn_next(c, &status, err))
		b->lost_rows = true;
	return status;
}

static enum store_status
read_lost(struct mysql_conn *c, const struct lease_body *b,
    struct lost_row rows[STORE_LOST_MAX], size_t *n, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT id, owner, CAST(attempts AS SIGNED),"
		    " CAST(suspect AS SIGNED) FROM event WHERE " LOST
		    " AND shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") LIMIT 512 FOR UPDATE",
	    .columns = "iuii",
	};
	enum store_status status;
	unsigned arity;

	static_assert(STORE_LOST_MAX == 512, "as the statement says");
	*n = 0;
	mysql_conn_i64(c, store_lease_now(b->turn, b->now_ms));
	arity = add_shards(c, b->judged);
	status = mysql_conn_select(c, &sql, arity, err);
	while (*n < STORE_LOST_MAX && mysql_conn_next(c, &status, err))
		rows[(*n)++] = (struct lost_row){
		    .id = mysql_conn_col_i64(c, 0),
		    .owner = mysql_conn_col_u64(c, 1),
		    .attempts = (unsigned)mysql_conn_col_i64(c, 2),
		    .suspect = (unsigned)mysql_conn_col_i64(c, 3),
		};
	return status;
}

static unsigned
add_row_ids(struct mysql_conn *c, const int64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mysql_conn_i64(c, ids[i]);
	return mysql_conn_pad(c, n);
}

/* As if it had not been claimed, but for the suspicion. */
static enum store_status
uncount(struct mysql_conn *c, enum verdict verdict, const int64_t *ids,
    size_t n, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE event SET status = 0,"
		    " attempts = GREATEST(attempts, 1) - 1,"
		    " suspect = suspect + ?, due_ms = due_ms + ?"
		    " WHERE status = 1 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};

	mysql_conn_i64(c, verdict != VERDICT_INNOCENT);
	mysql_conn_i64(
	    c, verdict == VERDICT_QUARANTINED ? STORE_QUARANTINE_MS : 0);
	return mysql_conn_exec(c, &sql, add_row_ids(c, ids, n), NULL, err);
}

/* The attempt is logged, and was the last one, or is followed by another. */
static enum store_status
count(struct mysql_conn *c, const struct lease_body *b, enum verdict verdict,
    const int64_t *ids, size_t n, struct err *err)
{
	static const struct mysql_sql log = {
	    .head =
		"INSERT INTO attempt (event, number, at_ms, code, error,"
		" response) SELECT id, attempts, ?, 0, '" INTERRUPTED "', ''"
		" FROM event WHERE status = 1 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") ON DUPLICATE KEY UPDATE number = number",
	};
	static const struct mysql_sql again = {
	    .head = "UPDATE event SET status = 0, due_ms = GREATEST(due_ms,"
		    " ? + " STORE_INTERRUPTED_WAIT_MS "), last_code = 0,"
		    " last_error = '" INTERRUPTED "'"
		    " WHERE status = 1 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	static const struct mysql_sql give_up = {
	    .head = "UPDATE event SET status = 3, suspect = 0, due_ms = ?,"
		    " last_code = 0, last_error = '" INTERRUPTED "'"
		    " WHERE status = 1 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	const struct mysql_sql *update =
	    verdict == VERDICT_GIVEN_UP ? &give_up : &again;
	enum store_status status;

	mysql_conn_i64(c, b->now_ms);
	status = mysql_conn_exec(c, &log, add_row_ids(c, ids, n), NULL, err);
	if (status != STORE_OK)
		return status;
	mysql_conn_i64(c, b->now_ms);
	return mysql_conn_exec(c, update, add_row_ids(c, ids, n), NULL, err);
}

/* Gives the rows of lost workers back. */
static enum store_status
put_back(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	struct lost_row rows[STORE_LOST_MAX];
	int64_t ids[STORE_LOST_MAX];
	enum store_status status;
	size_t n, n_ids;

	do {
		status = read_lost(c, b, rows, &n, err);
		for (int v = 0; v < VERDICTS && status == STORE_OK; v++) {
			n_ids = store_judged(
			    b->turn, rows, n, (enum verdict)v, ids);
			if (n_ids == 0)
				continue;
			status =
			    v < VERDICT_COUNTED
				? uncount(c, (enum verdict)v, ids, n_ids, err)
				: count(c, b, (enum verdict)v, ids, n_ids, err);
		}
		b->turn->n_interrupted += n;
		/* A server may go on for ever; the rest is for the next turn.
		 */
	} while (status == STORE_OK && n == STORE_LOST_MAX &&
		 b->turn->n_interrupted < MYSQL_RESULT_ROWS_MAX);
	return status;
}

/* Rows of our shards that are to be delivered alone; from the index. */
static enum store_status
find_quarantined(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT 1 FROM event WHERE status = 0 AND due_ms >= ?"
		    " AND shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") LIMIT 1",
	    .columns = "i",
	};
	enum store_status status;
	unsigned arity;

	mysql_conn_i64(c, STORE_QUARANTINE_MS);
	arity = add_shards(c, b->judged);
	status = mysql_conn_select(c, &sql, arity, err);
	while (mysql_conn_next(c, &status, err))
		b->turn->quarantined = true;
	return status;
}

static void
start_over(struct lease_body *b)
{
	b->turn->n_living = 0;
	b->turn->n_strays = 0;
	b->turn->n_interrupted = 0;
	b->turn->buried = b->turn->quarantined = false;
	b->rank = 0;
	b->registered = b->any_expired = b->any_dead = b->lost_rows = false;
	b->renewed = false;
}

static enum store_status
lease_body(struct mysql_conn *c, void *arg, struct err *err)
{
	struct lease_body *b = arg;
	struct store_lease_turn *turn = b->turn;
	struct lease_row rows[EVENT_SHARDS] = {{0}};
	struct lease_plan plan;
	enum store_status status;

	start_over(b);
	status = read_clock(c, b, err);
	turn->now_ms = b->now_ms;
	if (status == STORE_OK)
		status = lock_leases(c, rows, err);
	if (status == STORE_OK)
		status = note_lapse(c, b, err);
	if (status == STORE_OK)
		status = update_registrations(c, b, err);
	if (status == STORE_OK)
		status = store_check_rank(turn, b->rank, turn->n_living, err);
	if (status != STORE_OK)
		return status;
	plan = store_lease_plan(rows, turn, b->rank, turn->n_living, b->now_ms);
	turn->shards = plan.keep | plan.take;
	turn->dropped = plan.drop;
	plan.drop |= shards_of_dead(rows, turn) & ~turn->shards;
	status = write_leases(c, plan.drop, 0, 0, err);
	if (status == STORE_OK)
		status = write_leases(c, turn->shards, turn->owner,
		    b->now_ms + turn->lease_ms, err);
	if (status == STORE_OK && turn->in_doubt)
		status = find_strays(c, b, err);
	b->judged = turn->buried ? UINT64_MAX : turn->shards;
	if (status == STORE_OK && b->judged != 0)
		status = find_lost(c, b, err);
	if (status == STORE_OK && b->lost_rows)
		status = put_back(c, b, err);
	if (status == STORE_OK && b->judged != 0)
		status = find_quarantined(c, b, err);
	return status;
}

/* ---- a turn that only renews ---- */

static void
note_owner(struct lease_body *b, uint64_t owner)
{
	if (store_death_of(b->turn, owner) != NULL)
		b->any_dead = true;
}

/* Everything that a turn goes by, at one look and without a lock. */
static enum store_status
look(struct mysql_conn *c, struct lease_body *b,
    struct lease_row rows[EVENT_SHARDS], struct err *err)
{
	enum { LEASE = 1, INSTANCE, LOST_ROW, QUARANTINED_ROW };
	static const struct mysql_sql sql = {
	    .head =
		"SELECT 1, CAST(shard AS SIGNED), owner, until_ms,"
		" " MYSQL_NOW_MS " FROM lease"
		" UNION ALL SELECT 2, CAST(active AS SIGNED), owner,"
		" until_ms, " MYSQL_NOW_MS " FROM instance"
		" UNION ALL SELECT STRAIGHT_JOIN 3, event.id, event.owner,"
		" 0, " MYSQL_NOW_MS " FROM lease JOIN event FORCE INDEX (due)"
		" ON event.shard = lease.shard AND event.status = 1"
		" WHERE lease.owner = ? AND event.owner <> lease.owner"
		" AND event.owner NOT IN (SELECT owner FROM instance"
		" WHERE until_ms > LEAST(?, " MYSQL_NOW_MS "))"
		" UNION ALL (SELECT STRAIGHT_JOIN 4, event.id, event.owner,"
		" 0, " MYSQL_NOW_MS " FROM lease JOIN event FORCE INDEX (due)"
		" ON event.shard = lease.shard AND event.status = 0"
		" AND event.due_ms >= ? WHERE lease.owner = ? LIMIT 1)",
	    .columns = "iiuii",
	};
	int64_t before_ms = clock_wall_ms(), after_ms = 0;
	enum store_status status;

	mysql_conn_u64(c, b->turn->owner);
	mysql_conn_i64(c, store_lease_now(b->turn, INT64_MAX));
	mysql_conn_i64(c, STORE_QUARANTINE_MS);
	mysql_conn_u64(c, b->turn->owner);
	status = mysql_conn_select(c, &sql, 0, err);
	while (mysql_conn_next(c, &status, err)) {
		int64_t id = mysql_conn_col_i64(c, 1);
		uint64_t owner = mysql_conn_col_u64(c, 2);
		int64_t until_ms = mysql_conn_col_i64(c, 3);

		if (after_ms == 0)
			after_ms = clock_wall_ms();
		b->now_ms = mysql_conn_col_i64(c, 4);
		status = store_check_number(
		    "the time", b->now_ms, STORE_TIME_MAX_MS, err);
		if (status != STORE_OK)
			break;
		switch (mysql_conn_col_i64(c, 0)) {
		case LEASE:
			status = store_check_number(
			    "shard", id, EVENT_SHARDS - 1, err);
			if (status == STORE_OK)
				rows[id] = (struct lease_row){owner, until_ms};
			note_owner(b, owner);
			break;
		case INSTANCE:
			note_instance(b, id != 0, owner, until_ms);
			note_owner(b, owner);
			break;
		case LOST_ROW:
			b->lost_rows = true;
			break;
		case QUARANTINED_ROW:
			b->turn->quarantined = true;
			break;
		default:
			break;
		}
	}
	if (status != STORE_OK)
		return status;
	b->turn->clock_offset_ms =
	    store_clock_offset(before_ms, b->now_ms, after_ms);
	return status;
}

/*
 * Two statements do while nobody comes or goes. That the leases are still ours,
 * and we are still registered, is asked of the write itself: it counts its
 * rows. In all other cases lease_body takes the locks and starts again.
 */
static enum store_status
renew_body(struct mysql_conn *c, void *arg, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE lease, instance"
		    " SET lease.until_ms = ?, instance.until_ms = ?"
		    " WHERE instance.owner = ? AND lease.owner = ?"
		    " AND instance.until_ms > " MYSQL_NOW_MS
		    " AND lease.shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	struct lease_body *b = arg;
	struct store_lease_turn *turn = b->turn;
	struct lease_row rows[EVENT_SHARDS] = {{0}};
	struct lease_plan plan;
	uint64_t affected = 0;
	enum store_status status;
	unsigned arity;

	start_over(b);
	status = look(c, b, rows, err);
	turn->now_ms = b->now_ms;
	if (status != STORE_OK || !b->registered || b->any_expired || b->any_dead ||
	    b->lost_rows)
		return status;
	plan = store_lease_plan(rows, turn, b->rank, turn->n_living, b->now_ms);
	if (plan.keep == 0 || plan.drop != 0 || plan.take != 0)
		return STORE_OK;
	turn->shards = plan.keep;
	mysql_conn_i64(c, b->now_ms + turn->lease_ms);
	mysql_conn_i64(c, b->now_ms + turn->lease_ms);
	mysql_conn_u64(c, turn->owner);
	mysql_conn_u64(c, turn->owner);
	arity = add_shards(c, plan.keep);
	b->part_renewed = true;
	status = mysql_conn_exec(c, &sql, arity, &affected, err);
	b->renewed = affected == (uint64_t)__builtin_popcountll(plan.keep) + 1;
	if (status == STORE_OK)
		b->part_renewed = !b->renewed && affected > 0;
	return status;
}

enum store_status
mysql_lease(struct store_backend *backend, struct store_lease_turn *turn,
    const int64_t *known, size_t n_known, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);
	struct lease_body b = {
	    .turn = turn, .known = known, .n_known = n_known};
	enum store_status status = STORE_OK;

	/* The first turn of a connection waits, by its locks, for what an
	 * earlier connection may still be committing. */
	if (!turn->leaving && !turn->in_doubt && turn->n_away == 0 &&
	    c->lease_owner == turn->owner)
		status = mysql_conn_repeat(c, renew_body, &b, err);
	turn->lapsed = b.part_renewed;
	if (status != STORE_OK || b.renewed)
		return status;
	status = mysql_conn_transact(c, lease_body, &b, err);
	c->lease_owner = status == STORE_OK ? turn->owner : 0;
	return status;
}
