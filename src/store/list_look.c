/* SPDX-License-Identifier: ISC */
#include "store/list_look.h"

#include <stdlib.h>

#include "base/check.h"
#include "store/columns.h"
#include "store/record.h"

int
list_compare(
    const struct list_place *a, const struct list_place *b, bool descending)
{
	int order = (a->due_ms > b->due_ms) - (a->due_ms < b->due_ms);

	if (order == 0)
		order = (a->row_id > b->row_id) - (a->row_id < b->row_id);
	return descending ? -order : order;
}

static struct list_place
place_of_row(const struct list_row *row)
{
	return (struct list_place){row->due_ms, row->row_id};
}

static int
compare_rows(const void *a, const void *b)
{
	struct list_place x = place_of_row(a), y = place_of_row(b);

	return list_compare(&x, &y, false);
}

static int
compare_rows_down(const void *a, const void *b)
{
	return compare_rows(b, a);
}

void
list_merge(struct list_look *look, size_t limit, bool descending)
{
	size_t n_of[LIST_RANGES_MAX] = {0}, n = 0;

	look->n_read = look->n;
	look->end = true;
	qsort(look->rows, look->n, sizeof(look->rows[0]),
	    descending ? compare_rows_down : compare_rows);
	/* Behind the last row of a range that was cut there may be others of
	 * it, before all that follows here. */
	while (n < look->n && look->end)
		if (++n_of[look->rows[n++].range] == limit)
			look->end = false;
	look->n = n;
}

struct list_ranges
list_ranges_of(unsigned statuses)
{
	struct list_ranges ranges;

	for (unsigned s = ROW_WAITING; s <= ROW_FAILED; s++)
		ranges.shards[s] = (statuses >> s & 1) != 0 ? UINT64_MAX : 0;
	return ranges;
}

size_t
list_ranges_count(const struct list_ranges *ranges)
{
	int n = 0;

	for (unsigned s = ROW_WAITING; s <= ROW_FAILED; s++)
		n += __builtin_popcountll(ranges->shards[s]);
	return (size_t)n;
}

static enum store_status
read_rows(struct sql *sql, const struct sql_text *text, unsigned arity,
    unsigned range, struct list_look *look, struct err *err)
{
	enum store_status status = sql_select(sql, text, arity, err);

	while (look->n < LIST_ROWS_MAX && sql_next(sql, &status, err)) {
		struct list_row *row = &look->rows[look->n++];

		row->due_ms = sql_read_i64(sql);
		row->row_id = sql_read_i64(sql);
		row->range = range;
		if (text->columns[2] != '\0')
			row->range =
			    (unsigned)sql_read_u64(sql) % LIST_RANGES_MAX;
	}
	return sql_done(sql, status, err);
}

/* ---- MySQL ---- */

/* Rows of one due time may be any number: a range for them, one for the rest.
 */
#define RANGE_MYSQL(BEHIND, WITHIN, ORDER)                                     \
	{                                                                      \
		.head = "",                                                    \
		.item = "(SELECT due_ms, id, shard * 4 + status FROM event"    \
			" FORCE INDEX (due) WHERE shard = ? AND status = ?"    \
			" AND (due_ms = ? AND id " BEHIND " ?"                 \
			" OR due_ms " BEHIND " ? AND due_ms " WITHIN " ?)"     \
			" ORDER BY due_ms " ORDER ", id " ORDER " LIMIT ?)",   \
		.sep = " UNION ALL ", .columns = "iiu"                         \
	}

static enum store_status
look_at_shards(struct sql *sql, const struct list_span *span, size_t limit,
    struct list_look *look, struct err *err)
{
	static const struct sql_text up = RANGE_MYSQL(">", "<", "");
	static const struct sql_text down = RANGE_MYSQL("<", ">=", "DESC");
	unsigned arity = 0;

	for (unsigned s = ROW_WAITING; s <= ROW_FAILED; s++)
		for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
			if ((span->ranges.shards[s] >> shard & 1) == 0)
				continue;
			sql_i64(sql, shard);
			sql_i64(sql, s);
			sql_i64(sql, span->after.due_ms);
			sql_i64(sql, span->after.row_id);
			sql_i64(sql, span->after.due_ms);
			sql_i64(sql,
			    span->descending ? span->from_ms : span->before_ms);
			sql_i64(sql, (int64_t)limit);
			arity++;
		}
	return read_rows(
	    sql, span->descending ? &down : &up, arity, 0, look, err);
}

/* ---- SQLite ---- */

/* A value of another type than the column's is no reason to stop here. A
 * statement that could not use its index would fail. */
#define ROWS_SQLITE(STATUS, INDEX, RANGE, ORDER)                               \
	{                                                                      \
		.head = "SELECT CAST(due_ms AS INTEGER), id FROM event"        \
			" INDEXED BY " INDEX " WHERE " STATUS " AND " RANGE    \
			" ORDER BY due_ms " ORDER ", id " ORDER " LIMIT ?",    \
		.columns = "ii"                                                \
	}
/* The rest of the rows of one due time, then those behind; up and down. */
#define RANGES_SQLITE(STATUS, INDEX)                                           \
	{                                                                      \
		{                                                              \
		    ROWS_SQLITE(STATUS, INDEX, "due_ms = ? AND id > ?", ""),   \
		    ROWS_SQLITE(                                               \
			STATUS, INDEX, "due_ms > ? AND due_ms < ?", ""),       \
		},                                                             \
		{                                                              \
			ROWS_SQLITE(                                           \
			    STATUS, INDEX, "due_ms = ? AND id < ?", "DESC"),   \
			    ROWS_SQLITE(STATUS, INDEX,                         \
				"due_ms < ? AND due_ms >= ?", "DESC"),         \
		}                                                              \
	}

/* What is being processed is in no order; there are few of them. */
static const struct {
	unsigned statuses;
	struct sql_text texts[2][2];
} indices[] = {
    {1U << ROW_WAITING, RANGES_SQLITE("status = 0", "event_waiting")},
    {1U << ROW_PROCESSING, RANGES_SQLITE("status = 1", "event_processing")},
    {1U << ROW_COMPLETED | 1U << ROW_FAILED,
	RANGES_SQLITE("status >= 2", "event_finished")},
};

static enum store_status
look_into(struct sql *sql, const struct sql_text texts[2], unsigned range,
    const struct list_span *span, size_t limit, struct list_look *look,
    struct err *err)
{
	size_t first = look->n;
	enum store_status status;

	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->after.row_id);
	sql_i64(sql, (int64_t)limit);
	status = read_rows(sql, &texts[0], 0, range, look, err);
	limit -= look->n - first;
	if (status != STORE_OK || limit == 0)
		return status;
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->descending ? span->from_ms : span->before_ms);
	sql_i64(sql, (int64_t)limit);
	return read_rows(sql, &texts[1], 0, range, look, err);
}

static bool
has_any(const struct list_span *span, unsigned statuses)
{
	for (unsigned s = ROW_WAITING; s <= ROW_FAILED; s++)
		if ((statuses >> s & 1) != 0 && span->ranges.shards[s] != 0)
			return true;
	return false;
}

static enum store_status
look_at_indices(struct sql *sql, const struct list_span *span, size_t limit,
    struct list_look *look, struct err *err)
{
	enum store_status status = STORE_OK;

	for (unsigned i = 0;
	     i < sizeof(indices) / sizeof(indices[0]) && status == STORE_OK;
	     i++)
		if (has_any(span, indices[i].statuses))
			status =
			    look_into(sql, indices[i].texts[span->descending],
				i, span, limit, look, err);
	return status;
}

/* ---- of a label ---- */

/* The rest of the rows of one due time, then those behind. */
#define ROWS_OF_LABEL(TABLE, RANGE, ORDER)                                     \
	{                                                                      \
		.head = "SELECT due_ms, event FROM " TABLE " WHERE k = ?"      \
			" AND " RANGE " ORDER BY due_ms " ORDER                \
			", event " ORDER " LIMIT ?",                           \
		.columns = "ii"                                                \
	}
#define RANGES_OF_LABEL(TABLE)                                                 \
	{                                                                      \
		{                                                              \
		    ROWS_OF_LABEL(TABLE, "due_ms = ? AND event > ?", ""),      \
		    ROWS_OF_LABEL(TABLE, "due_ms > ? AND due_ms < ?", ""),     \
		},                                                             \
		    {                                                          \
			ROWS_OF_LABEL(                                         \
			    TABLE, "due_ms = ? AND event < ?", "DESC"),        \
			ROWS_OF_LABEL(                                         \
			    TABLE, "due_ms < ? AND due_ms >= ?", "DESC"),      \
		    },                                                         \
	}

static const struct sql_text of_label[SQL_KINDS][2][2] = {
    [SQL_MYSQL] = RANGES_OF_LABEL("label FORCE INDEX (due)"),
    [SQL_SQLITE] = RANGES_OF_LABEL("label INDEXED BY label_due"),
};

static enum store_status
look_at_label(struct sql *sql, const struct list_span *span, size_t limit,
    struct list_look *look, struct err *err)
{
	const struct sql_text *texts =
	    of_label[sql->driver->kind][span->descending];
	enum store_status status;

	sql_bytes(sql, store_key_slice(span->label->bytes));
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->after.row_id);
	sql_i64(sql, (int64_t)limit);
	status = read_rows(sql, &texts[0], 0, 0, look, err);
	if (status != STORE_OK || look->n == limit)
		return status;
	sql_bytes(sql, store_key_slice(span->label->bytes));
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->descending ? span->from_ms : span->before_ms);
	sql_i64(sql, (int64_t)(limit - look->n));
	return read_rows(sql, &texts[1], 0, 0, look, err);
}

/* ---- all ---- */

#define ONE_OF_EACH(CONDITION, ORDER)                                          \
	{                                                                      \
		.head = "",                                                    \
		.item =                                                        \
		    "(SELECT due_ms FROM event FORCE INDEX (due)"              \
		    " WHERE shard = ? AND status = 0 AND due_ms " CONDITION    \
		    " ? ORDER BY due_ms " ORDER " LIMIT 1)",                   \
		.sep = " UNION ALL ", .columns = "i"                           \
	}
#define ONE(CONDITION, ORDER)                                                  \
	{                                                                      \
		.head = "SELECT CAST(due_ms AS INTEGER) FROM event"            \
			" INDEXED BY event_waiting WHERE status = 0"           \
			" AND due_ms " CONDITION " ? ORDER BY due_ms " ORDER   \
			" LIMIT 1",                                            \
		.columns = "i"                                                 \
	}

#define ONE_OF_LABEL(TABLE, RANGE, ORDER)                                      \
	{                                                                      \
		.head = "SELECT due_ms FROM " TABLE                            \
			" WHERE k = ? AND due_ms " RANGE                       \
			" ? ORDER BY due_ms " ORDER " LIMIT 1",                \
		.columns = "i"                                                 \
	}

static enum store_status
look_beyond_in_label(struct sql *sql, const struct event_key *label,
    int64_t from_ms, bool descending, int64_t *due_ms, struct err *err)
{
	static const struct sql_text texts[SQL_KINDS][2] = {
	    [SQL_MYSQL] = {ONE_OF_LABEL("label FORCE INDEX (due)", ">=", ""),
		ONE_OF_LABEL("label FORCE INDEX (due)", "<", "DESC")},
	    [SQL_SQLITE] = {ONE_OF_LABEL(
				"label INDEXED BY label_due", ">=", ""),
		ONE_OF_LABEL("label INDEXED BY label_due", "<", "DESC")},
	};

	sql_bytes(sql, store_key_slice(label->bytes));
	sql_i64(sql, from_ms);
	return sql_value(
	    sql, &texts[sql->driver->kind][descending], due_ms, err);
}

enum store_status
list_look_beyond(struct sql *sql, const struct event_key *label,
    int64_t from_ms, bool descending, int64_t *due_ms, struct err *err)
{
	static const struct sql_text up[] = {
	    [SQL_MYSQL] = ONE_OF_EACH(">=", ""), [SQL_SQLITE] = ONE(">=", "")};
	static const struct sql_text down[] = {
	    [SQL_MYSQL] = ONE_OF_EACH("<", "DESC"),
	    [SQL_SQLITE] = ONE("<", "DESC")};
	bool by_shard = sql->driver->kind == SQL_MYSQL;
	enum store_status status;

	*due_ms = -1;
	if (label != NULL)
		return look_beyond_in_label(
		    sql, label, from_ms, descending, due_ms, err);
	for (unsigned shard = 0; shard < (by_shard ? EVENT_SHARDS : 1);
	     shard++) {
		if (by_shard)
			sql_i64(sql, shard);
		sql_i64(sql, from_ms);
	}
	status = sql_select(sql,
	    descending ? sql_pick(sql, down) : sql_pick(sql, up),
	    by_shard ? EVENT_SHARDS : 0, err);
	while (sql_next(sql, &status, err)) {
		int64_t one_ms = sql_read_i64(sql);

		if (*due_ms == -1 || (one_ms > *due_ms) == descending)
			*due_ms = one_ms;
	}
	return sql_done(sql, status, err);
}

static void
drop_empty(struct list_span *span, const struct list_look *look)
{
	struct list_ranges seen = {0};

	for (size_t i = 0; i < look->n; i++) {
		unsigned range = look->rows[i].range;

		seen.shards[range % 4] |= UINT64_C(1) << range / 4;
	}
	for (unsigned s = ROW_WAITING; s <= ROW_FAILED; s++)
		span->ranges.shards[s] &= seen.shards[s];
}

enum store_status
list_look_at(struct sql *sql, struct list_span *span, size_t max,
    struct list_look *look, struct err *err)
{
	size_t n_ranges = list_ranges_count(&span->ranges), limit;
	bool by_shard = sql->driver->kind == SQL_MYSQL && span->label == NULL;
	enum store_status status;

	look->n = 0;
	check(n_ranges > 0 && max > 0);
	if (max > LIST_LOOK_MAX)
		max = LIST_LOOK_MAX;
	limit = by_shard ? max / n_ranges + LIST_FEW : max;
	if (span->label != NULL)
		status = look_at_label(sql, span, limit, look, err);
	else
		status = by_shard
			     ? look_at_shards(sql, span, limit, look, err)
			     : look_at_indices(sql, span, limit, look, err);
	if (status != STORE_OK)
		return status;
	if (by_shard)
		drop_empty(span, look);
	list_merge(look, limit, span->descending);
	return STORE_OK;
}
