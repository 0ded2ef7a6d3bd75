/* SPDX-License-Identifier: ISC */
#include "store/upcoming.h"

#include "store/columns.h"
#include "store/pause.h"
#include "store/record.h"
#include "store/shard_text.h"

/*
 * The first row that waits, the first that is under way (of each shard, as
 * MySQL finds them without a look at the others), and one of each pause that
 * has parked some. In one statement: a row that goes from one to the other
 * meanwhile is seen in either.
 */
#define FIRST_OF_SHARDS(STATUS)                                                \
	"SELECT MIN(due_ms) FROM event FORCE INDEX (due) WHERE status "        \
	"= " STATUS " GROUP BY shard UNION ALL "
#define FIRST_OF_ALL(STATUS)                                                   \
	"SELECT * FROM (SELECT due_ms FROM event WHERE status = " STATUS       \
	" ORDER BY due_ms LIMIT 1) UNION ALL "
#define PARKED "status = 0 AND due_ms >= 562949953421312"

/* clang-format off */
static const struct sql_text upcoming_rows[] = {
    [SQL_MYSQL] = {.head = FIRST_OF_SHARDS("0") FIRST_OF_SHARDS("1")
	    "SELECT MIN(due_ms) FROM event FORCE INDEX (due) WHERE " PARKED
	    " AND shard IN (", .item = "?", .sep = ", ",
	.tail = ") GROUP BY due_ms DIV 562949953421312", .columns = "i"},
    [SQL_SQLITE] = {.head = FIRST_OF_ALL("0") FIRST_OF_ALL("1")
	    "SELECT MIN(due_ms) FROM event WHERE " PARKED
	    " GROUP BY due_ms / 562949953421312", .columns = "i"},
};
/* clang-format on */

/* One that lasts holds what it has parked. */
static bool
is_held(const struct store_pauses *pauses, int64_t due_ms)
{
	for (size_t i = 0; i < pauses->n; i++)
		if (pauses->list[i].number == due_ms / STORE_PARKED_MS)
			return true;
	return false;
}

/* What is delivered alone is passed over. */
static enum store_status
read_upcoming(struct sql *sql, struct store_upcoming *u, struct err *err)
{
	int64_t due_ms = sql_read_i64(sql);

	/* Whatever is there: a claim puts it off. */
	if (sql_row_check(sql, err) == STORE_UNAVAILABLE)
		return STORE_UNAVAILABLE;
	if (due_ms < 0)
		due_ms = 0;
	if (due_ms > STORE_DUE_MAX_MS)
		return STORE_OK;
	if (due_ms >= STORE_PARKED_MS && is_held(u->pauses, due_ms))
		return STORE_OK;
	due_ms %= STORE_PARKED_MS;
	if (due_ms < STORE_QUARANTINE_MS && due_ms < u->at_ms)
		u->at_ms = due_ms;
	return STORE_OK;
}

enum store_status
find_upcoming(struct sql *sql, struct store_upcoming *u, struct err *err)
{
	enum store_status status;
	unsigned arity = 0;
	bool over;

	u->at_ms = INT64_MAX;
	status = pause_read(sql, u->now_ms, false, u->pauses, &over, err);
	if (status != STORE_OK)
		return status;
	for (size_t i = 0; i < u->pauses->n; i++)
		if (u->pauses->list[i].until_ms != 0 &&
		    u->pauses->list[i].until_ms < u->at_ms)
			u->at_ms = u->pauses->list[i].until_ms;
	if (sql->driver->kind == SQL_MYSQL)
		arity = shard_args(sql, UINT64_MAX);
	status = sql_select(sql, sql_pick(sql, upcoming_rows), arity, err);
	while (sql_next(sql, &status, err))
		status = read_upcoming(sql, u, err);
	return sql_done(sql, status, err);
}
