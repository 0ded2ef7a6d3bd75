/* SPDX-License-Identifier: ISC */
#include "store/job_row.h"

#include <string.h>

#include "store/record.h"

struct slice
job_id_slice(const struct job_id *id)
{
	return slice_from_string(id->text);
}

static enum store_status
copy_bytes(
    struct sql *sql, char *to, size_t size, struct slice *copy, struct err *err)
{
	struct slice bytes = sql_read_bytes(sql);

	if (bytes.len > size)
		return sql_nonsense(sql, "a job with too many bytes", err);
	memcpy(to, bytes.p, bytes.len);
	*copy = slice_of(to, bytes.len);
	return STORE_OK;
}

static enum store_status
read_texts(
    struct sql *sql, struct job_row *row, struct slice *spec, struct err *err)
{
	struct job_record *record = &row->record;
	enum store_status status;
	struct slice id;

	status = copy_bytes(
	    sql, record->id.text, sizeof(record->id.text) - 1, &id, err);
	if (status == STORE_OK)
		status = copy_bytes(
		    sql, row->app, sizeof(row->app), &record->app, err);
	if (status == STORE_OK)
		status =
		    copy_bytes(sql, row->spec, sizeof(row->spec), spec, err);
	return status;
}

/* The copy is ours to overwrite. */
static void
read_spec(struct job_row *row, size_t len)
{
	static const struct job_rates rates = {1, JOB_RATE_MAX};
	struct job_record *record = &row->record;
	struct field_errors errors;
	struct err err;

	record->is_damaged = job_json_read(row->spec, len, &rates,
				 &record->spec, &err, &errors) != EVENT_JSON_OK;
}

enum store_status
job_row_read(struct sql *sql, struct job_row *row, struct err *err)
{
	struct job_record *record = &row->record;
	enum store_status status;
	struct slice spec = {NULL, 0};
	int64_t state;

	*row = (struct job_row){.id = sql_read_i64(sql)};
	record->number = row->id;
	status = read_texts(sql, row, &spec, err);
	if (status != STORE_OK)
		return status;
	state = sql_read_i64(sql);
	record->state = (enum job_state)state;
	record->paused = sql_read_i64(sql) != 0;
	record->created_ms = sql_read_i64(sql);
	record->since_ms = sql_read_i64(sql);
	record->counted_ms = sql_read_i64(sql);
	record->ended_ms = sql_read_i64(sql);
	row->before_id = sql_read_i64(sql);
	row->place.due_ms = sql_read_i64(sql);
	row->place.row_id = sql_read_i64(sql);
	record->steps = sql_read_i64(sql);
	record->matched = sql_read_i64(sql);
	record->done = sql_read_i64(sql);
	record->skipped = sql_read_i64(sql);
	read_spec(row, spec.len);
	status = store_check_number("state", state, JOB_STATES - 1, err);
	if (status != STORE_OK)
		return status;
	return copy_bytes(
	    sql, row->error, sizeof(row->error), &record->error, err);
}

enum store_status
job_row_find(struct sql *sql, const struct job_id *id, bool lock,
    struct job_row *row, bool *there, struct err *err)
{
#define FIND "SELECT " JOB_ROW_NAMES " FROM job WHERE uuid = ?"
	static const struct sql_text look = {
	    .head = FIND, .columns = JOB_ROW_LETTERS};
	static const struct sql_text lock_it = {
	    .head = FIND " FOR UPDATE", .columns = JOB_ROW_LETTERS};
#undef FIND
	bool locks = lock && sql->driver->kind == SQL_MYSQL;
	enum store_status status;

	*there = false;
	sql_bytes(sql, job_id_slice(id));
	status = sql_select(sql, locks ? &lock_it : &look, 0, err);
	while (sql_next(sql, &status, err)) {
		*there = true;
		status = job_row_read(sql, row, err);
	}
	return sql_done(sql, status, err);
}
