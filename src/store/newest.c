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

/* It is a hint: who claims the row will say what is wrong with it. */
static void
note_newest(
    struct sql *sql, struct store_news *news, struct newest_reply *reply)
{
	int64_t due_ms = sql_read_i64(sql), id = sql_read_i64(sql);
	int64_t shard = sql_read_i64(sql), status = sql_read_i64(sql);
	struct due_row row;
	struct err ignored;

	if (store_due_row(&row, due_ms, id, shard, &ignored) != STORE_OK)
		reply->damaged = id;
	else if (status == ROW_WAITING && due_ms < STORE_PARKED_MS)
		news[reply->n++] = (struct store_news){
		    row.shard, row.due_ms, row_id_made_ms(id)};
}

enum store_status
find_newest(struct sql *sql, int64_t from_ms, int64_t to_ms,
    struct store_news *news, size_t max, struct newest_reply *reply,
    struct err *err)
{
	enum store_status status;
	size_t n_rows = 0;

	*reply = (struct newest_reply){0};
	sql_i64(sql, row_id_first(from_ms));
	sql_i64(sql, row_id_first(to_ms));
	sql_i64(sql, (int64_t)max);
	status = sql_select(sql, &newest, 0, err);
	for (; n_rows < max && sql_next(sql, &status, err); n_rows++)
		note_newest(sql, news, reply);
	reply->more = n_rows == max;
	return sql_done(sql, status, err);
}
