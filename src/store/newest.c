/* SPDX-License-Identifier: ISC */
#include "store/newest.h"

#include "store/due_pick.h"
#include "store/record.h"
#include "store/row_id.h"

/*
 * By the primary key, and without a condition on what is not in it: what has
 * been delivered meanwhile is read, too, but never more rows than max.
 */
#define NEWEST                                                                 \
	"SELECT due_ms, id, shard, status FROM event"                          \
	" WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?"

/* Before them the marks, as a row without an id: nobody is asked once more. A
 * sum would be out of range where a row is damaged. */
#define MARKS                                                                  \
	"SELECT CAST((SELECT BIT_XOR(CRC32(CONCAT_WS(' ', number, kind,"       \
	" since_ms, until_ms, name))) FROM pause) AS SIGNED), 0,"              \
	" CAST((SELECT BIT_XOR(CRC32(uuid)) FROM job FORCE INDEX (state)"      \
	" WHERE state < 2 AND paused = 0) AS SIGNED), 0 UNION ALL "

static const struct sql_text plain = {.head = NEWEST, .columns = "iiii"},
			     marked = {.head = MARKS "(" NEWEST ")",
				 .columns = "iiii"};

static bool
is_marked(const struct sql *sql, const struct newest_request *request)
{
	return request->marks && sql->driver->remote;
}

/* It is a hint: who claims the row will say what is wrong with it. What is due
 * before all time is claimed, too. A server may send an event in place of the
 * marks: there is no room for it. */
static void
note_newest(struct sql *sql, size_t max, struct store_news *news,
    struct newest_reply *reply)
{
	int64_t due_ms = sql_read_i64(sql), id = sql_read_i64(sql);
	int64_t shard = sql_read_i64(sql), status = sql_read_i64(sql);
	struct due_row row;
	struct err ignored;

	if (id == 0)
		reply->marks = (struct store_marks){due_ms, shard};
	else if (store_due_row(&row, due_ms < 0 ? 0 : due_ms, id, shard,
		     &ignored) != STORE_OK)
		reply->damaged = id;
	else if (status == ROW_WAITING && due_ms < STORE_PARKED_MS &&
		 reply->n < max)
		news[reply->n++] = (struct store_news){
		    row.shard, row.due_ms, row_id_made_ms(id)};
}

enum store_status
find_newest(struct sql *sql, const struct newest_request *request,
    struct store_news *news, struct newest_reply *reply, struct err *err)
{
	bool with_marks = is_marked(sql, request);
	size_t n_rows = 0, max = request->max + with_marks;
	enum store_status status;

	*reply = (struct newest_reply){0};
	sql_i64(sql, row_id_first(request->from_ms));
	sql_i64(sql, row_id_first(request->to_ms));
	sql_i64(sql, (int64_t)request->max);
	status = sql_select(sql, with_marks ? &marked : &plain, 0, err);
	for (; n_rows < max && sql_next(sql, &status, err); n_rows++)
		note_newest(sql, request->max, news, reply);
	reply->more = n_rows == max;
	return sql_done(sql, status, err);
}
