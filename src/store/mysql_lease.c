/* SPDX-License-Identifier: ISC */
#include "store/store_mysql.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

enum { INSTANCE_FORGET_MS = 3600 * 1000 };

#define INTERRUPTED "interrupted"

struct lease_body {
	struct store_lease_turn *turn;
	const int64_t *known;
	size_t n_known;
	int64_t now_ms; /* the database's */
	unsigned rank;
	bool registered; /* we are among those that take a share */
	bool any_old;    /* someone is gone for long */
	bool any_dead;   /* one of turn->dead[] has a lease or is registered */
	bool lost_rows;  /* in our shards, of owners that do not live */
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
unregister(struct mysql_conn *c, uint64_t owner, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "DELETE FROM instance WHERE owner = ?"};

	mysql_conn_u64(c, owner);
	return mysql_conn_exec(c, &sql, 0, NULL, err);
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
	mysql_conn_i64(c, !b->turn->leaving);
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
	b->any_old = b->any_old || until_ms < b->now_ms - INSTANCE_FORGET_MS;
	if (!active || until_ms <= store_lease_now(b->turn, b->now_ms))
		return;
	b->turn->n_living++;
	if (owner < b->turn->owner)
		b->rank++;
	if (owner == b->turn->owner)
		b->registered = true;
}

/* Forgets those that are gone for long. */
static enum store_status
count_living(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql list = {
	    .head = "SELECT CAST(active AS SIGNED), owner, until_ms"
		    " FROM instance",
	    .columns = "iui",
	};
	static const struct mysql_sql forget = {
	    .head = "DELETE FROM instance WHERE until_ms < ?"};
	enum store_status status = mysql_conn_select(c, &list, 0, err);

	while (mysql_conn_next(c, &status, err))
		note_instance(b, mysql_conn_col_i64(c, 0) != 0,
		    mysql_conn_col_u64(c, 1), mysql_conn_col_i64(c, 2));
	if (status != STORE_OK || !b->any_old)
		return status;
	mysql_conn_i64(c, b->now_ms - INSTANCE_FORGET_MS);
	return mysql_conn_exec(c, &forget, 0, NULL, err);
}

static enum store_status
update_registrations(
    struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	const struct store_lease_turn *turn = b->turn;
	enum store_status status;

	status = store_lease_ends(turn, b->n_known)
		     ? unregister(c, turn->owner, err)
		     : register_self(c, b, err);
	for (size_t i = 0; status == STORE_OK && i < turn->n_away; i++)
		status = keep_away(
		    c, turn->away[i], store_away_until(turn, b->now_ms), err);
	for (size_t i = 0; status == STORE_OK && i < turn->n_dead; i++)
		status = unregister(c, turn->dead[i], err);
	return status == STORE_OK ? count_living(c, b, err) : status;
}

/* A bit per shard whose owner is known to be dead: free for the others. */
static uint64_t
shards_of_dead(const struct lease_row rows[EVENT_SHARDS],
    const struct store_lease_turn *turn)
{
	uint64_t shards = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++)
		for (size_t i = 0; i < turn->n_dead; i++)
			if (rows[shard].owner == turn->dead[i])
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
	arity = add_shards(c, b->turn->shards);
	status = mysql_conn_select(c, &sql, arity, err);
	while (mysql_conn_next(c, &status, err))
		b->lost_rows = true;
	return status;
}

/* Gives the rows of lost workers back, with the attempt that they were in. */
static enum store_status
put_back(struct mysql_conn *c, struct lease_body *b, struct err *err)
{
	static const struct mysql_sql log = {
	    .head =
		"INSERT INTO attempt (event, number, at_ms, code, error,"
		" response) SELECT id, attempts, ?, 0, '" INTERRUPTED "', ''"
		" FROM event WHERE " LOST " AND shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") ON DUPLICATE KEY UPDATE number = number",
	};
	static const struct mysql_sql update = {
	    .head = "UPDATE event SET status = IF(attempts >= ?, 3, 0),"
		    " due_ms = GREATEST(due_ms,"
		    " ? + " STORE_INTERRUPTED_WAIT_MS "),"
		    " last_code = 0, last_error = '" INTERRUPTED "'"
		    " WHERE " LOST " AND shard IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	const struct store_lease_turn *turn = b->turn;
	int64_t judged_ms = store_lease_now(turn, b->now_ms);
	uint64_t affected = 0;
	unsigned arity;
	enum store_status status;

	mysql_conn_i64(c, b->now_ms);
	mysql_conn_i64(c, judged_ms);
	arity = add_shards(c, turn->shards);
	status = mysql_conn_exec(c, &log, arity, NULL, err);
	if (status != STORE_OK)
		return status;
	mysql_conn_i64(c, turn->max_attempts);
	mysql_conn_i64(c, b->now_ms);
	mysql_conn_i64(c, judged_ms);
	arity = add_shards(c, turn->shards);
	status = mysql_conn_exec(c, &update, arity, &affected, err);
	b->turn->n_interrupted = affected;
	return status;
}

static void
start_over(struct lease_body *b)
{
	b->turn->n_living = 0;
	b->turn->n_strays = 0;
	b->turn->n_interrupted = 0;
	b->rank = 0;
	b->registered = b->any_old = b->any_dead = b->lost_rows = false;
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
	if (status == STORE_OK && turn->shards != 0)
		status = find_lost(c, b, err);
	if (status == STORE_OK && b->lost_rows)
		status = put_back(c, b, err);
	return status;
}

/* ---- a turn that only renews ---- */

static void
note_owner(struct lease_body *b, uint64_t owner)
{
	for (size_t i = 0; i < b->turn->n_dead; i++)
		b->any_dead = b->any_dead || b->turn->dead[i] == owner;
}

/* Everything that a turn goes by, at one look and without a lock. */
static enum store_status
look(struct mysql_conn *c, struct lease_body *b,
    struct lease_row rows[EVENT_SHARDS], struct err *err)
{
	enum { LEASE = 1, INSTANCE, LOST_ROW };
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
		" WHERE until_ms > LEAST(?, " MYSQL_NOW_MS "))",
	    .columns = "iiuii",
	};
	int64_t before_ms = clock_wall_ms(), after_ms = 0;
	enum store_status status;

	mysql_conn_u64(c, b->turn->owner);
	mysql_conn_i64(c, store_lease_now(b->turn, INT64_MAX));
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
		default:
			break;
		}
	}
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
	if (status != STORE_OK || !b->registered || b->any_old || b->any_dead ||
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
