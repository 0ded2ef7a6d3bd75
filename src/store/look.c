/* SPDX-License-Identifier: ISC */
#include "store/look.h"

#include <stdlib.h>

#include "store/columns.h"
#include "store/shard_text.h"

/* The first rows of a status in each shard, from the index alone. */
#define FIRST_ROWS                                                             \
	"(SELECT due_ms, id, shard FROM event WHERE shard = ? AND status = ?"  \
	" AND due_ms < ? ORDER BY due_ms, id LIMIT ?)"

static void
free_rows(struct look *look)
{
	free(look->rows);
	*look = (struct look){0};
}

void
look_free(struct look *look)
{
	free_rows(look);
}

void
look_keep(struct look *look, uint64_t shards)
{
	size_t n = 0;

	for (size_t i = 0; i < look->n; i++)
		if ((shards >> look->rows[i].shard & 1) != 0)
			look->rows[n++] = look->rows[i];
	look->n = n;
}

static enum store_status
make_rows(struct look *look, size_t max, struct err *err)
{
	free_rows(look);
	look->rows = calloc(max, sizeof(*look->rows));
	return look->rows == NULL ? sql_no_memory(err) : STORE_OK;
}

/* Whatever is there: who claims the row says what is wrong with it. */
static int64_t
read_due_ms(struct sql *sql)
{
	int64_t due_ms = sql_read_i64(sql);

	if (due_ms < 0)
		return 0;
	return due_ms < STORE_DUE_MAX_MS ? due_ms : STORE_DUE_MAX_MS;
}

static enum store_status
read_due(struct sql *sql, struct due_row *row, struct err *err)
{
	int64_t due_ms = read_due_ms(sql);
	int64_t row_id = sql_read_i64(sql);

	return store_due_row(row, due_ms, row_id, sql_read_i64(sql), err);
}

/* ---- MySQL ---- */

static unsigned
first_rows_args(struct sql *sql, uint64_t shards, enum row_status row_status,
    int64_t before_ms, size_t limit)
{
	unsigned arity = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		if ((shards >> shard & 1) == 0)
			continue;
		sql_i64(sql, shard);
		sql_i64(sql, row_status);
		sql_i64(sql, before_ms);
		sql_i64(sql, (int64_t)limit);
		arity++;
	}
	return arity;
}

/*
 * What is due in all the shards, a range of the index for each, in one SELECT:
 * where little is, that takes a third of the time of one per shard. A lease is
 * a row without an id, with what waits in its shard behind what is due: its
 * first row or, where that is due, its second, which is looked for only then.
 */
#define WAITING_OF_LEASE                                                       \
	" FROM event FORCE INDEX (due) WHERE event.shard = lease.shard"        \
	" AND event.status = 0 ORDER BY event.due_ms LIMIT "
static const struct sql_text due_rows = {
    .head = "(SELECT COALESCE((SELECT IF(event.due_ms > ?, event.due_ms,"
	    " (SELECT event.due_ms" WAITING_OF_LEASE "1, 1))" WAITING_OF_LEASE
	    "1), 562949953421312), 0, shard"
	    " FROM lease WHERE owner = ? AND until_ms > " NOW_MYSQL ")"
	    " UNION ALL (SELECT due_ms, id, shard FROM event FORCE INDEX (due)"
	    " WHERE status = 0 AND due_ms <= ? AND shard IN (",
    .item = "?",
    .sep = ", ",
    .tail = ") LIMIT ?)",
    .columns = "iii",
};

static int64_t
last_due_ms(const struct claim_request *request)
{
	return request->horizon_ms < STORE_QUARANTINE_MS
		   ? request->horizon_ms
		   : STORE_QUARANTINE_MS - 1;
}

/* Reads a row of it; behind_ms[shard] is what it tells of a shard of ours. */
static enum store_status
read_due_row(struct sql *sql, struct look *look, size_t max,
    int64_t behind_ms[EVENT_SHARDS], struct claim_reply *reply, struct err *err)
{
	int64_t due_ms = read_due_ms(sql);
	int64_t row_id = sql_read_i64(sql);
	struct due_row row;
	enum store_status status =
	    store_due_row(&row, due_ms, row_id, sql_read_i64(sql), err);

	if (status != STORE_OK)
		return status;
	if (row_id == 0) {
		reply->owned |= UINT64_C(1) << row.shard;
		behind_ms[row.shard] =
		    due_ms < STORE_QUARANTINE_MS ? due_ms : INT64_MAX;
	} else if (look->n < max) {
		look->rows[look->n++] = row;
	}
	return STORE_OK;
}

/* Where two or more are due in a shard nobody looked at what comes behind them:
 * that is due behind the horizon at the earliest. */
static int64_t
next_due_ms(const int64_t behind_ms[EVENT_SHARDS], uint64_t shards,
    const struct claim_request *request)
{
	int64_t next_ms = INT64_MAX, shard_ms;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		if ((shards >> shard & 1) == 0)
			continue;
		shard_ms = behind_ms[shard] > last_due_ms(request)
			       ? behind_ms[shard]
			       : last_due_ms(request) + 1;
		if (shard_ms < next_ms)
			next_ms = shard_ms;
	}
	return next_ms;
}

/* *all: no more is due than was asked for, and there it is. */
static enum store_status
look_at_due(struct sql *sql, uint64_t shards,
    const struct claim_request *request, struct claim_reply *reply,
    struct look *look, bool *all, struct err *err)
{
	size_t max = request->claim_max + 1;
	int64_t behind_ms[EVENT_SHARDS] = {0};
	enum store_status status = make_rows(look, max, err);
	unsigned arity;

	reply->owned = 0;
	if (status != STORE_OK)
		return status;
	sql_i64(sql, last_due_ms(request));
	sql_u64(sql, request->owner);
	sql_i64(sql, last_due_ms(request));
	arity = shard_args(sql, shards);
	sql_i64(sql, (int64_t)max);
	status = sql_select(sql, &due_rows, arity, err);
	while (sql_next(sql, &status, err))
		status = read_due_row(sql, look, max, behind_ms, reply, err);
	*all = look->n < max;
	reply->owned &= shards;
	look_keep(look, reply->owned);
	look->n = store_pick(look->rows, look->n, max, request, reply);
	reply->next_due_ms = next_due_ms(behind_ms, reply->owned, request);
	return status;
}

/* A lease is a row without an id. */
static const struct sql_text first_rows = {
    .head = "(SELECT 0, 0, shard FROM lease WHERE owner = ?) UNION ALL ",
    .item = FIRST_ROWS,
    .sep = " UNION ALL ",
    .columns = "iii",
};

static enum store_status
look_by_shard(struct sql *sql, uint64_t shards,
    const struct claim_request *request, struct claim_reply *reply,
    struct look *look, struct err *err)
{
	unsigned n_shards = (unsigned)__builtin_popcountll(shards), arity;
	enum store_status status;
	size_t limit, max;

	reply->owned = 0;
	limit = store_pick_limit(request->claim_max, n_shards);
	max = n_shards * limit;
	status = make_rows(look, max, err);
	if (status != STORE_OK)
		return status;
	sql_u64(sql, request->owner);
	arity = first_rows_args(
	    sql, shards, ROW_WAITING, STORE_QUARANTINE_MS, limit);
	status = sql_select(sql, &first_rows, arity, err);
	while (sql_next(sql, &status, err)) {
		struct due_row row;

		status = read_due(sql, &row, err);
		if (status == STORE_OK && row.row_id == 0)
			reply->owned |= UINT64_C(1) << row.shard;
		else if (status == STORE_OK && look->n < max)
			look->rows[look->n++] = row;
	}
	reply->owned &= shards;
	look_keep(look, reply->owned);
	look->n = store_pick(look->rows, look->n, limit, request, reply);
	return status;
}

static enum store_status
look_at_server(struct sql *sql, uint64_t shards,
    const struct claim_request *request, struct claim_reply *reply,
    struct look *look, struct err *err)
{
	enum store_status status = STORE_OK;
	bool all = false;

	reply->owned = 0;
	if (shards == 0)
		return STORE_OK;
	if (!request->backlog)
		status =
		    look_at_due(sql, shards, request, reply, look, &all, err);
	return status != STORE_OK || all
		   ? status
		   : look_by_shard(sql, shards, request, reply, look, err);
}

/* One row at most of each shard. */
static enum store_status
look_alone(struct sql *sql, const struct claim_request *request,
    struct claim_reply *reply, struct look *look, struct err *err)
{
	static const struct sql_text text = {
	    .head = "",
	    .item = "(SELECT due_ms, id, shard FROM event WHERE shard = ?"
		    " AND status = 0 AND due_ms >= ? AND due_ms < ?"
		    " ORDER BY due_ms, id LIMIT 1)",
	    .sep = " UNION ALL ",
	    .columns = "iii",
	};
	enum store_status status = make_rows(look, EVENT_SHARDS, err);

	if (status != STORE_OK)
		return status;
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		sql_i64(sql, shard);
		sql_i64(sql, STORE_QUARANTINE_MS);
		sql_i64(sql, STORE_PARKED_MS);
	}
	status = sql_select(sql, &text, EVENT_SHARDS, err);
	while (look->n < EVENT_SHARDS && sql_next(sql, &status, err)) {
		status = read_due(sql, &look->rows[look->n], err);
		if (status == STORE_OK)
			look->n++;
	}
	status = sql_done(sql, status, err);
	look->n = store_pick(look->rows, look->n, 1, request, reply);
	return status;
}

enum store_status
look_before(struct sql *sql, const struct claim_request *request,
    struct claim_reply *reply, struct look *look, struct err *err)
{
	return look_at_server(sql, request->shards, request, reply, look, err);
}

/* ---- SQLite ---- */

/* Of whatever type they are. */
static const struct sql_text by_due = {
    .head = "SELECT CAST(due_ms AS INTEGER), id, CAST(shard AS INTEGER) & 63"
	    " FROM event WHERE status = 0 AND due_ms >= ? AND due_ms < ? AND "
	    "(? >> shard) & 1"
	    " ORDER BY due_ms, id LIMIT ?",
    .columns = "iii",
};

/* Up to the limit; of those beyond the horizon only the first. */
static enum store_status
look_by_due(struct sql *sql, const struct claim_request *request,
    struct claim_reply *reply, struct look *look, struct err *err)
{
	/* One more tells whether there are more; no shard is cut before it. */
	size_t limit = request->claim_max + 1;
	enum store_status status;
	bool beyond = false;

	if (reply->owned == 0 && !request->alone)
		return STORE_OK;
	status = make_rows(look, limit, err);
	if (status != STORE_OK)
		return status;
	sql_i64(sql, request->alone ? STORE_QUARANTINE_MS : INT64_MIN);
	sql_i64(sql, request->alone ? STORE_PARKED_MS : STORE_QUARANTINE_MS);
	sql_u64(sql, request->alone ? UINT64_MAX : reply->owned);
	sql_i64(sql, (int64_t)limit);
	status = sql_select(sql, &by_due, 0, err);
	while (!beyond && sql_next(sql, &status, err)) {
		struct due_row *row = &look->rows[look->n++];

		status = read_due(sql, row, err);
		beyond = row->due_ms > request->horizon_ms;
	}
	status = sql_done(sql, status, err);
	look->n = store_pick(look->rows, look->n, limit + 1, request, reply);
	return status;
}

/* ---- both ---- */

enum store_status
look_within(struct sql *sql, const struct claim_request *request,
    struct claim_reply *reply, struct look *look, struct err *err)
{
	if (sql->driver->kind == SQL_SQLITE)
		return look_by_due(sql, request, reply, look, err);
	if (request->alone)
		return look_alone(sql, request, reply, look, err);
	return look_at_server(sql, reply->owned, request, reply, look, err);
}

static enum store_status
read_ended(struct sql *sql, const struct sql_text *text, unsigned arity,
    int64_t *ids, size_t max, size_t *n, struct err *err)
{
	enum store_status status = sql_select(sql, text, arity, err);

	while (*n < max && sql_next(sql, &status, err)) {
		(void)sql_read_i64(sql);
		ids[(*n)++] = sql_read_i64(sql);
	}
	return sql_done(sql, status, err);
}

enum store_status
look_ended(struct sql *sql, uint64_t shards, int64_t before_ms, int64_t *ids,
    size_t max, size_t *n, struct err *err)
{
	static const struct sql_text by_shard = {
	    .head = "",
	    .item = FIRST_ROWS,
	    .sep = " UNION ALL ",
	    .columns = "iii",
	};
	/* The second status is that of the row, whatever the index says: what
	 * is found here is deleted. */
	static const struct sql_text ended = {
	    .head = "SELECT 0, id, 0 FROM event WHERE status >= 2"
		    " AND due_ms < ? AND (? >> shard) & 1 AND +status >= 2"
		    " ORDER BY due_ms, id LIMIT ?",
	    .columns = "iii",
	};
	enum store_status status = STORE_OK;

	*n = 0;
	if (sql->driver->kind == SQL_SQLITE) {
		sql_i64(sql, before_ms);
		sql_u64(sql, shards);
		sql_i64(sql, (int64_t)max);
		return read_ended(sql, &ended, 0, ids, max, n, err);
	}
	for (int s = ROW_COMPLETED;
	     s <= ROW_FAILED && *n < max && status == STORE_OK; s++)
		status = read_ended(sql, &by_shard,
		    first_rows_args(
			sql, shards, (enum row_status)s, before_ms, max - *n),
		    ids, max, n, err);
	return status;
}
