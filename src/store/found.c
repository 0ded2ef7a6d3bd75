/* SPDX-License-Identifier: ISC */
#include "store/found.h"

#include <string.h>

#include "store/label.h"
#include "store/record.h"

/* Those of another length are nobody's: zeros. */
static void
read_key(struct sql *sql, uint8_t bytes[EVENT_KEY_BYTES])
{
	struct slice read = sql_read_bytes(sql);

	memset(bytes, 0, EVENT_KEY_BYTES);
	if (read.len == EVENT_KEY_BYTES)
		memcpy(bytes, read.p, EVENT_KEY_BYTES);
}

enum store_status
found_read(struct sql *sql, struct found *found, struct err *err)
{
	int64_t row_status, last_code;
	bool has_error;

	found->row_id = sql_read_i64(sql);
	row_status = sql_read_i64(sql);
	last_code = sql_read_i64(sql);
	has_error = sql_read_i64(sql) != 0;
	found->expiry_ms = sql_read_i64(sql);
	found->created_ms = sql_read_i64(sql);
	read_key(sql, found->key.bytes);
	read_key(sql, found->fingerprint);
	found->status = (enum row_status)row_status;
	found->state = store_row_state(found->status, last_code, has_error);
	if (store_check_number("expiry_ms", found->expiry_ms, STORE_TIME_MAX_MS,
		err) != STORE_OK ||
	    store_check_number("created_ms", found->created_ms,
		STORE_TIME_MAX_MS, err) != STORE_OK)
		return STORE_BROKEN;
	return store_check_number("status", row_status, ROW_FAILED, err);
}

enum store_status
found_lock(struct sql *sql, const struct event_key *key, struct found *found,
    bool *there, struct err *err)
{
	static const struct sql_text lock[] = {
	    [SQL_MYSQL] = {.head = "SELECT " FOUND_NAMES
				   " FROM event WHERE k = ? FOR UPDATE",
		.columns = FOUND_LETTERS},
	    [SQL_SQLITE] = {.head =
				"SELECT " FOUND_NAMES " FROM event WHERE k = ?",
		.columns = FOUND_LETTERS},
	};
	enum store_status status;

	*there = false;
	sql_bytes(sql, store_key_slice(key->bytes));
	status = sql_select(sql, sql_pick(sql, lock), 0, err);
	while (sql_next(sql, &status, err)) {
		*there = true;
		status = found_read(sql, found, err);
	}
	return sql_done(sql, status, err);
}

enum store_status
found_delete(struct sql *sql, const struct found *found, struct err *err)
{
	static const struct sql_text text[] = {
	    {.head = "DELETE FROM attempt WHERE event = ?"},
	    {.head = "DELETE FROM event WHERE id = ?"},
	};
	enum store_status status = label_delete(sql, &found->row_id, 1, err);

	for (size_t i = 0;
	     status == STORE_OK && i < sizeof(text) / sizeof(text[0]); i++) {
		sql_i64(sql, found->row_id);
		status = sql_exec(sql, &text[i], 0, NULL, err);
	}
	return status;
}
