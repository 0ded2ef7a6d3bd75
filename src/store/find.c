/* SPDX-License-Identifier: ISC */
#include "store/find.h"

#include "store/record.h"

static const struct sql_text find_state = {
    .head = "SELECT " EVENT_STATE_NAMES FIRST_ATTEMPT FROM_EVENT_AND_FIRST
	    " WHERE k = ?",
    .columns = EVENT_STATE_LETTERS "i",
};

/* BYTES is the length of the bytes, whatever type they have. */
#define FIND_WHOLE_TEXT(BYTES)                                                 \
	{                                                                      \
		.head =                                                        \
		    "SELECT " EVENT_NAMES FIRST_ATTEMPT                        \
		    ", (SELECT COUNT(*) FROM attempt"                          \
		    " WHERE attempt.event = event.id),"                        \
		    " (SELECT CAST(COALESCE(SUM(" BYTES("error") " + " BYTES(  \
			"response") "), 0) AS SIGNED) FROM attempt"            \
				    " WHERE attempt.event = event.id)"         \
				    FROM_EVENT_AND_FIRST " WHERE k = ?",       \
		.columns = EVENT_LETTERS "iii"                                 \
	}
#define MYSQL_LENGTH(column)  "LENGTH(" column ")"
#define SQLITE_LENGTH(column) "length(CAST(" column " AS BLOB))"

static const struct sql_text find_whole[] = {
    [SQL_MYSQL] = FIND_WHOLE_TEXT(MYSQL_LENGTH),
    /* length() counts the characters of a TEXT, and to the first NUL. */
    [SQL_SQLITE] = FIND_WHOLE_TEXT(SQLITE_LENGTH),
};

/* The log only grows: the first rows are those that were counted. */
static const struct sql_text find_log = {
    .head = "SELECT number, at_ms, code, error, response FROM attempt"
	    " WHERE event = ? ORDER BY number LIMIT ?",
    .columns = "iiibb",
};

static enum store_status
read_log(struct sql *sql, const struct store_row *row,
    struct store_record *record, struct err *err)
{
	enum store_status status;

	sql_i64(sql, row->id);
	sql_i64(sql, row->n_log);
	status = sql_select(sql, &find_log, 0, err);
	while (sql_next(sql, &status, err)) {
		struct store_log_row attempt;

		attempt.number = sql_read_i64(sql);
		attempt.at_ms = sql_read_i64(sql);
		attempt.code = sql_read_i64(sql);
		attempt.error = sql_read_bytes(sql);
		attempt.response = sql_read_bytes(sql);
		status = store_row_check(sql, row->id, err);
		if (status == STORE_OK)
			status = store_record_log(record, &attempt, err);
		status = store_damage(status);
	}
	return sql_done(sql, status, err);
}

static enum store_status
read_event(struct sql *sql, bool whole, struct store_row *row,
    struct store_record **record, struct err *err)
{
	enum store_status status = STORE_OK;

	if (!sql_next(sql, &status, err))
		return status;
	store_row_read(sql, whole, row);
	row->first_ms = sql_read_i64(sql);
	if (whole) {
		row->n_log = sql_read_i64(sql);
		row->log_bytes = sql_read_i64(sql);
	}
	status = store_row_check(sql, row->id, err);
	if (status == STORE_OK)
		status = store_record_create(row, record, err);
	return sql_done(sql, store_damage(status), err);
}

enum store_status
find_event(struct sql *sql, const struct event_key *key, enum store_find what,
    struct store_record **record, struct err *err)
{
	bool whole = what == FIND_WHOLE, gone = false;
	struct store_row row = {0};
	enum store_status status;

	*record = NULL;
	status = sql_catch_up(sql, err);
	if (status != STORE_OK)
		return status;
	sql_bytes(sql, store_key_slice(key->bytes));
	status = sql_select(
	    sql, whole ? sql_pick(sql, find_whole) : &find_state, 0, err);
	if (status == STORE_OK)
		status = read_event(sql, whole, &row, record, err);
	if (status == STORE_OK && row.n_log > 0) {
		status = read_log(sql, &row, *record, err);
		/* Nothing but the event's end takes an attempt away. */
		gone = (*record)->n_log < (*record)->max_log;
	}
	if (status != STORE_OK || gone) {
		store_record_free(*record);
		*record = NULL;
	}
	return status;
}
