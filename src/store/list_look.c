/* SPDX-License-Identifier: ISC */
#include "store/list_look.h"

#include <stdlib.h>

#include "base/check.h"
#include "store/columns.h"
#include "store/record.h"
#include "store/shard_text.h"

int
list_compare(
    const struct list_place *a, const struct list_place *b, bool descending)
{
	int order = (a->due_ms > b->due_ms) - (a->due_ms < b->due_ms);

	if (order == 0)
		order = (a->row_id > b->row_id) - (a->row_id < b->row_id);
	return descending ? -order : order;
}

static int
compare_rows(const void *a, const void *b)
{
	return list_compare(a, b, false);
}

static int
compare_rows_down(const void *a, const void *b)
{
	return list_compare(a, b, true);
}

static void
sort_rows(struct list_look *look, bool descending)
{
	qsort(look->rows, look->n, sizeof(look->rows[0]),
	    descending ? compare_rows_down : compare_rows);
}

static bool
has_any(const struct list_span *span, unsigned statuses)
{
	return (span->statuses & statuses) != 0;
}

/* Adds them to those that are there. */
static enum store_status
read_rows(struct sql *sql, const struct sql_text *text, unsigned arity,
    struct list_look *look, struct err *err)
{
	enum store_status status = sql_select(sql, text, arity, err);

	while (look->n < LIST_ROWS_MAX && sql_next(sql, &status, err)) {
		struct list_place *row = &look->rows[look->n++];

		row->due_ms = sql_read_i64(sql);
		row->row_id = sql_read_i64(sql);
		look->n_read++;
	}
	status = sql_done(sql, status, err);
	pace_rest(look->pace);
	return status;
}

/* ---- MySQL ---- */

/*
 * The rows between two places, from 64 ranges of the index for each status, in
 * the order of the index: a statement that merged them would take ten times as
 * long. So the second place is guessed, by what comes next in one of the
 * shards. Events lie evenly in them; where they do not, and more than a few
 * times as many rows come, of which the first are next to the first place, the
 * second is taken nearer.
 */

/* Rows of one due time may be any number: a range for them, one for the rest.
 */
#define SAMPLE(BEHIND, WITHIN, ORDER)                                          \
	{                                                                      \
		.head = "",                                                    \
		.item = "(SELECT due_ms, id FROM event FORCE INDEX (due)"      \
			" WHERE shard = ? AND status = ?"                      \
			" AND (due_ms = ? AND id " BEHIND " ?"                 \
			" OR due_ms " BEHIND " ? AND due_ms " WITHIN " ?)"     \
			" ORDER BY due_ms " ORDER ", id " ORDER " LIMIT ?)",   \
		.sep = " UNION ALL ", .columns = "ii"                          \
	}

/* Where the rows of a span end. */
static struct list_place
end_of_span(const struct list_span *span)
{
	return (struct list_place){
	    span->descending ? span->from_ms : span->before_ms, INT64_MIN};
}

static enum store_status
guess_end(struct sql *sql, const struct list_span *span, size_t max,
    struct list_place *until, struct list_look *look, struct err *err)
{
	static const struct sql_text up = SAMPLE(">", "<", "");
	static const struct sql_text down = SAMPLE("<", ">=", "DESC");
	size_t n_each = max / EVENT_SHARDS + 2;
	int64_t behind_ms = span->after.due_ms, end_ms;
	enum store_status status;
	unsigned arity = 0;

	*until = end_of_span(span);
	end_ms = until->due_ms;
	/* Of what is of one due time alone MariaDB would read all, and sort: so
	 * there is another, of no row. */
	if (behind_ms == end_ms) {
		behind_ms = -1;
		end_ms = -2;
	}
	for (unsigned s = ROW_WAITING; s <= ROW_FAILED; s++) {
		if (!has_any(span, 1U << s))
			continue;
		sql_i64(sql, span->after.row_id & (EVENT_SHARDS - 1));
		sql_i64(sql, s);
		sql_i64(sql, span->after.due_ms);
		sql_i64(sql, span->after.row_id);
		sql_i64(sql, behind_ms);
		sql_i64(sql, end_ms);
		sql_i64(sql, (int64_t)n_each);
		arity++;
	}
	status =
	    read_rows(sql, span->descending ? &down : &up, arity, look, err);
	sort_rows(look, span->descending);
	if (look->n >= n_each)
		*until = look->rows[n_each - 1];
	look->n = 0;
	return status;
}

enum { WINDOW_SHARDS = 8 };

/* With the id in its order as well MariaDB 10.11 reads all of them and sorts. */
#define WINDOW(BEHIND, BEFORE, UPTO, ORDER)                                    \
	SHARDS_MYSQL("SELECT due_ms, id FROM event FORCE INDEX (due) WHERE ",  \
	    " AND status IN (?, ?, ?, ?) AND (due_ms = ? AND id " BEHIND       \
	    " ? AND id " UPTO " ? OR due_ms " BEHIND " ? AND due_ms " BEFORE   \
	    " ? OR due_ms = ? AND id " UPTO " ?) ORDER BY shard" ORDER         \
	    ", status" ORDER ", due_ms" ORDER " LIMIT ?",                      \
	    "ii")

/* Those that are not asked for: another one that is, which is no range more. */
static void
status_args(struct sql *sql, const struct list_span *span)
{
	int64_t one = ROW_WAITING;

	while (!has_any(span, 1U << one))
		one++;
	for (int64_t s = ROW_WAITING; s <= ROW_FAILED; s++)
		sql_i64(sql, has_any(span, 1U << s) ? s : one);
}

/* Of the shards of a mask. */
static enum store_status
read_shards(struct sql *sql, const struct list_span *span, uint64_t shards,
    const struct list_place *until, size_t limit, struct list_look *look,
    struct err *err)
{
	static const struct sql_text up = WINDOW(">", "<", "<=", "");
	static const struct sql_text down = WINDOW("<", ">", ">=", " DESC");
	bool at_once = until->due_ms == span->after.due_ms;
	int64_t all = span->descending ? INT64_MIN : INT64_MAX;
	unsigned arity = shard_args(sql, shards);

	status_args(sql, span);
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->after.row_id);
	sql_i64(sql, at_once ? until->row_id : all);
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, until->due_ms);
	sql_i64(sql, until->due_ms);
	/* nothing, or it would be there twice */
	sql_i64(sql, at_once ? -1 - all : until->row_id);
	sql_i64(sql, (int64_t)limit);
	return read_rows(sql, span->descending ? &down : &up, arity, look, err);
}

/*
 * In parts: MariaDB takes 8 us for each shard and status of one, so that one of
 * all shards and states would keep a processor for 6 ms.
 */
static enum store_status
read_between(struct sql *sql, const struct list_span *span,
    const struct list_place *until, size_t limit, struct list_look *look,
    struct err *err)
{
	const uint64_t part = UINT64_MAX >> (EVENT_SHARDS - WINDOW_SHARDS);
	enum store_status status = STORE_OK;

	look->n = 0;
	for (unsigned shard = 0; shard < EVENT_SHARDS && look->n < limit &&
				 status == STORE_OK;
	     shard += WINDOW_SHARDS)
		status = read_shards(sql, span, part << shard, until,
		    limit - look->n, look, err);
	sort_rows(look, span->descending);
	return status;
}

static enum store_status
look_at_shards(struct sql *sql, const struct list_span *span, size_t max,
    struct list_look *look, struct err *err)
{
	struct list_place until, end = end_of_span(span);
	size_t limit = 2 * max + LIST_LOOK_MAX;
	enum store_status status = guess_end(sql, span, max, &until, look, err);

	while (status == STORE_OK) {
		status = read_between(sql, span, &until, limit, look, err);
		if (look->n < limit)
			break;
		until = look->rows[limit / 4];
	}
	look->end = list_compare(&until, &end, false) == 0;
	return status;
}

/* ---- SQLite ---- */

/* A value of another type than the column's is no reason to stop here. A
 * statement that could not use its index would fail. */
#define ROWS_SQLITE(WANTED, STATUS, INDEX, RANGE)                              \
	"SELECT CAST(due_ms AS INTEGER), id, due_ms FROM event INDEXED "       \
	"BY " INDEX " WHERE " WANTED " AND " STATUS " AND " RANGE
/* The rest of the rows of one due time, then those behind. */
#define RANGES_SQLITE(WANTED, STATUS, INDEX, BEHIND, WITHIN)                   \
	ROWS_SQLITE(WANTED, STATUS, INDEX, "due_ms = ?4 AND id " BEHIND " ?5") \
	" UNION ALL " ROWS_SQLITE(WANTED, STATUS, INDEX,                       \
	    "due_ms " BEHIND " ?4 AND due_ms " WITHIN " ?6")
/* What is being processed is in no order; there are few of them. */
#define MERGE_SQLITE(BEHIND, WITHIN, ORDER)                                    \
	{                                                                      \
		.head = RANGES_SQLITE("?1", "status = 0", "event_waiting",     \
		    BEHIND, WITHIN) " UNION ALL " ROWS_SQLITE("?2",            \
		    "status = 1", "event_processing",                          \
		    "(due_ms = ?4 AND id " BEHIND " ?5 OR due_ms " BEHIND      \
		    " ?4 AND due_ms " WITHIN                                   \
		    " ?6)") " UNION ALL " RANGES_SQLITE("?3", "status >= 2",   \
		    "event_finished", BEHIND,                                  \
		    WITHIN) " ORDER BY 3 " ORDER ", 2 " ORDER " LIMIT ?7",     \
		.columns = "iii"                                               \
	}

/* It merges them, and reads none of them further than it has to. */
static enum store_status
look_at_indices(struct sql *sql, const struct list_span *span, size_t max,
    struct list_look *look, struct err *err)
{
	static const struct sql_text up = MERGE_SQLITE(">", "<", "");
	static const struct sql_text down = MERGE_SQLITE("<", ">=", "DESC");
	enum store_status status;

	sql_i64(sql, has_any(span, 1U << ROW_WAITING));
	sql_i64(sql, has_any(span, 1U << ROW_PROCESSING));
	sql_i64(sql, has_any(span, 1U << ROW_COMPLETED | 1U << ROW_FAILED));
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->after.row_id);
	sql_i64(sql, end_of_span(span).due_ms);
	sql_i64(sql, (int64_t)max);
	status = read_rows(sql, span->descending ? &down : &up, 0, look, err);
	look->end = look->n < max;
	return status;
}

/* ---- of a label ---- */

/* The rest of the rows of one due time, then those behind. */
#define ROWS_OF_LABEL(DUE, TABLE, RANGE, ORDER)                                \
	{                                                                      \
		.head = "SELECT " DUE ", event FROM " TABLE " WHERE k = ?"     \
			" AND " RANGE " ORDER BY due_ms " ORDER                \
			", event " ORDER " LIMIT ?",                           \
		.columns = "ii"                                                \
	}
#define RANGES_OF_LABEL(DUE, TABLE)                                            \
	{                                                                      \
		{                                                              \
		    ROWS_OF_LABEL(DUE, TABLE, "due_ms = ? AND event > ?", ""), \
		    ROWS_OF_LABEL(                                             \
			DUE, TABLE, "due_ms > ? AND due_ms < ?", ""),          \
		},                                                             \
		    {                                                          \
			ROWS_OF_LABEL(                                         \
			    DUE, TABLE, "due_ms = ? AND event < ?", "DESC"),   \
			ROWS_OF_LABEL(                                         \
			    DUE, TABLE, "due_ms < ? AND due_ms >= ?", "DESC"), \
		    },                                                         \
	}

static const struct sql_text of_label[SQL_KINDS][2][2] = {
    [SQL_MYSQL] = RANGES_OF_LABEL("due_ms", "label FORCE INDEX (due)"),
    [SQL_SQLITE] = RANGES_OF_LABEL(
	"CAST(due_ms AS INTEGER)", "label INDEXED BY label_due"),
};

static enum store_status
look_at_label(struct sql *sql, const struct list_span *span, size_t max,
    struct list_look *look, struct err *err)
{
	const struct sql_text *texts =
	    of_label[sql->driver->kind][span->descending];
	enum store_status status;

	sql_bytes(sql, store_key_slice(span->label->bytes));
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, span->after.row_id);
	sql_i64(sql, (int64_t)max);
	status = read_rows(sql, &texts[0], 0, look, err);
	look->end = look->n < max;
	if (status != STORE_OK || !look->end)
		return status;
	sql_bytes(sql, store_key_slice(span->label->bytes));
	sql_i64(sql, span->after.due_ms);
	sql_i64(sql, end_of_span(span).due_ms);
	sql_i64(sql, (int64_t)(max - look->n));
	status = read_rows(sql, &texts[1], 0, look, err);
	look->end = look->n < max;
	return status;
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

#define ONE_OF_LABEL(DUE, TABLE, RANGE, ORDER)                                 \
	{                                                                      \
		.head = "SELECT " DUE " FROM " TABLE                           \
			" WHERE k = ? AND due_ms " RANGE                       \
			" ? ORDER BY due_ms " ORDER " LIMIT 1",                \
		.columns = "i"                                                 \
	}

static enum store_status
look_beyond_in_label(struct sql *sql, const struct event_key *label,
    int64_t from_ms, bool descending, int64_t *due_ms, struct err *err)
{
	static const struct sql_text texts[SQL_KINDS][2] = {
	    [SQL_MYSQL] = {ONE_OF_LABEL(
			       "due_ms", "label FORCE INDEX (due)", ">=", ""),
		ONE_OF_LABEL("due_ms", "label FORCE INDEX (due)", "<", "DESC")},
	    [SQL_SQLITE] = {ONE_OF_LABEL("CAST(due_ms AS INTEGER)",
				"label INDEXED BY label_due", ">=", ""),
		ONE_OF_LABEL("CAST(due_ms AS INTEGER)",
		    "label INDEXED BY label_due", "<", "DESC")},
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

enum store_status
list_look_at(struct sql *sql, const struct list_span *span, size_t max,
    struct list_look *look, struct err *err)
{
	look->n = look->n_read = 0;
	check(span->statuses != 0 && max > 0);
	if (max > LIST_LOOK_MAX)
		max = LIST_LOOK_MAX;
	if (span->label != NULL)
		return look_at_label(sql, span, max, look, err);
	return sql->driver->kind == SQL_MYSQL
		   ? look_at_shards(sql, span, max, look, err)
		   : look_at_indices(sql, span, max, look, err);
}
