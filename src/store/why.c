/* SPDX-License-Identifier: ISC */
#include "store/why.h"

#include <string.h>

#include "store/record.h"
#include "store/schedule_run.h"
#include "store/shard_text.h"

/* The row, who has claimed it, who holds its shard, and what time it is. */
#define FIND(NOW)                                                              \
	{                                                                      \
		.head = "SELECT " EVENT_NAMES ", owner, COALESCE((SELECT"      \
			" lease.owner FROM lease WHERE lease.shard ="          \
			" event.shard), 0), " NOW " FROM event WHERE k = ?",   \
		.columns = EVENT_LETTERS "uui"                                 \
	}

static enum store_status
read_why_row(struct sql *sql, struct store_why *why, struct err *err)
{
	enum store_status status;
	struct store_row row;

	store_row_read(sql, true, &row);
	why->claimer.owner = sql_read_u64(sql);
	why->holder.owner = sql_read_u64(sql);
	why->now_ms = sql_read_i64(sql);
	why->row_id = row.id;
	why->parked_by = (unsigned)(row.due_ms / STORE_PARKED_MS);
	why->is_quarantined = store_is_quarantined(row.due_ms);
	if (row.status != ROW_PROCESSING)
		why->claimer.owner = 0;
	if (store_check_number(
		"the time", why->now_ms, STORE_TIME_MAX_MS, err) != STORE_OK)
		return STORE_BROKEN;
	status = store_row_check(sql, row.id, err);
	if (status == STORE_OK)
		status = store_record_create(&row, &why->record, err);
	return store_damage(status);
}

static enum store_status
read_why(struct sql *sql, const struct event_key *key, struct store_why *why,
    struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = FIND(NOW_MYSQL), [SQL_SQLITE] = FIND(NOW_SQLITE)};
	enum store_status status;

	now_arg(sql);
	sql_bytes(sql, store_key_slice(key->bytes));
	status = sql_select(sql, sql_pick(sql, text), 0, err);
	while (sql_next(sql, &status, err) && why->record == NULL)
		status = read_why_row(sql, why, err);
	return sql_done(sql, status, err);
}

static void
note_worker(struct store_why_worker *worker, const struct store_why_worker *row,
    struct slice host)
{
	size_t len =
	    host.len < STORE_HOST_MAX - 1 ? host.len : STORE_HOST_MAX - 1;

	if (worker->owner == 0 || worker->owner != row->owner)
		return;
	*worker = *row;
	for (size_t i = 0; i < len; i++)
		worker->host[i] =
		    (char)(host.p[i] > ' ' && host.p[i] <= '~' ? host.p[i]
							       : '?');
}

static enum store_status
check_times(const struct store_why_worker *row, struct err *err)
{
	enum store_status status =
	    store_check_number("seen_ms", row->seen_ms, STORE_TIME_MAX_MS, err);

	return status == STORE_OK ? store_check_number("lease_ms",
					row->lease_ms, STORE_TIME_MAX_MS, err)
				  : status;
}

static enum store_status
read_workers(struct sql *sql, struct store_why *why, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT owner, pid, seen_ms, lease_ms, host FROM instance"
		    " WHERE owner IN (?, ?)",
	    .columns = "uiiib"};
	enum store_status status;

	sql_u64(sql, why->holder.owner);
	sql_u64(sql, why->claimer.owner);
	status = sql_select(sql, &text, 0, err);
	while (sql_next(sql, &status, err)) {
		struct store_why_worker row = {
		    .owner = sql_read_u64(sql), .is_registered = true};
		struct slice host;

		row.pid = sql_read_i64(sql);
		row.seen_ms = sql_read_i64(sql);
		row.lease_ms = sql_read_i64(sql);
		host = sql_read_bytes(sql);
		status = check_times(&row, err);
		note_worker(&why->holder, &row, host);
		note_worker(&why->claimer, &row, host);
	}
	return sql_done(sql, status, err);
}

static enum store_status
read_run_before(struct sql *sql, struct store_why *why, struct err *err)
{
	const struct store_record *record = why->record;
	struct event_options options;

	if (record->state != EVENT_PENDING ||
	    event_options_parse(record->event.options, &options, NULL) == -1 ||
	    options.schedule == 0)
		return STORE_OK;
	return schedule_run_before(sql, record, &options, why->run_before, err);
}

enum store_status
find_why(struct sql *sql, const struct event_key *key, struct store_why *why,
    struct err *err)
{
	enum store_status status;

	*why = (struct store_why){.record = NULL};
	status = sql_catch_up(sql, err);
	if (status == STORE_OK)
		status = read_why(sql, key, why, err);
	if (status == STORE_OK && why->record != NULL)
		status = read_workers(sql, why, err);
	if (status == STORE_OK && why->record != NULL)
		status = read_run_before(sql, why, err);
	if (status != STORE_OK) {
		store_record_free(why->record);
		why->record = NULL;
	}
	return status;
}
