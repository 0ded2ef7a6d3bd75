/* SPDX-License-Identifier: ISC */
#include "store/replace.h"

#include <string.h>

#include "store/insert.h"
#include "store/label.h"
#include "store/row_id.h"

enum { ROW_ID_DRAWS = 10 };

void
replace_judge(struct store_add *add, const struct found *found)
{
	add->state = found->state;
	add->expiry_ms = found->expiry_ms;
	if (memcmp(found->fingerprint, add->fingerprint, EVENT_KEY_BYTES) == 0)
		add->outcome = ADD_SAME;
	else if (add->event->on_conflict == ON_CONFLICT_IGNORE)
		add->outcome = ADD_KEPT;
	else
		add->outcome = ADD_CONFLICT;
}

/* The same content, so long after another add, is another time. */
bool
replace_is_due(const struct store_add *add)
{
	if (add->outcome == ADD_SAME)
		return add->event->on_conflict == ON_CONFLICT_DEBOUNCE &&
		       add->event->time == EVENT_IN;
	return add->outcome == ADD_CONFLICT && event_replaces(add->event);
}

static enum store_status
insert_one(struct sql *sql, struct store_add *add, int64_t created_ms,
    int64_t now_ms, struct err *err)
{
	enum store_status status;
	uint64_t affected;

	for (unsigned draw = 0; draw < ROW_ID_DRAWS; draw++) {
		add->row_id = row_id_make(now_ms);
		status =
		    insert_events(sql, &add, 1, created_ms, &affected, err);
		if (status != STORE_OK || affected == 1)
			return status;
	}
	return sql_nonsense(sql, "no row id is free", err);
}

/*
 * What is pushed away is as old as the first of its adds, which tells for how
 * long it may be.
 */
static enum store_status
put_in_place(struct sql *sql, struct store_add *add, const struct found *found,
    int64_t now_ms, struct err *err)
{
	bool pushed = add->event->on_conflict == ON_CONFLICT_DEBOUNCE &&
		      found->status == ROW_WAITING;
	int64_t created_ms = pushed ? found->created_ms : now_ms;
	int64_t max_ms = add->event->debounce_max_ms;
	struct event ev = *add->event;
	struct store_add put = *add;
	enum store_status status;

	if (pushed && max_ms > 0 && ev.expiry_ms > created_ms + max_ms)
		ev.expiry_ms = created_ms + max_ms;
	put.event = &ev;
	status = found_delete(sql, found, err);
	if (status == STORE_OK)
		status = insert_one(sql, &put, created_ms, now_ms, err);
	if (status == STORE_OK && ev.n_labels > 0)
		status = label_add_one(sql, put.row_id, event_due_ms(&ev),
		    ev.app, ev.options, err);
	add->row_id = put.row_id;
	add->expiry_ms = ev.expiry_ms;
	add->outcome = ADD_REPLACED;
	return status;
}

static enum store_status
replace_event(
    struct sql *sql, struct store_add *add, int64_t now_ms, struct err *err)
{
	struct found found = {0};
	enum store_status status;
	bool there;

	status = found_lock(sql, &add->key, &found, &there, err);
	if (status != STORE_OK)
		return status;
	if (!there)
		return sql_nonsense(sql, "a locked row is gone", err);
	replace_judge(add, &found);
	if (!replace_is_due(add))
		return STORE_OK;
	add->outcome = ADD_CONFLICT;
	if (found.status == ROW_PROCESSING)
		return STORE_OK;
	return put_in_place(sql, add, &found, now_ms, err);
}

enum store_status
replace_events(struct sql *sql, struct store_add *const *adds, size_t n,
    int64_t now_ms, struct err *err)
{
	enum store_status status = STORE_OK;
	bool replaced = false; /* what the others of the key have found */

	for (size_t i = 0; status == STORE_OK && i < n; i++) {
		replaced =
		    replaced && memcmp(adds[i - 1]->key.bytes,
				    adds[i]->key.bytes, EVENT_KEY_BYTES) == 0;
		if (!replaced && !replace_is_due(adds[i]))
			continue;
		status = replace_event(sql, adds[i], now_ms, err);
		replaced |= adds[i]->outcome == ADD_REPLACED;
	}
	return status;
}
