/* SPDX-License-Identifier: ISC */
#include "store/purge.h"

#include <string.h>

#include "store/found.h"
#include "store/look.h"
#include "store/shard_text.h"

struct purge {
	uint64_t shards;
	int64_t before_ms;
	size_t limit;
	size_t n;
};

/*
 * Of the ids those that it may delete: one that ended may have been begun again
 * since it was read. Locked: it cannot be from now on.
 */
static enum store_status
lock_ended(struct sql *sql, int64_t before_ms, int64_t *ids, size_t *n,
    struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT id FROM event" BY_KEY
		    " WHERE status >= 2 AND due_ms < ?"
		    " AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") FOR UPDATE",
	    .columns = "i",
	};
	int64_t asked[SQL_IDS_MAX];
	size_t n_asked = *n;
	enum store_status status;
	unsigned arity;

	memcpy(asked, ids, n_asked * sizeof(asked[0]));
	*n = 0;
	sql_i64(sql, before_ms);
	arity = id_args(sql, asked, n_asked);
	status = sql_select(sql, &text, arity, err);
	while (sql_next(sql, &status, err)) {
		if (*n == n_asked)
			return sql_nonsense(sql, "more rows than ids", err);
		ids[(*n)++] = sql_read_i64(sql);
	}
	return sql_done(sql, status, err);
}

static enum store_status
purge_body(struct sql *sql, void *arg, struct err *err)
{
	struct purge *purge = arg;
	size_t max = sql->driver->ids_max, n, len;
	int64_t ids[SQL_IDS_MAX];
	enum store_status status;

	purge->n = 0;
	status = look_ended(
	    sql, purge->shards, purge->before_ms, ids, purge->limit, &n, err);
	for (size_t at = 0; status == STORE_OK && at < n; at += max) {
		len = n - at < max ? n - at : max;
		if (sql->driver->remote)
			status = lock_ended(
			    sql, purge->before_ms, ids + at, &len, err);
		if (status == STORE_OK && len > 0)
			status = found_delete_all(sql, ids + at, len, err);
		purge->n += len;
	}
	return status;
}

/* Steps of a size that locks few rows at a time. */
enum store_status
purge_ended(struct sql *sql, uint64_t shards, int64_t before_ms, size_t limit,
    size_t *n, struct err *err)
{
	struct purge step = {.shards = shards, .before_ms = before_ms};
	size_t most = SQL_IDS_MAX;
	enum store_status status = STORE_OK;
	bool fewer;

	*n = 0;
	if (shards == 0)
		return STORE_OK;
	do {
		step.limit = limit - *n < most ? limit - *n : most;
		status = sql_transact(sql, purge_body, &step, err);
		if (status == STORE_OK)
			*n += step.n;
		fewer = sql->too_large && step.limit > 1;
		if (fewer)
			most = step.limit / 2;
	} while (fewer || (status == STORE_OK && step.n > 0 && *n < limit));
	return status;
}
