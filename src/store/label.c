/* SPDX-License-Identifier: ISC */
#include "store/label.h"

#include "event/event_options.h"
#include "store/record.h"
#include "store/shard_text.h"

static const struct sql_text insert = {
    .head = "INSERT INTO label (event, number, k, due_ms) VALUES ",
    .item = "(?, ?, ?, ?)",
    .sep = ", ",
};

static void
read_labels_of(struct slice options, struct event_labels *labels)
{
	struct event_options parsed;

	labels->n = 0;
	if (options.len > 0 && event_options_parse(options, &parsed, NULL) == 0)
		event_labels_parse(parsed.labels, labels);
}

unsigned
label_count(struct slice options)
{
	struct event_labels labels;

	read_labels_of(options, &labels);
	return labels.n;
}

enum store_status
label_add_end(struct sql *sql, struct label_rows *rows, struct err *err)
{
	unsigned n = rows->n;

	rows->n = 0;
	return n == 0 ? STORE_OK : sql_exec(sql, &insert, n, NULL, err);
}

enum store_status
label_add(struct sql *sql, struct label_rows *rows, int64_t row_id,
    int64_t due_ms, struct slice app, struct slice options, struct err *err)
{
	enum store_status status = STORE_OK;
	struct event_labels labels;

	read_labels_of(options, &labels);
	for (unsigned i = 0; i < labels.n && status == STORE_OK; i++) {
		struct event_key *key = &rows->keys[rows->n];

		if (event_label_key(app, &labels.list[i], key) == -1)
			return sql_no_memory(err);
		sql_i64(sql, row_id);
		sql_i64(sql, i);
		sql_bytes(sql, store_key_slice(key->bytes));
		sql_i64(sql, due_ms);
		if (++rows->n == sql->driver->rows_max)
			status = label_add_end(sql, rows, err);
	}
	return status;
}

enum store_status
label_add_one(struct sql *sql, int64_t row_id, int64_t due_ms, struct slice app,
    struct slice options, struct err *err)
{
	struct label_rows rows = {0};
	enum store_status status =
	    label_add(sql, &rows, row_id, due_ms, app, options, err);

	return status == STORE_OK ? label_add_end(sql, &rows, err) : status;
}

#define FOLLOW                                                                 \
	"UPDATE label" BY_KEY " SET due_ms ="                                  \
	" (SELECT due_ms FROM event WHERE id = label.event)"                   \
	" WHERE event IN ("

/* With owner 0 of whomever. */
static enum store_status
follow(struct sql *sql, const struct sql_text *text, uint64_t owner,
    const int64_t *ids, size_t n, struct err *err)
{
	size_t max = sql->driver->ids_max, len;
	enum store_status status = STORE_OK;

	for (size_t at = 0; at < n && status == STORE_OK; at += len) {
		unsigned arity;

		len = n - at < max ? n - at : max;
		arity = id_args(sql, ids + at, len);
		if (owner != 0)
			sql_u64(sql, owner);
		status = sql_exec(sql, text, arity, NULL, err);
	}
	return status;
}

enum store_status
label_follow(struct sql *sql, const int64_t *ids, size_t n, struct err *err)
{
	static const struct sql_text text = {
	    .head = FOLLOW, .item = "?", .sep = ", ", .tail = ")"};

	return follow(sql, &text, 0, ids, n, err);
}

enum store_status
label_follow_own(struct sql *sql, uint64_t owner, const int64_t *ids, size_t n,
    struct err *err)
{
	static const struct sql_text text = {.head = FOLLOW,
	    .item = "?",
	    .sep = ", ",
	    .tail = ") AND EXISTS (SELECT 1 FROM event"
		    " WHERE id = label.event AND owner = ?)"};

	return follow(sql, &text, owner, ids, n, err);
}

enum store_status
label_delete(struct sql *sql, const int64_t *ids, size_t n, struct err *err)
{
	static const struct sql_text text = {
	    .head = DELETE_FROM("label") " WHERE event IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")"};

	return follow(sql, &text, 0, ids, n, err);
}
