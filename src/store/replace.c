/* SPDX-License-Identifier: ISC */
#include "store/replace.h"

#include <stdlib.h>
#include <string.h>

#include "base/rfc3339.h"
#include "store/insert.h"
#include "store/label.h"
#include "store/row_id.h"
#include "store/schedule.h"

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

/* An add whose event comes in the place of another one. */
struct placing {
	struct store_add *add; /* which is told of it */
	struct store_add put;
	struct event event; /* that of put */
	int64_t before_id;
};

/*
 * What is pushed away is as old as the first of its adds, which tells for how
 * long it may be.
 */
static void
plan_placing(struct placing *p, struct store_add *add,
    const struct found *found, int64_t now_ms)
{
	bool pushed = add->event->on_conflict == ON_CONFLICT_DEBOUNCE &&
		      found->status == ROW_WAITING;
	int64_t max_ms = add->event->debounce_max_ms;

	*p = (struct placing){.add = add,
	    .put = *add,
	    .event = *add->event,
	    .before_id = found->row_id};
	p->put.event = &p->event;
	p->put.created_ms = pushed ? found->created_ms : now_ms;
	if (pushed && max_ms > 0 &&
	    p->event.expiry_ms > p->put.created_ms + max_ms)
		p->event.expiry_ms = p->put.created_ms + max_ms;
}

static enum store_status
insert_placed(struct sql *sql, struct store_add *const *puts, size_t n,
    int64_t now_ms, struct err *err)
{
	enum store_status status;
	uint64_t affected;

	for (unsigned draw = 0; draw < ROW_ID_DRAWS; draw++) {
		for (size_t i = 0; i < n; i++)
			puts[i]->row_id = row_id_make(now_ms);
		status = insert_events(sql, puts, n, &affected, err);
		if (status != STORE_OK || affected == n)
			return status;
		if (affected == 0)
			continue;
		sql->again = true; /* the others are there by now */
		(void)err_set(err, "%s: a row id is taken", sql->target);
		return STORE_UNAVAILABLE;
	}
	return sql_nonsense(sql, "no row id is free", err);
}

static enum store_status
label_placed(
    struct sql *sql, struct store_add *const *puts, size_t n, struct err *err)
{
	struct label_rows rows = {0};
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < n && status == STORE_OK; i++) {
		const struct event *ev = puts[i]->event;

		if (ev->n_labels > 0)
			status = label_add(sql, &rows, puts[i]->row_id,
			    event_due_ms(ev), ev->app, ev->options, err);
	}
	return status == STORE_OK ? label_add_end(sql, &rows, err) : status;
}

/* However many they are, by a few statements. */
static enum store_status
put_in_place(struct sql *sql, struct placing *list, size_t n, int64_t now_ms,
    struct err *err)
{
	struct store_add *puts[SQL_ROWS_MAX];
	int64_t ids[SQL_ROWS_MAX];
	enum store_status status;

	if (n == 0)
		return STORE_OK;
	for (size_t i = 0; i < n; i++) {
		puts[i] = &list[i].put;
		ids[i] = list[i].before_id;
	}
	status = found_delete_all(sql, ids, n, err);
	if (status == STORE_OK)
		status = insert_placed(sql, puts, n, now_ms, err);
	if (status == STORE_OK)
		status = label_placed(sql, puts, n, err);
	for (size_t i = 0; i < n; i++) {
		list[i].add->row_id = puts[i]->row_id;
		list[i].add->expiry_ms = puts[i]->event->expiry_ms;
		list[i].add->outcome = ADD_REPLACED;
	}
	return status;
}

static const struct found *
find_key(const struct found *found, size_t n, const struct event_key *key)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(found[i].key.bytes, key->bytes, EVENT_KEY_BYTES) ==
		    0)
			return &found[i];
	return NULL;
}

/*
 * The run of a schedule that comes next: nothing else would make another one.
 * Only what ends like the id of a run is looked up.
 */
static enum store_status
is_run_to_come(struct sql *sql, const struct store_add *add,
    const struct found *found, bool *is_next, struct err *err)
{
	struct slice id = add->event->id, name = id;
	const char *mark = memrchr(id.p, '@', id.len);
	struct store_schedule *schedule;
	enum store_status status;
	int64_t ms;

	*is_next = false;
	if (mark == NULL || found->status != ROW_WAITING)
		return STORE_OK;
	name.len = (size_t)(mark - id.p);
	if (rfc3339_parse(
		slice_of(mark + 1, id.len - name.len - 1), &ms) == -1)
		return STORE_OK;
	/* As far as one that is damaged can be read. */
	status = schedule_lock_damaged(
	    sql, add->event->app, name, &schedule, err);
	*is_next = schedule != NULL && schedule->next_row == found->row_id;
	store_schedule_free(schedule);
	return status;
}

/* Those of different keys that take the place of what is there, if they may. */
static enum store_status
replace_each(struct sql *sql, struct store_add *const *adds, size_t n,
    struct placing *list, int64_t now_ms, struct err *err)
{
	const struct event_key *keys[SQL_ROWS_MAX];
	struct found all[SQL_ROWS_MAX];
	size_t n_found = 0, n_placed = 0;
	enum store_status status;
	bool is_next;

	if (n == 0)
		return STORE_OK;
	for (size_t i = 0; i < n; i++)
		keys[i] = &adds[i]->key;
	status = found_lock_all(sql, keys, n, all, &n_found, err);
	for (size_t i = 0; i < n && status == STORE_OK; i++) {
		const struct found *found =
		    find_key(all, n_found, &adds[i]->key);

		if (found == NULL)
			return sql_nonsense(sql, "a locked row is gone", err);
		replace_judge(adds[i], found);
		if (!replace_is_due(adds[i]))
			continue;
		adds[i]->outcome = ADD_CONFLICT;
		status = is_run_to_come(sql, adds[i], found, &is_next, err);
		if (found->status != ROW_PROCESSING && !is_next)
			plan_placing(&list[n_placed++], adds[i], found, now_ms);
	}
	return status == STORE_OK
		   ? put_in_place(sql, list, n_placed, now_ms, err)
		   : status;
}

static bool
has_key_of(const struct store_add *a, const struct store_add *b)
{
	return memcmp(a->key.bytes, b->key.bytes, EVENT_KEY_BYTES) == 0;
}

/* The first of each key go together; then one after the other. */
static enum store_status
replace_in_turn(struct sql *sql, struct store_add *const *adds, size_t n,
    struct placing *list, int64_t now_ms, struct err *err)
{
	struct store_add *first[SQL_ROWS_MAX] = {NULL};
	enum store_status status;
	size_t n_first = 0;
	bool replaced = false; /* what the others of the key have found */

	for (size_t i = 0; i < n; i++)
		if (replace_is_due(adds[i]) &&
		    (n_first == 0 || !has_key_of(first[n_first - 1], adds[i])))
			first[n_first++] = adds[i];
	status = replace_each(sql, first, n_first, list, now_ms, err);
	for (size_t i = 0, at = 0; status == STORE_OK && i < n; i++) {
		replaced = replaced && has_key_of(adds[i - 1], adds[i]);
		if (at < n_first && adds[i] == first[at])
			at++;
		else if (replaced || replace_is_due(adds[i]))
			status =
			    replace_each(sql, &adds[i], 1, list, now_ms, err);
		replaced |= adds[i]->outcome == ADD_REPLACED;
	}
	return status;
}

enum store_status
replace_events(struct sql *sql, struct store_add *const *adds, size_t n,
    int64_t now_ms, struct err *err)
{
	struct placing *list = NULL;
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < n && list == NULL; i++) {
		if (!replace_is_due(adds[i]))
			continue;
		list = calloc(n, sizeof(*list));
		if (list == NULL)
			return sql_no_memory(err);
		status = replace_in_turn(sql, adds, n, list, now_ms, err);
	}
	free(list);
	return status;
}
