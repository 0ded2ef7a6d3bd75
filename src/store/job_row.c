/* SPDX-License-Identifier: ISC */
#include "store/job_row.h"

#include <string.h>

#include "store/columns.h"

/* Far from an overflow. */
#define COUNT_MAX (INT64_C(1) << 50)

#define JOB_DAMAGED SLICE_LITERAL("what it is to do cannot be read")

struct slice
job_id_slice(const struct job_id *id)
{
	return slice_from_string(id->text);
}

/* What of a damaged job is none stays out: it can be asked for, fails at its
 * next step, and can be removed. */
static struct slice
copy_bytes(struct sql *sql, char *to, size_t size, struct job_record *record)
{
	struct slice bytes = sql_read_bytes(sql);

	if (bytes.len > size) {
		record->is_damaged = true;
		bytes.len = 0;
	}
	if (bytes.len > 0)
		memcpy(to, bytes.p, bytes.len);
	return slice_of(to, bytes.len);
}

static int64_t
read_job_number(struct sql *sql, int64_t max, struct job_record *record)
{
	int64_t number = sql_read_i64(sql);

	if (number >= 0 && number <= max)
		return number;
	record->is_damaged = true;
	return 0;
}

/* The copy is ours to overwrite. */
static void
read_spec(struct job_row *row, size_t len)
{
	static const struct job_rates rates = {1, JOB_RATE_MAX};
	struct job_record *record = &row->record;
	struct field_errors errors;
	struct err err;

	record->is_damaged |=
	    job_json_read(row->spec, len, &rates, &record->spec, &err,
		&errors) != EVENT_JSON_OK;
}

static void
read_job_counts(struct sql *sql, struct job_row *row)
{
	struct job_record *record = &row->record;

	record->paused = sql_read_i64(sql) != 0;
	record->created_ms = read_job_number(sql, STORE_TIME_MAX_MS, record);
	record->since_ms = read_job_number(sql, STORE_TIME_MAX_MS, record);
	record->counted_ms = read_job_number(sql, STORE_TIME_MAX_MS, record);
	record->ended_ms = read_job_number(sql, STORE_TIME_MAX_MS, record);
	row->before_id = sql_read_i64(sql);
	row->place.due_ms = sql_read_i64(sql);
	row->place.row_id = sql_read_i64(sql);
	record->steps = read_job_number(sql, COUNT_MAX, record);
	record->matched = read_job_number(sql, COUNT_MAX, record);
	record->done = read_job_number(sql, COUNT_MAX, record);
	record->skipped = read_job_number(sql, COUNT_MAX, record);
}

enum store_status
job_row_read(struct sql *sql, struct job_row *row, struct err *err)
{
	struct job_record *record = &row->record;
	enum store_status status;
	struct slice spec;
	int64_t state;

	*row = (struct job_row){.id = sql_read_i64(sql)};
	record->number = row->id;
	(void)copy_bytes(
	    sql, record->id.text, sizeof(record->id.text) - 1, record);
	record->app = copy_bytes(sql, row->app, sizeof(row->app), record);
	spec = copy_bytes(sql, row->spec, sizeof(row->spec), record);
	state = sql_read_i64(sql);
	read_job_counts(sql, row);
	record->error = copy_bytes(sql, row->error, sizeof(row->error), record);
	read_spec(row, spec.len);
	status = sql_row_check(sql, err);
	record->is_damaged |= status == STORE_BROKEN;
	/* What is none is not gone on with. */
	record->is_damaged |= state < 0 || state >= JOB_STATES;
	record->state = state < 0 || state >= JOB_STATES
			    ? JOB_FAILED
			    : (enum job_state)state;
	if (record->is_damaged && record->error.len == 0)
		record->error = JOB_DAMAGED;
	return status == STORE_BROKEN ? STORE_OK : status;
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
