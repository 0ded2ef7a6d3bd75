/* SPDX-License-Identifier: ISC */
#include "store/lease.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/lease_plan.h"
#include "store/lost.h"
#include "store/record.h"
#include "store/shard_text.h"

/* A call under way. */
struct leasing {
	const struct lease_request *request;
	struct lease_reply *reply;
	struct lease_row rows[EVENT_SHARDS];
	unsigned rank;
	bool registered;  /* we are among those that take a share */
	bool any_expired; /* one that is registered lives no more */
	bool any_dead; /* one of request->dead[] has a lease or is registered */
	bool any_lost; /* rows in our shards of owners that do not live */
	bool renewed;  /* and nothing else was to do */
	/* The registration may be renewed though leases were gone: remembered
	 * when the call starts over. */
	bool part_renewed;
};

static void
start_over(struct leasing *l)
{
	*l->reply = (struct lease_reply){.lapsed = l->reply->lapsed};
	*l = (struct leasing){.request = l->request,
	    .reply = l->reply,
	    .part_renewed = l->part_renewed};
}

/* ---- what is there ---- */

static enum store_status
note_time(struct leasing *l, int64_t before_ms, int64_t now_ms,
    int64_t after_ms, struct err *err)
{
	enum store_status status =
	    store_check_number("the time", now_ms, STORE_TIME_MAX_MS, err);

	if (status != STORE_OK)
		return status;
	l->reply->now_ms = now_ms;
	l->reply->clock_offset_ms =
	    store_clock_offset(before_ms, now_ms, after_ms);
	return STORE_OK;
}

/* The database's clock, and what ours is off. */
static enum store_status
read_clock(struct sql *sql, struct leasing *l, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = "SELECT " NOW_MYSQL, .columns = "i"},
	    [SQL_SQLITE] = {.head = "SELECT " NOW_SQLITE, .columns = "i"},
	};
	int64_t before_ms = clock_wall_ms(), now_ms = 0;
	enum store_status status;

	now_arg(sql);
	status = sql_value(sql, sql_pick(sql, text), &now_ms, err);
	if (status != STORE_OK)
		return status;
	return note_time(l, before_ms, now_ms, clock_wall_ms(), err);
}

static enum store_status
note_lease(struct leasing *l, int64_t shard, uint64_t owner, int64_t until_ms,
    struct err *err)
{
	enum store_status status =
	    store_check_number("shard", shard, EVENT_SHARDS - 1, err);

	if (status == STORE_OK)
		l->rows[shard] = (struct lease_row){owner, until_ms};
	return status;
}

/* Until the end of the transaction nobody claims or takes a shard. */
static enum store_status
lock_leases(struct sql *sql, struct leasing *l, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = "SELECT shard, owner, until_ms FROM lease"
				   " ORDER BY shard FOR UPDATE",
		.columns = "iui"},
	    [SQL_SQLITE] = {.head = "SELECT shard, owner, until_ms FROM lease",
		.columns = "iui"},
	};
	enum store_status status = sql_select(sql, sql_pick(sql, text), 0, err);

	while (sql_next(sql, &status, err)) {
		int64_t shard = sql_read_i64(sql);
		uint64_t owner = sql_read_u64(sql);

		status = note_lease(l, shard, owner, sql_read_i64(sql), err);
	}
	return sql_done(sql, status, err);
}

/*
 * By the clock as it is now that the leases are locked: who took ours had to
 * wait for it, and others may judge later, not earlier.
 */
static enum store_status
see_lapse(struct sql *sql, struct leasing *l, struct err *err)
{
#define LIVES(NOW)                                                             \
	{                                                                      \
		.head = "SELECT COUNT(*) FROM instance WHERE owner = ?"        \
			" AND until_ms > " NOW,                                \
		.columns = "i"                                                 \
	}
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = LIVES(NOW_MYSQL), [SQL_SQLITE] = LIVES(NOW_SQLITE)};
	enum store_status status;
	int64_t n_living = 0;

	sql_u64(sql, l->request->owner);
	now_arg(sql);
	status = sql_value(sql, sql_pick(sql, text), &n_living, err);
	l->reply->lapsed = l->part_renewed || n_living == 0;
	return status;
}

/* Our place among the living. */
static void
note_instance(struct leasing *l, bool active, uint64_t owner, int64_t until_ms)
{
	bool expired =
	    until_ms <= store_lease_now(l->request, l->reply->now_ms);

	l->any_expired = l->any_expired || expired;
	if (!active || expired)
		return;
	l->reply->n_living++;
	if (owner < l->request->owner)
		l->rank++;
	if (owner == l->request->owner)
		l->registered = true;
}

/* ---- registrations ---- */

static enum store_status
unregister(struct sql *sql, uint64_t owner, uint64_t *affected, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM instance WHERE owner = ?"};

	sql_u64(sql, owner);
	return sql_exec(sql, &text, 0, affected, err);
}

#define REGISTER                                                               \
	"INSERT INTO instance (owner, until_ms, host, pid, started_ms, "       \
	"active)"                                                              \
	" VALUES (?, ?, ?, ?, ?, ?)"

static enum store_status
register_self(struct sql *sql, const struct leasing *l, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = REGISTER " ON DUPLICATE KEY UPDATE"
					    " until_ms = VALUES(until_ms),"
					    " active = VALUES(active)"},
	    [SQL_SQLITE] = {.head =
				REGISTER " ON CONFLICT (owner) DO UPDATE"
					 " SET until_ms = excluded.until_ms,"
					 " active = excluded.active"},
	};
	int64_t now_ms = l->reply->now_ms;
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) == -1)
		host[0] = '\0';
	sql_u64(sql, l->request->owner);
	sql_i64(sql, now_ms + l->request->lease_ms);
	sql_bytes(sql, slice_from_string(host));
	sql_i64(sql, getpid());
	sql_i64(sql, now_ms);
	sql_i64(sql, store_takes_share(l->request));
	return sql_exec(sql, sql_pick(sql, text), 0, NULL, err);
}

#define KEEP_AWAY(GREATEST)                                                    \
	{                                                                      \
		.head = "UPDATE instance SET until_ms = " GREATEST             \
			"(until_ms, ?),"                                       \
			" active = 0 WHERE owner = ?"                          \
	}

static enum store_status
keep_away(struct sql *sql, uint64_t owner, int64_t until_ms, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = KEEP_AWAY("GREATEST"),
	    [SQL_SQLITE] = KEEP_AWAY("max"),
	};

	sql_i64(sql, until_ms);
	sql_u64(sql, owner);
	return sql_exec(sql, sql_pick(sql, text), 0, NULL, err);
}

/* Forgets those that are gone: who has seen their rows put back, by whatever
 * clock, is registered anew, and so learns of it. */
static enum store_status
count_living(struct sql *sql, struct leasing *l, struct err *err)
{
	static const struct sql_text list = {
	    .head = "SELECT CAST(active AS SIGNED), owner, until_ms"
		    " FROM instance",
	    .columns = "iui",
	};
	static const struct sql_text forget = {
	    .head = "DELETE FROM instance WHERE until_ms <= ?"};
	enum store_status status = sql_select(sql, &list, 0, err);

	while (sql_next(sql, &status, err)) {
		bool active = sql_read_i64(sql) != 0;
		uint64_t owner = sql_read_u64(sql);

		note_instance(l, active, owner, sql_read_i64(sql));
	}
	if (status != STORE_OK || !l->any_expired)
		return status;
	sql_i64(sql, store_lease_now(l->request, l->reply->now_ms));
	return sql_exec(sql, &forget, 0, NULL, err);
}

static enum store_status
update_registrations(struct sql *sql, struct leasing *l, struct err *err)
{
	const struct lease_request *request = l->request;
	int64_t away_ms = store_away_until(request, l->reply->now_ms);
	uint64_t affected = 0;
	enum store_status status;

	status = store_lease_ends(request)
		     ? unregister(sql, request->owner, NULL, err)
		     : register_self(sql, l, err);
	for (size_t i = 0; status == STORE_OK && i < request->n_away; i++)
		status = keep_away(sql, request->away[i], away_ms, err);
	for (size_t i = 0; status == STORE_OK && i < request->n_dead; i++) {
		status =
		    unregister(sql, request->dead[i].owner, &affected, err);
		/* On other hosts nobody knows what it died of. */
		l->reply->buried = l->reply->buried || affected > 0;
	}
	return status == STORE_OK ? count_living(sql, l, err) : status;
}

/* ---- leases ---- */

/* A bit per shard whose owner is known to be dead: free for the others. */
static uint64_t
shards_of_dead(const struct leasing *l)
{
	uint64_t shards = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++)
		if (store_death_of(l->request, l->rows[shard].owner) != NULL)
			shards |= UINT64_C(1) << shard;
	return shards;
}

#define WRITE_LEASES "UPDATE lease SET owner = ?, until_ms = ? WHERE "

static enum store_status
write_leases(struct sql *sql, uint64_t shards, uint64_t owner, int64_t until_ms,
    struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = SHARDS_MYSQL(WRITE_LEASES, "", NULL),
	    [SQL_SQLITE] = SHARDS_SQLITE(WRITE_LEASES, "", NULL),
	};
	unsigned arity;

	if (shards == 0)
		return STORE_OK;
	sql_u64(sql, owner);
	sql_i64(sql, until_ms);
	arity = shard_args(sql, shards);
	return sql_exec(sql, sql_pick(sql, text), arity, NULL, err);
}

static enum store_status
follow_plan(struct sql *sql, struct leasing *l, struct err *err)
{
	const struct lease_request *request = l->request;
	struct lease_reply *reply = l->reply;
	struct lease_plan plan;
	enum store_status status;

	status = store_check_rank(request, l->rank, reply->n_living, err);
	if (status != STORE_OK)
		return status;
	plan = store_lease_plan(
	    l->rows, request, l->rank, reply->n_living, reply->now_ms);
	reply->shards = plan.keep | plan.take;
	reply->dropped = plan.drop;
	plan.drop |= shards_of_dead(l) & ~reply->shards;
	status = write_leases(sql, plan.drop, 0, 0, err);
	if (status != STORE_OK)
		return status;
	return write_leases(sql, reply->shards, request->owner,
	    reply->now_ms + request->lease_ms, err);
}

/* ---- rows ---- */

static int
compare_row_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A row under our token that nothing we have under way accounts for? */
static void
note_processing(struct leasing *l, int64_t id)
{
	const struct lease_request *request = l->request;
	struct lease_reply *reply = l->reply;

	if (reply->n_strays < STORE_STRAYS_MAX &&
	    (request->n_known == 0 ||
		bsearch(&id, request->known, request->n_known, sizeof(id),
		    compare_row_ids) == NULL))
		reply->strays[reply->n_strays++] = id;
}

#define FIND_STRAYS "SELECT id FROM event WHERE status = 1 AND owner = ? AND "

/* The shards are named for the index. */
static enum store_status
find_strays(struct sql *sql, struct leasing *l, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = SHARDS_MYSQL(FIND_STRAYS, "", "i"),
	    [SQL_SQLITE] = SHARDS_SQLITE(FIND_STRAYS, "", "i"),
	};
	enum store_status status;
	unsigned arity;

	sql_u64(sql, l->request->owner);
	arity = shard_args(sql, UINT64_MAX);
	status = sql_select(sql, sql_pick(sql, text), arity, err);
	while (sql_next(sql, &status, err))
		note_processing(l, sql_read_i64(sql));
	return status;
}

#define FIND_QUARANTINED                                                       \
	"SELECT 1 FROM event WHERE status = 0 AND due_ms >= ? AND "

/* Rows that are to be delivered alone; from the index. */
static enum store_status
find_quarantined(
    struct sql *sql, struct leasing *l, uint64_t shards, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = SHARDS_MYSQL(FIND_QUARANTINED, " LIMIT 1", "i"),
	    [SQL_SQLITE] = SHARDS_SQLITE(FIND_QUARANTINED, " LIMIT 1", "i"),
	};
	enum store_status status;
	unsigned arity;

	sql_i64(sql, STORE_QUARANTINE_MS);
	arity = shard_args(sql, shards);
	status = sql_select(sql, sql_pick(sql, text), arity, err);
	while (sql_next(sql, &status, err))
		l->reply->quarantined = true;
	return status;
}

static enum store_status
look_after_rows(struct sql *sql, struct leasing *l, struct err *err)
{
	struct lease_reply *reply = l->reply;
	uint64_t shards = reply->buried ? UINT64_MAX : reply->shards;
	enum store_status status = STORE_OK;

	if (l->request->in_doubt)
		status = find_strays(sql, l, err);
	if (status != STORE_OK || shards == 0)
		return status;
	status = lost_find(
	    sql, l->request, shards, reply->now_ms, &l->any_lost, err);
	if (status == STORE_OK && l->any_lost)
		status = lost_put_back(
		    sql, l->request, shards, reply->now_ms, reply, err);
	return status == STORE_OK ? find_quarantined(sql, l, shards, err)
				  : status;
}

static enum store_status
lease_body(struct sql *sql, void *arg, struct err *err)
{
	struct leasing *l = arg;
	enum store_status status;

	start_over(l);
	status = read_clock(sql, l, err);
	if (status == STORE_OK)
		status = lock_leases(sql, l, err);
	if (status == STORE_OK)
		status = see_lapse(sql, l, err);
	if (status == STORE_OK)
		status = update_registrations(sql, l, err);
	if (status == STORE_OK)
		status = follow_plan(sql, l, err);
	return status == STORE_OK ? look_after_rows(sql, l, err) : status;
}

/* ---- a call that only renews, with a server ---- */

enum { LEASE = 1, INSTANCE, LOST_ROW, QUARANTINED_ROW };

static const struct sql_text everything = {
    .head = "SELECT 1, CAST(shard AS SIGNED), owner, until_ms,"
	    " " NOW_MYSQL " FROM lease"
	    " UNION ALL SELECT 2, CAST(active AS SIGNED), owner,"
	    " until_ms, " NOW_MYSQL " FROM instance"
	    " UNION ALL SELECT STRAIGHT_JOIN 3, event.id, event.owner,"
	    " 0, " NOW_MYSQL " FROM lease JOIN event FORCE INDEX (due)"
	    " ON event.shard = lease.shard AND event.status = 1"
	    " WHERE lease.owner = ? AND event.owner <> lease.owner"
	    " AND event.owner NOT IN (SELECT owner FROM instance"
	    " WHERE until_ms > LEAST(?, " NOW_MYSQL "))"
	    " UNION ALL (SELECT STRAIGHT_JOIN 4, event.id, event.owner,"
	    " 0, " NOW_MYSQL " FROM lease JOIN event FORCE INDEX (due)"
	    " ON event.shard = lease.shard AND event.status = 0"
	    " AND event.due_ms >= ? WHERE lease.owner = ? LIMIT 1)",
    .columns = "iiuii",
};

static void
note_owner(struct leasing *l, uint64_t owner)
{
	if (store_death_of(l->request, owner) != NULL)
		l->any_dead = true;
}

static enum store_status
note_row(struct leasing *l, int64_t what, int64_t id, uint64_t owner,
    int64_t until_ms, struct err *err)
{
	switch (what) {
	case LEASE:
		note_owner(l, owner);
		return note_lease(l, id, owner, until_ms, err);
	case INSTANCE:
		note_owner(l, owner);
		note_instance(l, id != 0, owner, until_ms);
		break;
	case LOST_ROW:
		l->any_lost = true;
		break;
	case QUARANTINED_ROW:
		l->reply->quarantined = true;
		break;
	default:
		break;
	}
	return STORE_OK;
}

/* Everything that a call goes by, at one look and without a lock. */
static enum store_status
look_at_everything(struct sql *sql, struct leasing *l, struct err *err)
{
	int64_t before_ms = clock_wall_ms(), after_ms = 0;
	enum store_status status;

	sql_u64(sql, l->request->owner);
	sql_i64(sql, store_lease_now(l->request, INT64_MAX));
	sql_i64(sql, STORE_QUARANTINE_MS);
	sql_u64(sql, l->request->owner);
	status = sql_select(sql, &everything, 0, err);
	while (sql_next(sql, &status, err)) {
		int64_t what = sql_read_i64(sql);
		int64_t id = sql_read_i64(sql);
		uint64_t owner = sql_read_u64(sql);
		int64_t until_ms = sql_read_i64(sql);

		if (after_ms == 0)
			after_ms = clock_wall_ms();
		status =
		    note_time(l, before_ms, sql_read_i64(sql), after_ms, err);
		if (status == STORE_OK)
			status = note_row(l, what, id, owner, until_ms, err);
	}
	return status;
}

/* By the primary keys: the open calls of others are not waited for. */
static const struct sql_text renew_ours = {
    .head = "UPDATE lease FORCE INDEX (PRIMARY), instance"
	    " SET lease.until_ms = ?, instance.until_ms = ?"
	    " WHERE instance.owner = ? AND lease.owner = ?"
	    " AND instance.until_ms > " NOW_MYSQL " AND lease.shard IN (",
    .item = "?",
    .sep = ", ",
    .tail = ")",
};

/*
 * Two statements do while nobody comes or goes. That the leases are still ours,
 * and we are still registered, is asked of the write itself: it counts its
 * rows. In all other cases lease_body takes the locks and starts again.
 */
static enum store_status
renew_body(struct sql *sql, void *arg, struct err *err)
{
	struct leasing *l = arg;
	struct lease_reply *reply = l->reply;
	struct lease_plan plan;
	uint64_t affected = 0;
	enum store_status status;
	int64_t until_ms;
	unsigned arity;

	start_over(l);
	status = look_at_everything(sql, l, err);
	if (status != STORE_OK || !l->registered || l->any_expired ||
	    l->any_dead || l->any_lost)
		return status;
	plan = store_lease_plan(
	    l->rows, l->request, l->rank, reply->n_living, reply->now_ms);
	if (plan.keep == 0 || plan.drop != 0 || plan.take != 0)
		return STORE_OK;
	reply->shards = plan.keep;
	until_ms = reply->now_ms + l->request->lease_ms;
	sql_i64(sql, until_ms);
	sql_i64(sql, until_ms);
	sql_u64(sql, l->request->owner);
	sql_u64(sql, l->request->owner);
	arity = shard_args(sql, plan.keep);
	l->part_renewed = true;
	status = sql_exec(sql, &renew_ours, arity, &affected, err);
	l->renewed = affected == (uint64_t)__builtin_popcountll(plan.keep) + 1;
	if (status == STORE_OK)
		l->part_renewed = !l->renewed && affected > 0;
	return status;
}

static enum store_status
renew(struct sql *sql, struct leasing *l, struct err *err)
{
	const struct lease_request *request = l->request;
	enum store_status status = STORE_OK;

	/* The first call of a connection waits, by its locks, for what an
	 * earlier connection may still be committing. */
	if (sql->driver->remote && !request->leaving && !request->in_doubt &&
	    request->n_away == 0 && sql->lease_owner == request->owner)
		status = sql_repeat(sql, renew_body, l, err);
	l->reply->lapsed = l->part_renewed;
	return status;
}

enum store_status
lease_shards(struct sql *sql, const struct lease_request *request,
    struct lease_reply *reply, struct err *err)
{
	struct leasing l = {.request = request, .reply = reply};
	enum store_status status;

	*reply = (struct lease_reply){0};
	status = renew(sql, &l, err);
	if (status != STORE_OK || l.renewed)
		return status;
	status = sql_transact(sql, lease_body, &l, err);
	sql->lease_owner = status == STORE_OK ? request->owner : 0;
	return status;
}
