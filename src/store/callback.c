/* SPDX-License-Identifier: ISC */
#include "store/callback.h"

#include "base/check.h"
#include "base/clock.h"
#include "store/add.h"
#include "store/record.h"
#include "store/row_id.h"

static enum store_status
insert_all(struct sql *sql, struct store_add **list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct event *ev = list[i]->event;

		if (event_key_make(ev->app, ev->id, &list[i]->key) == -1 ||
		    event_fingerprint(ev, list[i]->fingerprint) == -1)
			return sql_no_memory(err);
	}
	return add_within(sql, list, n, err);
}

static enum store_status
insert_under_other_id(
    struct sql *sql, const struct store_add *taken, struct err *err)
{
	struct event ev = *taken->event;
	struct store_add add = {.event = &ev, .shard = taken->shard};
	struct store_add *list = &add;
	char id[EVENT_ID_MAX + 1];

	event_callback_other_id(ev.id, row_id_make(clock_event_ms()), id);
	ev.id = slice_from_string(id);
	return insert_all(sql, &list, 1, err);
}

enum store_status
callback_insert(
    struct sql *sql, struct store_add *adds, size_t n, struct err *err)
{
	struct store_add *list[SQL_ROWS_MAX];
	enum store_status status;

	check(n <= SQL_ROWS_MAX);
	for (size_t i = 0; i < n; i++)
		list[i] = &adds[i];
	status = insert_all(sql, list, n, err);
	for (size_t i = 0; status == STORE_OK && i < n; i++)
		if (adds[i].outcome != ADD_CREATED)
			status = insert_under_other_id(sql, &adds[i], err);
	return status;
}

enum store_status
callback_add(struct sql *sql, struct slice options, const struct event_end *end,
    unsigned shard, struct err *err)
{
	struct event_options asked;
	struct event ev;
	struct store_add add = {.event = &ev, .shard = shard};
	struct slice json;
	struct buf text;
	enum store_status status = STORE_OK;

	if (event_options_parse(options, &asked, NULL) == -1)
		return STORE_OK;
	json = end->state == EVENT_COMPLETED ? asked.on_complete
					     : asked.on_failure;
	if (json.len == 0)
		return STORE_OK;
	buf_init(&text, EVENT_CALLBACK_ROOM + 8 * end->response.len);
	if (event_callback_make(json, end, &text, &ev) == 0)
		status = callback_insert(sql, &add, 1, err);
	else if (text.failed)
		status = sql_no_memory(err);
	buf_free(&text);
	return status;
}

enum store_status
callback_of_given_up(struct sql *sql, int64_t row_id, int64_t now_ms,
    struct slice error, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT " EVENT_DELIVERY_NAMES " FROM event WHERE id = ?",
	    .columns = EVENT_DELIVERY_LETTERS};
	struct store_claim *claim = NULL;
	struct store_row row;
	enum store_status status;

	sql_i64(sql, row_id);
	status = sql_select(sql, &text, 0, err);
	while (sql_next(sql, &status, err)) {
		store_claim_free(claim);
		store_row_read_delivery(sql, &row);
		status = store_claim_create(&row, &claim, err);
		/* A damaged one keeps nobody from his leases. */
		if (status == STORE_BROKEN)
			status = STORE_OK;
	}
	status = sql_done(sql, status, err);
	if (status == STORE_OK && claim != NULL) {
		const struct event_end end = {
		    .app = claim->event.app,
		    .id = claim->event.id,
		    .state = EVENT_FAILED,
		    .attempts = claim->attempt - 1,
		    .expiry_ms = claim->event.expiry_ms,
		    .at_ms = now_ms,
		    .error = error,
		};

		status = callback_add(
		    sql, claim->event.options, &end, claim->shard, err);
	}
	store_claim_free(claim);
	return status;
}
