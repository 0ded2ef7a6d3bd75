/* SPDX-License-Identifier: ISC */
#include "store/purge.h"

#include "store/look.h"
#include "store/shard_text.h"

struct purge {
	uint64_t shards;
	int64_t before_ms;
	size_t limit;
	size_t n;
};

static enum store_status
delete_rows(struct sql *sql, const int64_t *ids, size_t n, struct err *err)
{
	static const struct sql_text text[] = {
	    {
		.head = "DELETE FROM attempt WHERE event IN (",
		.item = "?",
		.sep = ", ",
		.tail = ")",
	    },
	    {
		.head = "DELETE FROM event WHERE id IN (",
		.item = "?",
		.sep = ", ",
		.tail = ")",
	    },
	};
	enum store_status status;

	status = sql_exec(sql, &text[0], id_args(sql, ids, n), NULL, err);
	if (status != STORE_OK)
		return status;
	return sql_exec(sql, &text[1], id_args(sql, ids, n), NULL, err);
}

/* A finished row changes no more: what was read may be deleted. */
static enum store_status
purge_body(struct sql *sql, void *arg, struct err *err)
{
	struct purge *purge = arg;
	size_t max = sql->driver->ids_max, len;
	int64_t ids[SQL_IDS_MAX];
	enum store_status status;

	status = look_ended(sql, purge->shards, purge->before_ms, ids,
	    purge->limit, &purge->n, err);
	for (size_t at = 0; status == STORE_OK && at < purge->n; at += len) {
		len = purge->n - at < max ? purge->n - at : max;
		status = delete_rows(sql, ids + at, len, err);
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
