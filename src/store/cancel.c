/* SPDX-License-Identifier: ISC */
#include "store/cancel.h"

#include "store/found.h"
#include "store/record.h"

struct cancel {
	const struct event_key *key;
	enum cancel_outcome outcome;
	enum event_state state;
};

static enum store_status
lock_event(struct sql *sql, const struct event_key *key, struct found *found,
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

static enum store_status
cancel_body(struct sql *sql, void *arg, struct err *err)
{
	static const struct sql_text delete_log = {
	    .head = "DELETE FROM attempt WHERE event = ?"};
	static const struct sql_text delete_event = {
	    .head = "DELETE FROM event WHERE id = ?"};
	struct cancel *cancel = arg;
	struct found found = {0};
	enum store_status status;
	bool there;

	status = lock_event(sql, cancel->key, &found, &there, err);
	cancel->outcome = CANCEL_UNKNOWN;
	if (status != STORE_OK)
		return status;
	if (there) {
		cancel->state = found.state;
		cancel->outcome = CANCEL_REFUSED;
	}
	/* One that was deleted meanwhile is in the way of this commit. */
	if (!there || found.status == ROW_PROCESSING)
		return sql_be_current(sql, err);
	cancel->outcome = CANCEL_DELETED;
	sql_i64(sql, found.row_id);
	status = sql_exec(sql, &delete_log, 0, NULL, err);
	if (status != STORE_OK)
		return status;
	sql_i64(sql, found.row_id);
	return sql_exec(sql, &delete_event, 0, NULL, err);
}

enum store_status
cancel_event(struct sql *sql, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	struct cancel cancel = {.key = key};
	enum store_status status;

	status = sql_transact(sql, cancel_body, &cancel, err);
	*outcome = cancel.outcome;
	*state = cancel.state;
	return status;
}
