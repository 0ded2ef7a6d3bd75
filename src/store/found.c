/* SPDX-License-Identifier: ISC */
#include "store/found.h"

#include <string.h>

#include "store/label.h"
#include "store/record.h"
#include "store/shard_text.h"

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
found_lock_damaged(struct sql *sql, const struct event_key *key,
    struct found *found, bool *there, struct err *err)
{
	static const struct sql_text lock[] = {
	    [SQL_MYSQL] = {.head = "SELECT id, status FROM event WHERE k = ?"
				   " FOR UPDATE",
		.columns = "ii"},
	    [SQL_SQLITE] = {.head = "SELECT id, status FROM event WHERE k = ?",
		.columns = "ii"},
	};
	enum store_status status;

	*there = false;
	sql_bytes(sql, store_key_slice(key->bytes));
	status = sql_select(sql, sql_pick(sql, lock), 0, err);
	while (sql_next(sql, &status, err)) {
		*there = true;
		found->row_id = sql_read_i64(sql);
		found->status = (enum row_status)sql_read_i64(sql);
		/* What is none is that of one that waits. */
		(void)sql_row_check(sql, NULL);
		found->state = store_row_state(found->status, 0, false);
	}
	return sql_done(sql, status, err);
}

enum store_status
found_lock_all(struct sql *sql, const struct event_key *const *keys, size_t n,
    struct found *found, size_t *n_found, struct err *err)
{
#define FOUND(INDEX) "SELECT " FOUND_NAMES " FROM event" INDEX " WHERE k IN ("
	static const struct sql_text lock[] = {
	    [SQL_MYSQL] = {.head = FOUND(" FORCE INDEX (k)"),
		.item = "?",
		.sep = ", ",
		.tail = ") FOR UPDATE",
		.columns = FOUND_LETTERS},
	    [SQL_SQLITE] = {.head = FOUND(""),
		.item = "?",
		.sep = ", ",
		.tail = ")",
		.columns = FOUND_LETTERS},
	};
#undef FOUND
	enum store_status status;

	*n_found = 0;
	for (size_t i = 0; i < n; i++)
		sql_bytes(sql, store_key_slice(keys[i]->bytes));
	status = sql_select(sql, sql_pick(sql, lock), (unsigned)n, err);
	while (*n_found < n && sql_next(sql, &status, err))
		status = found_read(sql, &found[(*n_found)++], err);
	return sql_done(sql, status, err);
}

enum store_status
found_delete_all(struct sql *sql, const int64_t *ids, size_t n, struct err *err)
{
#define DELETE_IN(TABLE, COLUMN)                                               \
	{                                                                      \
		.head = DELETE_FROM(TABLE) " WHERE " COLUMN " IN (",           \
		.item = "?", .sep = ", ", .tail = ")"                          \
	}
	static const struct sql_text texts[] = {
	    DELETE_IN("attempt", "event"), DELETE_IN("event", "id")};
#undef DELETE_IN
	enum store_status status = label_delete(sql, ids, n, err);

	for (size_t i = 0;
	     status == STORE_OK && i < sizeof(texts) / sizeof(texts[0]); i++)
		status =
		    sql_exec(sql, &texts[i], id_args(sql, ids, n), NULL, err);
	return status;
}

enum store_status
found_delete(struct sql *sql, const struct found *found, struct err *err)
{
	return found_delete_all(sql, &found->row_id, 1, err);
}
