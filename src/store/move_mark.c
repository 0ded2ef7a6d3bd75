/* SPDX-License-Identifier: ISC */
#include "store/move_mark.h"

enum { SOURCE_MAX_BYTES = 1024 };

static enum store_status
mark_is_there(struct sql *sql, bool *there, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = "SELECT COUNT(*)"
				   " FROM information_schema.tables"
				   " WHERE table_schema = DATABASE()"
				   " AND table_name = 'moving'",
		.columns = "i"},
	    [SQL_SQLITE] = {.head = "SELECT count(*) FROM sqlite_master"
				    " WHERE type = 'table' AND rootpage > 0"
				    " AND name = 'moving'",
		.columns = "i"},
	};
	int64_t n = 0;
	enum store_status status = sql_value(sql, sql_pick(sql, text), &n, err);

	*there = n > 0;
	return status;
}

enum store_status
move_mark_read(
    struct sql *sql, bool *there, struct buf *source, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT source FROM moving", .columns = "b"};
	enum store_status status = mark_is_there(sql, there, err);

	buf_reset(source);
	if (status != STORE_OK || !*there)
		return status;
	status = sql_select(sql, &text, 0, err);
	while (sql_next(sql, &status, err))
		if (buf_append_slice(source, sql_read_bytes(sql)) == -1)
			status = sql_no_memory(err);
	return sql_done(sql, status, err);
}

static enum store_status
create_mark(struct sql *sql, struct err *err)
{
	return sql->driver->run(sql,
	    sql->driver->kind == SQL_SQLITE
		? "CREATE TABLE IF NOT EXISTS moving ("
		  "source BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID"
		: "CREATE TABLE IF NOT EXISTS moving ("
		  "source VARBINARY(1024) NOT NULL, PRIMARY KEY (source))"
		  " ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
	    err);
}

/* Of one mark, by a statement that takes its source. */
static enum store_status
change_mark(struct sql *sql, const struct sql_text *text, struct slice source,
    struct err *err)
{
	if (source.len > SOURCE_MAX_BYTES)
		source.len = SOURCE_MAX_BYTES;
	sql_bytes(sql, source);
	return sql_exec(sql, text, 0, NULL, err);
}

enum store_status
move_mark_set(struct sql *sql, struct slice source, struct err *err)
{
	static const struct sql_text text = {
	    .head = "REPLACE INTO moving (source) VALUES (?)"};
	enum store_status status = create_mark(sql, err);

	return status == STORE_OK ? change_mark(sql, &text, source, err)
				  : status;
}

enum store_status
move_mark_take_back(struct sql *sql, struct slice source, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM moving WHERE source = ?"};

	static const struct sql_text left = {
	    .head = "SELECT COUNT(*) FROM moving", .columns = "i"};
	enum store_status status = change_mark(sql, &text, source, err);
	int64_t n = 1;

	if (status == STORE_OK)
		status = sql_value(sql, &left, &n, err);
	return status == STORE_OK && n == 0 ? move_mark_remove(sql, err)
					    : status;
}

enum store_status
move_mark_remove(struct sql *sql, struct err *err)
{
	return sql->driver->run(sql, "DROP TABLE IF EXISTS moving", err);
}

enum store_status
move_mark_refuse(struct sql *sql, struct err *err)
{
	bool there;
	enum store_status status = mark_is_there(sql, &there, err);

	if (status != STORE_OK || !there)
		return status;
	(void)err_set(err,
	    "%s: events are being moved to it, and not all of them are there: "
	    "run cassatactl migrate again, it goes on",
	    sql->target);
	return STORE_BROKEN;
}
