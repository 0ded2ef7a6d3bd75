/* SPDX-License-Identifier: ISC */
#include "store/newest.h"

#include "store/due_pick.h"
#include "store/record.h"
#include "store/row_id.h"

/*
 * By the primary key, and without a condition on what is not in it: what has
 * been delivered meanwhile is read, too, but never more rows than max.
 */
static const struct sql_text newest = {
    .head = "SELECT due_ms, id, shard, status FROM event"
	    " WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?",
    .columns = "iiii",
};

enum store_status
find_newest(struct sql *sql, int64_t from_ms, int64_t to_ms,
    struct store_news *news, size_t max, size_t *n, struct err *err)
{
	enum store_status status;

	*n = 0;
	sql_i64(sql, row_id_first(from_ms));
	sql_i64(sql, row_id_first(to_ms));
	sql_i64(sql, (int64_t)max);
	status = sql_select(sql, &newest, 0, err);
	while (sql_next(sql, &status, err)) {
		int64_t due_ms = sql_read_i64(sql), id = sql_read_i64(sql);
		struct due_row row;

		status =
		    store_due_row(&row, due_ms, id, sql_read_i64(sql), err);
		if (status == STORE_OK && sql_read_i64(sql) == ROW_WAITING &&
		    *n < max)
			news[(*n)++] = (struct store_news){
			    row.shard, row.due_ms, row_id_made_ms(id)};
	}
	return sql_done(sql, status, err);
}
