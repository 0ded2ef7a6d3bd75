/* SPDX-License-Identifier: ISC */
#include "store/lease.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "store/lease_plan.h"
#include "store/lost.h"
#include "store/record.h"
#include "store/shard_text.h"

/* Beyond it signs begin, and until it a lease lasts: whoever compares these
 * with a clock, as older versions do, finds them far off. */
#define FAR_MS (INT64_C(1) << 48)

/* A call under way. */
struct leasing {
	const struct lease_request *request;
	struct lease_reply *reply;
	uint64_t leases[EVENT_SHARDS]; /* whose each is; 0: nobody's */
	size_t lost_max; /* rows that are put back in a transaction, and */
	struct lost_room room;
	bool any_lost; /* rows in our shards of owners that do not live */
	bool settled;  /* nothing but the renewal was to do */
};

static void
start_over(struct leasing *l)
{
	*l->reply = (struct lease_reply){
	    .lapsed = l->reply->lapsed, .renewed = l->reply->renewed};
	*l = (struct leasing){
	    .request = l->request, .reply = l->reply, .lost_max = l->lost_max};
}

/* ---- our registration ---- */

static enum store_status
unregister(struct sql *sql, uint64_t owner, uint64_t *affected, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM instance WHERE owner = ?"};

	sql_u64(sql, owner);
	return sql_exec(sql, &text, 0, affected, err);
}

/* Of a name that is too long for its column, the begin. */
static struct slice
node_of(const struct sql *sql)
{
	struct slice node = slice_from_string(sql_where(sql));

	if (node.len > STORE_NODE_MAX - 1)
		node.len = STORE_NODE_MAX - 1;
	return node;
}

#define RENEW(NOW)                                                             \
	{                                                                      \
		.head = "UPDATE instance SET until_ms = until_ms + 1,"         \
			" active = ?, lease_ms = ?, wall_ms = ?,"              \
			" seen_ms = " NOW ", node = ? WHERE owner = ?"         \
	}

/* Nothing but our own row, which nobody else writes to while we renew: so
 * nobody's open call is waited for. */
static enum store_status
renew_self(struct sql *sql, const struct lease_request *request,
    uint64_t *affected, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = RENEW(NOW_MYSQL), [SQL_SQLITE] = RENEW(NOW_SQLITE)};

	sql_i64(sql, store_takes_share(request));
	sql_i64(sql, request->lease_ms);
	sql_i64(sql, clock_wall_ms());
	now_arg(sql);
	sql_bytes(sql, node_of(sql));
	sql_u64(sql, request->owner);
	return sql_exec(sql, sql_pick(sql, text), 0, affected, err);
}

/* Another one for each registration: who has seen the one before it, and not
 * its end, does not take the two for one that stood still. */
static int64_t
first_sign(void)
{
	uint32_t random = (uint32_t)clock_mono_ms();

	(void)!getentropy(&random, sizeof(random));
	return FAR_MS + random;
}

#define REGISTER(NOW, AGAIN)                                                   \
	{                                                                      \
		.head =                                                        \
		    "INSERT INTO instance (owner, until_ms, host, pid,"        \
		    " started_ms, active, lease_ms, wall_ms, seen_ms, node)"   \
		    " VALUES (?, ?, ?, ?, " NOW ", ?, ?, ?, " NOW ", ?)" AGAIN \
	}
#define AGAIN_MYSQL                                                            \
	" ON DUPLICATE KEY UPDATE until_ms = until_ms + 1,"                    \
	" lease_ms = VALUES(lease_ms), active = VALUES(active)"
#define AGAIN_SQLITE                                                           \
	" ON CONFLICT (owner) DO UPDATE SET until_ms = until_ms + 1,"          \
	" lease_ms = excluded.lease_ms, active = excluded.active"

/* A call whose answer was lost may have done so, with another lease. */
static enum store_status
register_self(
    struct sql *sql, const struct lease_request *request, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = REGISTER(NOW_MYSQL, AGAIN_MYSQL),
	    [SQL_SQLITE] = REGISTER(NOW_SQLITE, AGAIN_SQLITE),
	};
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) == -1)
		host[0] = '\0';
	sql_u64(sql, request->owner);
	sql_i64(sql, first_sign());
	sql_bytes(sql, slice_from_string(host));
	sql_i64(sql, getpid());
	now_arg(sql);
	sql_i64(sql, store_takes_share(request));
	sql_i64(sql, request->lease_ms);
	sql_i64(sql, clock_wall_ms());
	now_arg(sql);
	sql_bytes(sql, node_of(sql));
	return sql_exec(sql, sql_pick(sql, text), 0, NULL, err);
}

/* Whether it was still there: whoever has taken our registration away may have
 * had what was claimed under it. */
static enum store_status
show_life(struct sql *sql, struct leasing *l, struct err *err)
{
	bool ends = store_lease_ends(l->request);
	uint64_t affected = 0;
	enum store_status status;

	status = ends ? unregister(sql, l->request->owner, &affected, err)
		      : renew_self(sql, l->request, &affected, err);
	if (status != STORE_OK)
		return status;
	if (affected > 0)
		return STORE_OK;
	l->reply->lapsed = true;
	return ends ? STORE_OK : register_self(sql, l->request, err);
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

enum { LEASE = 1, INSTANCE, LOST_ROW, QUARANTINED_ROW };

/* clang-format off */
#define LEASES_AND_INSTANCES(NOW)                                              \
	"SELECT 1, CAST(shard AS SIGNED), owner, 0, 0, 0, x'', " NOW           \
	" FROM lease"                                                          \
	" UNION ALL SELECT 2, CAST(active AS SIGNED), owner, until_ms,"        \
	" lease_ms, wall_ms, host, " NOW " FROM instance"
#define LOST_ROWS                                                              \
	" UNION ALL (SELECT STRAIGHT_JOIN 3, 0, 0, 0, 0, 0, x'', " NOW_MYSQL   \
	" FROM lease JOIN event FORCE INDEX (due)"                             \
	" ON event.shard = lease.shard AND event.status = 1"                   \
	" WHERE lease.owner = ? AND event.owner <> lease.owner"                \
	" AND event.owner NOT IN (SELECT owner FROM instance) LIMIT 1)"
#define ALL_SHARDS                                                             \
	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25," \
	"26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48," \
	"49,50,51,52,53,54,55,56,57,58,59,60,61,62,63"
/* A range of each shard. A join with such a range reads all that wait. */
#define QUARANTINED_ROWS                                                       \
	" UNION ALL (SELECT 4, 0, 0, 0, 0, 0, x'', " NOW_MYSQL                 \
	" FROM event FORCE INDEX (due) WHERE shard IN (" ALL_SHARDS ")"        \
	" AND status = 0 AND due_ms >= ? AND due_ms < ?"                       \
	" AND (SELECT owner FROM lease WHERE lease.shard = event.shard) = ?"   \
	" LIMIT 1)"

/* With a server in one round trip also whether there are rows that ask for
 * more. */
static const struct sql_text look[] = {
    [SQL_MYSQL] = {.head = LEASES_AND_INSTANCES(NOW_MYSQL) LOST_ROWS
	    QUARANTINED_ROWS, .columns = "iiuiiibi"},
    [SQL_SQLITE] = {.head = LEASES_AND_INSTANCES(NOW_SQLITE),
	.columns = "iiuiiibi"},
};
/* clang-format on */

/* Those beyond the room are not known: others see to them. */
static void
note_instance(
    struct leasing *l, const struct store_instance *instance, struct slice host)
{
	size_t len =
	    host.len < STORE_HOST_MAX - 1 ? host.len : STORE_HOST_MAX - 1;
	struct store_instance *copy;

	if (l->reply->n_instances == STORE_INSTANCES_MAX)
		return;
	copy = &l->request->instances[l->reply->n_instances++];
	*copy = *instance;
	memcpy(copy->host, host.p, len);
}

/* A row of the look; the last column is left. */
static enum store_status
note_row(struct sql *sql, struct leasing *l, struct err *err)
{
	int64_t what = sql_read_i64(sql);
	int64_t id = sql_read_i64(sql);
	struct store_instance instance = {.active = id != 0};
	enum store_status status = STORE_OK;
	struct slice host;

	instance.sign.owner = sql_read_u64(sql);
	instance.sign.sign = sql_read_i64(sql);
	instance.lease_ms = sql_read_i64(sql);
	instance.wall_ms = sql_read_i64(sql);
	host = sql_read_bytes(sql);
	switch (what) {
	case LEASE:
		status = store_check_number("shard", id, EVENT_SHARDS - 1, err);
		if (status == STORE_OK)
			l->leases[id] = instance.sign.owner;
		break;
	case INSTANCE:
		note_instance(l, &instance, host);
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
	return status;
}

/* Their sign is until when they go on by the database's clock, whatever others
 * see of them. */
static void
heed_older_versions(struct leasing *l)
{
	for (size_t i = 0; i < l->reply->n_instances; i++) {
		struct store_instance *instance = &l->request->instances[i];

		if (instance->sign.sign < FAR_MS &&
		    instance->sign.sign > l->reply->now_ms)
			instance->lease_ms = INT64_MAX;
	}
}

/* Everything that a call goes by, at one look and without a lock; and what the
 * database's clock is off. */
static enum store_status
look_around(struct sql *sql, struct leasing *l, struct err *err)
{
	int64_t before_ms = clock_wall_ms(), after_ms = 0;
	enum store_status status;

	l->reply->n_instances = 0;
	if (sql->driver->kind == SQL_MYSQL) {
		sql_u64(sql, l->request->owner);
		sql_i64(sql, STORE_QUARANTINE_MS);
		sql_i64(sql, STORE_PARKED_MS);
		sql_u64(sql, l->request->owner);
	} else {
		now_arg(sql);
		now_arg(sql);
	}
	status = sql_select(sql, sql_pick(sql, look), 0, err);
	while (sql_next(sql, &status, err)) {
		if (after_ms == 0)
			after_ms = clock_wall_ms();
		status = note_row(sql, l, err);
		if (status == STORE_OK)
			status = note_time(
			    l, before_ms, sql_read_i64(sql), after_ms, err);
	}
	heed_older_versions(l);
	return sql_done(sql, status, err);
}

/* ---- the ends of others ---- */

static bool
is_named(
    const struct store_sign *signs, size_t n, const struct store_sign *sign)
{
	for (size_t i = 0; i < n; i++)
		if (signs[i].owner == sign->owner &&
		    signs[i].sign == sign->sign)
			return true;
	return false;
}

enum end { END_NONE, END_DEAD, END_LOST, END_AWAY };

static enum end
way_to_end(const struct lease_request *request, const struct store_sign *sign)
{
	if (sign->owner == request->owner)
		return END_NONE;
	if (store_death_of(request, sign->owner) != NULL)
		return END_DEAD;
	if (is_named(request->lost, request->n_lost, sign))
		return END_LOST;
	return is_named(request->away, request->n_away, sign) ? END_AWAY
							      : END_NONE;
}

/* Until the end of the transaction it cannot renew. *free is false when it does
 * something itself. */
static enum store_status
lock_instance(
    struct sql *sql, struct store_sign *sign, bool *free, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = "SELECT until_ms FROM instance"
				   " WHERE owner = ? FOR UPDATE" SKIP_LOCKED,
		.columns = "i"},
	    [SQL_SQLITE] = {.head = "SELECT until_ms FROM instance"
				    " WHERE owner = ?",
		.columns = "i"},
	};
	enum store_status status;

	*free = false;
	sql_u64(sql, sign->owner);
	status = sql_select(sql, sql_pick(sql, text), 0, err);
	while (sql_next(sql, &status, err)) {
		sign->sign = sql_read_i64(sql);
		*free = true;
	}
	return sql_done(sql, status, err);
}

/* Its rows go back, then its registration: others find what is left of one that
 * is not registered, and do not know what it died of. */
static enum store_status
bury(struct sql *sql, struct leasing *l, uint64_t owner, struct err *err)
{
	bool rest;
	enum store_status status = lost_put_back_of(
	    sql, l->request, owner, &l->room, &rest, l->reply, err);

	l->reply->buried = true;
	return status == STORE_OK && (!rest || l->lost_max == 0)
		   ? unregister(sql, owner, NULL, err)
		   : status;
}

static enum store_status
keep_away(struct sql *sql, uint64_t owner, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE instance SET until_ms = until_ms + 1, active = 0"
		    " WHERE owner = ?"};

	sql_u64(sql, owner);
	return sql_exec(sql, &text, 0, NULL, err);
}

/* Its registration goes, if it has not renewed since; or is prolonged, when it
 * is away. */
static enum store_status
end_instance(struct sql *sql, struct leasing *l,
    struct store_instance *instance, enum end end, struct err *err)
{
	struct store_sign now = instance->sign;
	enum store_status status;
	bool free;

	status = lock_instance(sql, &now, &free, err);
	if (status != STORE_OK || !free)
		return status;
	if (end != END_DEAD && now.sign != instance->sign.sign)
		return STORE_OK;
	instance->active = false;
	l->reply->ended = true;
	if (end == END_AWAY)
		return keep_away(sql, now.owner, err);
	instance->sign.owner = 0;
	return end == END_DEAD ? bury(sql, l, now.owner, err)
			       : unregister(sql, now.owner, NULL, err);
}

static enum store_status
end_others(struct sql *sql, struct leasing *l, struct err *err)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < l->reply->n_instances; i++) {
		struct store_instance *instance = &l->request->instances[i];
		enum end end = way_to_end(l->request, &instance->sign);

		if (status == STORE_OK && end != END_NONE)
			status = end_instance(sql, l, instance, end, err);
	}
	return status;
}

/* ---- shares ---- */

static bool
is_active(const struct leasing *l, uint64_t owner)
{
	const struct store_instance *instances = l->request->instances;

	for (size_t i = 0; i < l->reply->n_instances; i++)
		if (instances[i].sign.owner == owner)
			return instances[i].active;
	return false;
}

static bool
is_free(const struct leasing *l, uint64_t owner)
{
	return owner == 0 || store_death_of(l->request, owner) != NULL ||
	       !is_active(l, owner);
}

static unsigned
share_of(const struct leasing *l)
{
	const struct store_instance *instances = l->request->instances;
	unsigned rank = 0, n_living = 0;

	for (size_t i = 0; i < l->reply->n_instances; i++) {
		uint64_t owner = instances[i].sign.owner;

		if (!instances[i].active || owner == l->request->owner ||
		    store_death_of(l->request, owner) != NULL)
			continue;
		n_living++;
		if (owner < l->request->owner)
			rank++;
	}
	l->reply->n_living = n_living;
	if (!store_takes_share(l->request))
		return 0;
	l->reply->n_living++;
	return store_lease_share(rank, l->reply->n_living);
}

static struct lease_plan
plan_of(const struct leasing *l)
{
	uint64_t mine = 0, free = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		uint64_t bit = UINT64_C(1) << shard;

		if (l->leases[shard] == l->request->owner)
			mine |= bit;
		else if (is_free(l, l->leases[shard]))
			free |= bit;
	}
	return store_lease_plan(mine, free, share_of(l));
}

#define LOCK_LEASES                                                            \
	"SELECT CAST(shard AS SIGNED), owner FROM lease FORCE INDEX (PRIMARY)" \
	" WHERE "

/*
 * Until the end of the transaction nobody claims in these shards, and the
 * claims that are there can be seen. Of ours: an earlier connection of ours may
 * still be committing one. Of others: those that are just in use stay theirs.
 * *shards are then those that are still whose they were.
 */
static enum store_status
lock_leases(struct sql *sql, const struct leasing *l, bool ours,
    uint64_t *shards, struct err *err)
{
	static const struct sql_text all =
	    SHARDS_MYSQL(LOCK_LEASES, " FOR UPDATE", "iu");
	static const struct sql_text unused =
	    SHARDS_MYSQL(LOCK_LEASES, " FOR UPDATE" SKIP_LOCKED, "iu");
	enum store_status status;
	uint64_t locked = 0;
	unsigned arity;

	if (sql->driver->kind == SQL_SQLITE || *shards == 0)
		return STORE_OK;
	arity = shard_args(sql, *shards);
	status = sql_select(sql, ours ? &all : &unused, arity, err);
	while (sql_next(sql, &status, err)) {
		int64_t shard = sql_read_i64(sql);

		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
		if (status == STORE_OK && sql_read_u64(sql) == l->leases[shard])
			locked |= UINT64_C(1) << shard;
	}
	*shards &= locked;
	return sql_done(sql, status, err);
}

/* By their keys: a scan waits for the rows that others are using. */
#define WRITE_LEASES(INDEX)                                                    \
	"UPDATE lease" INDEX " SET owner = ?, until_ms = ? WHERE "

static enum store_status
write_leases(struct sql *sql, uint64_t shards, uint64_t owner, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] =
		SHARDS_MYSQL(WRITE_LEASES(" FORCE INDEX (PRIMARY)"), "", NULL),
	    [SQL_SQLITE] = SHARDS_SQLITE(WRITE_LEASES(""), "", NULL),
	};
	unsigned arity;

	if (shards == 0)
		return STORE_OK;
	sql_u64(sql, owner);
	sql_i64(sql, owner == 0 ? 0 : FAR_MS);
	arity = shard_args(sql, shards);
	return sql_exec(sql, sql_pick(sql, text), arity, NULL, err);
}

static enum store_status
follow_plan(struct sql *sql, struct leasing *l, struct err *err)
{
	struct lease_plan plan = plan_of(l);
	uint64_t mine = plan.keep | plan.drop;
	enum store_status status = STORE_OK;

	if (l->request->in_doubt)
		status = lock_leases(sql, l, true, &mine, err);
	if (status == STORE_OK)
		status = lock_leases(sql, l, false, &plan.take, err);
	if (status == STORE_OK)
		status = write_leases(sql, plan.drop, 0, err);
	if (status == STORE_OK)
		status = write_leases(sql, plan.take, l->request->owner, err);
	/* What is kept is not locked: who takes it meanwhile, after a word for
	 * us, is seen by the next claim, which locks it. */
	l->reply->shards = plan.keep | plan.take;
	l->reply->dropped = plan.drop;
	return status;
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
	"SELECT 1 FROM event WHERE status = 0 AND due_ms >= ?"                 \
	" AND due_ms < ? AND "

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
	sql_i64(sql, STORE_PARKED_MS);
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
	uint64_t shards = reply->shards;
	enum store_status status = STORE_OK;

	if (l->request->in_doubt)
		status = find_strays(sql, l, err);
	if (status == STORE_OK && shards != 0)
		status = lost_find(sql, shards, &l->any_lost, err);
	if (status == STORE_OK && shards != 0 && l->any_lost)
		status = lost_put_back(
		    sql, l->request, shards, &l->room, reply, err);
	if (reply->buried)
		shards = UINT64_MAX;
	return status == STORE_OK && shards != 0
		   ? find_quarantined(sql, l, shards, err)
		   : status;
}

/* ---- the call ---- */

static enum store_status
lease_body(struct sql *sql, void *arg, struct err *err)
{
	struct leasing *l = arg;
	enum store_status status;

	start_over(l);
	l->room = lost_room_of(sql, l->lost_max);
	status = show_life(sql, l, err);
	if (status == STORE_OK)
		status = look_around(sql, l, err);
	if (status == STORE_OK)
		status = end_others(sql, l, err);
	if (status == STORE_OK)
		status = follow_plan(sql, l, err);
	return status == STORE_OK ? look_after_rows(sql, l, err) : status;
}

static bool
is_registered(const struct leasing *l)
{
	for (size_t i = 0; i < l->reply->n_instances; i++)
		if (l->request->instances[i].sign.owner == l->request->owner)
			return true;
	return false;
}

/* Whether there is no more to do than to renew. */
static bool
is_settled(struct leasing *l)
{
	struct lease_plan plan = plan_of(l);

	if (!is_registered(l))
		return false;

	for (size_t i = 0; i < l->reply->n_instances; i++)
		if (way_to_end(l->request, &l->request->instances[i].sign) !=
		    END_NONE)
			return false;
	l->reply->shards = plan.keep;
	return !l->any_lost && plan.drop == 0 && plan.take == 0;
}

static enum store_status
renew(struct sql *sql, struct leasing *l, struct err *err)
{
	uint64_t affected = 0;
	enum store_status status = renew_self(sql, l->request, &affected, err);

	if (status == STORE_OK) {
		l->reply->renewed = affected > 0;
		l->reply->lapsed = l->reply->lapsed || affected == 0;
	}
	return status;
}

/*
 * With a server two statements do while nobody comes or goes, and the first is
 * committed before anything can make the rest wait: a call that fails has
 * renewed. A look does without it: each renewal is a transaction, on all nodes
 * of a cluster.
 */
static enum store_status
renew_body(struct sql *sql, void *arg, struct err *err)
{
	struct leasing *l = arg;
	const struct lease_request *request = l->request;
	enum store_status status = STORE_OK;

	start_over(l);
	if (!request->look)
		status = renew(sql, l, err);
	if (status != STORE_OK || l->reply->lapsed || request->leaving ||
	    request->in_doubt)
		return status;
	status = look_around(sql, l, err);
	l->settled = status == STORE_OK && is_settled(l);
	return status;
}

enum store_status
lease_shards(struct sql *sql, const struct lease_request *request,
    struct lease_reply *reply, struct err *err)
{
	struct leasing l = {
	    .request = request, .reply = reply, .lost_max = STORE_LOST_MAX};
	enum store_status status = STORE_OK;

	*reply = (struct lease_reply){.renewed = false};
	if (sql->driver->remote && !store_lease_ends(request))
		status = sql_repeat(sql, renew_body, &l, err);
	if (status != STORE_OK || l.settled)
		return status;
	status = sql_transact(sql, lease_body, &l, err);
	/* Whatever rows do not go into a transaction, we keep our leases. */
	while (sql->too_large && l.lost_max > 0) {
		l.lost_max /= 2;
		status = sql_transact(sql, lease_body, &l, err);
	}
	if (status == STORE_OK)
		reply->renewed = true;
	reply->rest = reply->rest && l.lost_max > 0;
	return status;
}
