/* SPDX-License-Identifier: ISC */
#include "store/parked.h"

#include <stdlib.h>

#include "store/add.h"
#include "store/columns.h"
#include "store/label.h"
#include "store/shard_text.h"

/* ---- parked ---- */

static int
compare_parked(const void *a, const void *b)
{
	const struct parked_row *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (x->row_id > y->row_id) - (x->row_id < y->row_id);
}

enum store_status
parked_write(
    struct sql *sql, struct parked_row *rows, size_t n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event" BY_KEY " SET due_ms = due_ms + ?"
		    " WHERE status = 0 AND due_ms < ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	enum store_status status = STORE_OK;
	int64_t labelled[SQL_IDS_MAX];
	size_t len, n_labelled = 0;

	if (n > 1)
		qsort(rows, n, sizeof(rows[0]), compare_parked);
	for (size_t at = 0; status == STORE_OK && at < n; at += len) {
		sql_i64(sql, rows[at].number * STORE_PARKED_MS);
		sql_i64(sql, STORE_PARKED_MS);
		for (len = 0;
		     at + len < n && rows[at + len].number == rows[at].number;
		     len++)
			sql_i64(sql, rows[at + len].row_id);
		status = sql_exec(sql, &text, sql_pad(sql, len), NULL, err);
	}
	for (size_t i = 0; i < n && n_labelled < SQL_IDS_MAX; i++)
		if (rows[i].labelled)
			labelled[n_labelled++] = rows[i].row_id;
	return status == STORE_OK ? label_follow(sql, labelled, n_labelled, err)
				  : status;
}

/* ---- and put back ---- */

/* Numbers between those of two pauses. */
struct gap {
	int64_t from_ms, before_ms;
};

#define FIRST_PARKED " WHERE status = 0 AND due_ms >= ? AND due_ms < ?"
#define IN_ORDER     " ORDER BY due_ms, id LIMIT ?"

static const struct sql_text first_parked[] = {
    [SQL_MYSQL] = {.head = "",
	.item = "(SELECT id, " EVENT_BYTES
		" FROM event FORCE INDEX (due)" FIRST_PARKED
		" AND shard = ?" IN_ORDER ")",
	.sep = " UNION ALL ",
	.columns = "ii"},
    [SQL_SQLITE] = {.head = "SELECT id, 0 FROM event" FIRST_PARKED
			    " AND (? >> shard) & 1" IN_ORDER,
	.columns = "ii"},
};

static unsigned
first_parked_args(
    struct sql *sql, uint64_t shards, const struct gap *gap, size_t max)
{
	unsigned n_shards = (unsigned)__builtin_popcountll(shards);

	if (sql->driver->kind == SQL_SQLITE) {
		sql_i64(sql, gap->from_ms);
		sql_i64(sql, gap->before_ms);
		sql_u64(sql, shards);
		sql_i64(sql, (int64_t)max);
		return 0;
	}
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		if ((shards >> shard & 1) == 0)
			continue;
		sql_i64(sql, gap->from_ms);
		sql_i64(sql, gap->before_ms);
		sql_i64(sql, shard);
		sql_i64(sql, (int64_t)(max / n_shards + 1));
	}
	return n_shards;
}

/* Which of them go into one transaction. */
struct parked_found {
	int64_t ids[SQL_IDS_MAX];
	size_t n, max;
	size_t bytes, bytes_max;
};

static bool
is_enough(const struct parked_found *found)
{
	return found->n == found->max ||
	       (found->n > 0 && found->bytes >= found->bytes_max);
}

static enum store_status
find_parked(struct sql *sql, uint64_t shards, const struct gap *gap,
    struct parked_found *found, struct err *err)
{
	size_t max = found->max - found->n;
	unsigned arity = first_parked_args(sql, shards, gap, max);
	enum store_status status =
	    sql_select(sql, sql_pick(sql, first_parked), arity, err);

	while (!is_enough(found) && sql_next(sql, &status, err)) {
		int64_t bytes;

		found->ids[found->n++] = sql_read_i64(sql);
		bytes = sql_read_i64(sql);
		found->bytes += bytes > 0 ? (size_t)bytes : 0;
	}
	return sql_done(sql, status, err);
}

/* The ranges of numbers that no pause has. */
static enum store_status
find_in_gaps(struct sql *sql, const struct pauses_request *request,
    const struct store_pauses *pauses, struct parked_found *found,
    struct err *err)
{
	struct gap gap = {.from_ms = STORE_PARKED_MS};
	enum store_status status = STORE_OK;

	for (size_t i = 0;
	     status == STORE_OK && i <= pauses->n && !is_enough(found); i++) {
		gap.before_ms = i < pauses->n
				    ? pauses->list[i].number * STORE_PARKED_MS
				    : STORE_DUE_MAX_MS;
		if (gap.from_ms < gap.before_ms)
			status =
			    find_parked(sql, request->shards, &gap, found, err);
		gap.from_ms = gap.before_ms + STORE_PARKED_MS;
	}
	return status;
}

static enum store_status
put_back_found(struct sql *sql, void *arg, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event" BY_KEY " SET due_ms = due_ms % ?"
		    " WHERE status = 0 AND due_ms >= ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	const struct parked_found *found = arg;
	enum store_status status;

	sql_i64(sql, STORE_PARKED_MS);
	sql_i64(sql, STORE_PARKED_MS);
	status =
	    sql_exec(sql, &text, id_args(sql, found->ids, found->n), NULL, err);
	return status == STORE_OK ? label_follow(sql, found->ids, found->n, err)
				  : status;
}

/* A row goes into the transaction as it was and as it is, and the last one may
 * be of any size that was accepted. */
enum store_status
parked_put_back(struct sql *sql, const struct pauses_request *request,
    struct pauses_reply *reply, struct err *err)
{
	struct parked_found found = {.max = sql->driver->ids_max,
	    .bytes_max = sql->transaction_max / 2 / ADD_TRANSACTION_PART};
	enum store_status status;

	if (request->shards == 0)
		return STORE_OK;
	if (found.max > request->max)
		found.max = request->max;
	status = find_in_gaps(sql, request, reply->pauses, &found, err);
	while (status == STORE_OK && found.n > 0) {
		status = sql_transact(sql, put_back_found, &found, err);
		if (status == STORE_OK)
			break;
		if (!sql->too_large || found.n == 1)
			return status;
		found.n /= 2;
		status = STORE_OK;
	}
	reply->n_put_back = found.n;
	reply->rest = found.n > 0;
	return status;
}
