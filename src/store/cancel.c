/* SPDX-License-Identifier: ISC */
#include "store/cancel.h"

#include "store/found.h"

struct cancel {
	const struct event_key *key;
	enum cancel_outcome outcome;
	enum event_state state;
};

static enum store_status
cancel_body(struct sql *sql, void *arg, struct err *err)
{
	struct cancel *cancel = arg;
	struct found found = {0};
	enum store_status status;
	bool there;

	status = found_lock(sql, cancel->key, &found, &there, err);
	if (status == STORE_BROKEN && sql->connected)
		status =
		    found_lock_damaged(sql, cancel->key, &found, &there, err);
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
	return found_delete(sql, &found, err);
}

enum store_status
cancel_row(struct sql *sql, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	struct cancel cancel = {.key = key};
	enum store_status status = cancel_body(sql, &cancel, err);

	*outcome = cancel.outcome;
	*state = cancel.state;
	return status;
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
