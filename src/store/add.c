/* SPDX-License-Identifier: ISC */
#include "store/add.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/found.h"
#include "store/insert.h"
#include "store/label.h"
#include "store/record.h"
#include "store/replace.h"
#include "store/row_id.h"

enum {
	ADD_ROUNDS_MAX = 10,
	BROKEN_MAX = 8, /* adds of a call; of more it is not they */
};

struct add_batch {
	struct store_add **adds;
	size_t n;
	int64_t now_ms;
	enum add_outcome refusal; /* of those that are not there */
	bool undone;              /* one was refused: no other is to stay */
};

static const struct sql_text select_keys = {
    .head = "SELECT " FOUND_NAMES " FROM event WHERE k IN (",
    .item = "?",
    .sep = ", ",
    .tail = ")",
    .columns = FOUND_LETTERS,
};

static size_t
add_bytes(const struct store_add *add)
{
	return store_event_bytes(add->event) + ADD_ROW_BYTES +
	       (size_t)add->event->n_labels * LABEL_BYTES;
}

static bool
has_labels(const struct add_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		if (batch->adds[i]->event->n_labels > 0)
			return true;
	return false;
}

static int
compare_adds(const void *a, const void *b)
{
	const struct store_add *const *x = a, *const *y = b;
	int order = memcmp((*x)->key.bytes, (*y)->key.bytes, EVENT_KEY_BYTES);

	/* The first of one key is the one that is new. */
	if (order == 0)
		order = (*x)->place < (*y)->place ? -1 : 1;
	return order;
}

/* How many of the first adds go into one statement. */
static size_t
chunk_of_adds(const struct sql *sql, struct store_add *const *adds, size_t n)
{
	size_t bytes = 0, len;

	for (len = 0; len < n && len < sql->driver->rows_max; len++) {
		bytes += add_bytes(adds[len]);
		if (len > 0 && bytes > sql->statement_max)
			break;
	}
	return len;
}

/*
 * Fills in those of the chunk that have the key of what was found; its id goes
 * to ids[].
 */
static void
judge_adds(const struct add_batch *chunk, const struct found *found,
    int64_t ids[SQL_ROWS_MAX])
{
	for (size_t i = 0; i < chunk->n; i++) {
		struct store_add *add = chunk->adds[i];

		if (memcmp(found->key.bytes, add->key.bytes, EVENT_KEY_BYTES) !=
		    0)
			continue;
		ids[i] = found->row_id;
		replace_judge(add, found);
		if (found->row_id == add->row_id)
			add->outcome = ADD_CREATED;
	}
}

static enum store_status
find_chunk(struct sql *sql, const struct add_batch *chunk,
    int64_t ids[SQL_ROWS_MAX], struct err *err)
{
	enum store_status status;
	struct found found;

	for (size_t i = 0; i < chunk->n; i++)
		sql_bytes(sql, store_key_slice(chunk->adds[i]->key.bytes));
	status = sql_select(sql, &select_keys, (unsigned)chunk->n, err);
	while (sql_next(sql, &status, err)) {
		status = found_read(sql, &found, err);
		judge_adds(chunk, &found, ids);
	}
	return sql_done(sql, status, err);
}

/*
 * Which of the chunk are in the table as ours, which were there before. One
 * that is not there at all met the row id of another event: a new id is made.
 */
static enum store_status
resolve_chunk(struct sql *sql, const struct add_batch *chunk, bool *complete,
    struct err *err)
{
	int64_t ids[SQL_ROWS_MAX] = {0};
	enum store_status status = find_chunk(sql, chunk, ids, err);

	*complete = true;
	for (size_t i = 0; i < chunk->n; i++)
		if (ids[i] == 0)
			*complete = false;
	for (size_t i = 0; i < chunk->n; i++) {
		if (ids[i] == 0)
			chunk->adds[i]->row_id = row_id_make(chunk->now_ms);
		else if (*complete)
			chunk->adds[i]->row_id = ids[i];
	}
	return status;
}

/* Of those that are new, before another one may take their place. */
static enum store_status
add_labels(struct sql *sql, const struct add_batch *chunk, struct err *err)
{
	struct label_rows rows = {0};
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < chunk->n && status == STORE_OK; i++) {
		const struct store_add *add = chunk->adds[i];

		if (add->outcome == ADD_CREATED && add->event->n_labels > 0)
			status = label_add(sql, &rows, add->row_id,
			    event_due_ms(add->event), add->event->app,
			    add->event->options, err);
	}
	return status == STORE_OK ? label_add_end(sql, &rows, err) : status;
}

static enum store_status
add_chunk(struct sql *sql, const struct add_batch *chunk, struct err *err)
{
	for (unsigned round = 0; round < ADD_ROUNDS_MAX; round++) {
		uint64_t affected = 0;
		bool complete = false;
		enum store_status status;

		status =
		    insert_events(sql, chunk->adds, chunk->n, &affected, err);
		if (status != STORE_OK)
			return status;
		if (affected == chunk->n) {
			for (size_t i = 0; i < chunk->n; i++) {
				chunk->adds[i]->outcome = ADD_CREATED;
				chunk->adds[i]->state = EVENT_PENDING;
				chunk->adds[i]->expiry_ms =
				    chunk->adds[i]->event->expiry_ms;
			}
			return add_labels(sql, chunk, err);
		}
		/* A row that is there may have been deleted elsewhere: nothing
		 * was written that could meet it. */
		status = sql_be_current(sql, err);
		if (status == STORE_OK)
			status = resolve_chunk(sql, chunk, &complete, err);
		if (status == STORE_OK && complete)
			status = add_labels(sql, chunk, err);
		if (status == STORE_OK && complete)
			return replace_events(
			    sql, chunk->adds, chunk->n, chunk->now_ms, err);
		if (status != STORE_OK)
			return status;
	}
	/* The row ids are not to blame, which are drawn anew. */
	(void)err_set(err, "%s: takes no event", sql->target);
	return STORE_BROKEN;
}

static enum store_status
refuse_chunk(struct sql *sql, const struct add_batch *chunk, struct err *err)
{
	int64_t ids[SQL_ROWS_MAX] = {0};
	enum store_status status;

	for (size_t i = 0; i < chunk->n; i++)
		chunk->adds[i]->outcome = chunk->refusal;
	status = sql_be_current(sql, err);
	if (status == STORE_OK)
		status = find_chunk(sql, chunk, ids, err);
	for (size_t i = 0; i < chunk->n; i++) {
		struct store_add *add = chunk->adds[i];

		if (ids[i] != 0)
			add->row_id = ids[i];
		if (replace_is_due(add))
			add->outcome = chunk->refusal;
	}
	return status;
}

static enum store_status
each_chunk(struct sql *sql, const struct add_batch *batch,
    enum store_status (*act)(
	struct sql *sql, const struct add_batch *chunk, struct err *err),
    struct err *err)
{
	struct add_batch chunk = *batch;
	enum store_status status = STORE_OK;

	for (size_t at = 0; status == STORE_OK && at < batch->n;
	     at += chunk.n) {
		chunk.adds = batch->adds + at;
		chunk.n = chunk_of_adds(sql, chunk.adds, batch->n - at);
		status = act(sql, &chunk, err);
	}
	return status;
}

static enum store_status
ask_for_room(
    struct sql *sql, const struct add_batch *batch, bool *room, struct err *err)
{
	int64_t bytes = 0;

	*room = true;
	if (sql->driver->room == NULL)
		return STORE_OK;
	for (size_t i = 0; i < batch->n; i++)
		bytes += (int64_t)store_event_bytes(batch->adds[i]->event) +
			 ADD_DISK_BYTES +
			 (int64_t)batch->adds[i]->event->n_labels * LABEL_BYTES;
	return sql->driver->room(sql, bytes, room, err);
}

static void
make_row_ids(const struct add_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++) {
		batch->adds[i]->row_id = row_id_make(batch->now_ms);
		batch->adds[i]->created_ms = batch->now_ms;
	}
}

static enum store_status
add_body(struct sql *sql, void *arg, struct err *err)
{
	const struct add_batch *batch = arg;
	enum store_status status;
	bool room;

	make_row_ids(batch);
	status = ask_for_room(sql, batch, &room, err);
	if (status != STORE_OK)
		return status;
	return each_chunk(sql, batch, room ? add_chunk : refuse_chunk, err);
}

static enum store_status
refuse_body(struct sql *sql, void *arg, struct err *err)
{
	return each_chunk(sql, arg, refuse_chunk, err);
}

/* Moves those that no statement, or no transaction, can hold to the end. */
static size_t
count_fitting(const struct sql *sql, struct store_add **adds, size_t n)
{
	size_t n_fit = 0;

	for (size_t i = 0; i < n; i++) {
		struct store_add *add = adds[i];

		if (add_bytes(add) > sql->statement_max ||
		    add_bytes(add) >
			sql->transaction_max / ADD_TRANSACTION_PART)
			continue;
		adds[i] = adds[n_fit];
		adds[n_fit++] = add;
	}
	return n_fit;
}

static enum store_status
write_adds(struct sql *sql, struct add_batch *batch, struct err *err)
{
	enum store_status status = STORE_OK;

	/* One statement commits itself. */
	if (batch->n == 1 && !has_labels(batch) &&
	    !event_replaces(batch->adds[0]->event))
		status = sql_repeat(sql, add_body, batch, err);
	else if (batch->n > 0)
		status = sql_transact(sql, add_body, batch, err);
	if (status == STORE_UNAVAILABLE && sql->full && sql->connected)
		status = sql_repeat(sql, refuse_body, batch, err);
	return status;
}

/* What stood alone at last, and was not taken: how many, and why the last. */
struct broken_adds {
	size_t n;
	struct err err;
};

/* Whether this one is passed over, which the datastore does not take. */
static bool
pass_over(struct sql *sql, struct store_add *add, struct broken_adds *broken,
    const struct err *err)
{
	add->outcome = sql->too_large ? ADD_TOO_LARGE : ADD_BROKEN;
	if (sql->too_large)
		return true;
	broken->err = *err;
	return broken->n++ < BROKEN_MAX;
}

/*
 * By halves where the datastore does not take them: the server's limit is not
 * what it was, or one meets a row that cannot be read, or is itself none that
 * the server takes.
 */
static enum store_status
write_apart(struct sql *sql, const struct add_batch *batch,
    struct broken_adds *broken, struct err *err)
{
	struct add_batch part = *batch;
	enum store_status status = write_adds(sql, &part, err);

	if (status != STORE_BROKEN || !sql->connected)
		return status;
	if (batch->n == 1)
		return pass_over(sql, batch->adds[0], broken, err) ? STORE_OK
								   : status;
	part.n = batch->n / 2;
	status = write_apart(sql, &part, broken, err);
	part.adds += part.n;
	part.n = batch->n - part.n;
	return status == STORE_OK ? write_apart(sql, &part, broken, err)
				  : status;
}

/* How many of the first adds go into one transaction. */
static size_t
part_of_adds(const struct sql *sql, struct store_add *const *adds, size_t n)
{
	size_t max = sql->transaction_max / 2, bytes = 0, len;

	for (len = 0; len < n; len++) {
		bytes += add_bytes(adds[len]);
		if (len > 0 && bytes > max)
			break;
	}
	return len;
}

static enum store_status
write_in_parts(struct sql *sql, const struct add_batch *batch, struct err *err)
{
	struct add_batch part = *batch;
	struct broken_adds broken = {0};
	enum store_status status = STORE_OK;

	for (size_t at = 0; at < batch->n && status == STORE_OK; at += part.n) {
		part.adds = batch->adds + at;
		part.n = part_of_adds(sql, part.adds, batch->n - at);
		status = write_apart(sql, &part, &broken, err);
	}
	if (status != STORE_OK || broken.n == 0)
		return status;
	if (broken.n == batch->n) {
		(void)err_set(err, "%s", broken.err.text);
		return STORE_BROKEN;
	}
	log_errorx("%zu events are not added: %s", broken.n, broken.err.text);
	return STORE_OK;
}

/* Neighbours in the index of keys are written together. */
static void
sort_adds(struct store_add **adds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		adds[i]->place = i;
	qsort(adds, n, sizeof(struct store_add *), compare_adds);
}

/* Events too large for the server's setting do not keep the others out. */
enum store_status
add_new_events(
    struct sql *sql, struct store_add **adds, size_t n, struct err *err)
{
	size_t n_fit = count_fitting(sql, adds, n);
	struct add_batch batch = {
	    .adds = adds,
	    .n = n_fit,
	    .now_ms = clock_event_ms(),
	    .refusal = ADD_NO_ROOM,
	};
	struct add_batch large = {
	    .adds = adds + n_fit, .n = n - n_fit, .refusal = ADD_TOO_LARGE};
	enum store_status status;

	sort_adds(adds, n_fit);
	status = write_in_parts(sql, &batch, err);
	if (status == STORE_OK && large.n > 0)
		status = sql_repeat(sql, refuse_body, &large, err);
	return status;
}

enum store_status
add_within(struct sql *sql, struct store_add **adds, size_t n, struct err *err)
{
	struct add_batch batch = {
	    .adds = adds, .n = n, .now_ms = clock_event_ms()};

	sort_adds(adds, n);
	make_row_ids(&batch);
	return each_chunk(sql, &batch, add_chunk, err);
}

static bool
is_added(const struct store_add *add)
{
	return add->outcome == ADD_CREATED || add->outcome == ADD_SAME ||
	       add->outcome == ADD_KEPT || add->outcome == ADD_REPLACED;
}

static enum store_status
add_all_body(struct sql *sql, void *arg, struct err *err)
{
	struct add_batch *batch = arg;
	enum store_status status = add_body(sql, arg, err);

	batch->undone = false;
	if (status != STORE_OK)
		return status;
	for (size_t i = 0; i < batch->n; i++)
		batch->undone |= !is_added(batch->adds[i]);
	/* For the driver, which rolls it back. */
	return batch->undone ? STORE_BROKEN : STORE_OK;
}

static void
blame(struct store_add **adds, size_t n, enum add_outcome outcome)
{
	for (size_t i = 0; i < n; i++)
		adds[i]->outcome = outcome;
}

/* Neither is what they made there, nor what met that. */
static void
undo_outcomes(struct store_add **adds, size_t n)
{
	const struct event_key *made = NULL;

	for (size_t i = 0; i < n; i++) {
		enum add_outcome *outcome = &adds[i]->outcome;

		if (*outcome == ADD_CREATED || *outcome == ADD_REPLACED)
			made = &adds[i]->key;
		if (is_added(adds[i]) && made != NULL &&
		    memcmp(made->bytes, adds[i]->key.bytes, EVENT_KEY_BYTES) ==
			0)
			*outcome = ADD_UNDONE;
	}
}

enum store_status
add_all_events(struct sql *sql, struct store_add **adds, size_t n, bool *added,
    struct err *err)
{
	size_t n_fit = count_fitting(sql, adds, n);
	struct add_batch batch = {.adds = adds,
	    .n = n,
	    .now_ms = clock_event_ms(),
	    .refusal = ADD_NO_ROOM};
	enum store_status status;

	*added = false;
	blame(adds, n, ADD_UNDONE);
	if (n_fit == n)
		n_fit = part_of_adds(sql, adds, n);
	blame(adds + n_fit, n - n_fit, ADD_TOO_LARGE);
	if (n_fit < n)
		return STORE_OK;
	sort_adds(adds, n);
	status = sql_transact(sql, add_all_body, &batch, err);
	*added = status == STORE_OK;
	if (status == STORE_UNAVAILABLE && sql->full && sql->connected)
		blame(adds, n, ADD_NO_ROOM);
	else if (status != STORE_OK && sql->too_large)
		blame(adds, n, ADD_TOO_LARGE);
	else if (!batch.undone)
		return status;
	undo_outcomes(adds, n);
	return STORE_OK;
}
