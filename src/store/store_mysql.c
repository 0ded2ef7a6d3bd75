/* SPDX-License-Identifier: ISC */
#include "store/store_mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/row_id.h"

enum {
	ADD_ROUNDS_MAX = 10,
};

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- life ---- */

static unsigned
seconds(int64_t ms)
{
	return ms <= 1000 ? 1 : (unsigned)((ms + 999) / 1000);
}

static void
mysql_destroy(struct store_backend *backend)
{
	mysql_conn_fini(mysql_conn_of(backend));
	free(backend);
	mysql_thread_end();
}

static int
mysql_create(const struct store_params *params, struct store_backend **backend,
    struct err *err)
{
	struct mysql_conn *c;

	if (mysql_library_init(0, NULL, NULL) != 0)
		return err_set(err, "cannot start the MySQL client library");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_errno(err, "cannot make the store");
	TAILQ_INIT(&c->prepared);
	c->connect_timeout_s = seconds(params->connect_timeout_ms);
	c->timeout_s = seconds(params->timeout_ms);
	c->max_event_bytes = params->max_event_bytes;
	if (sql_describe(params->url, NULL, &c->place, err) == -1 ||
	    mysql_trust_init(&c->trust, params, &c->place, err) == -1)
		goto fail;
	if (params->password != NULL) {
		c->password = strdup(params->password);
		if (c->password == NULL) {
			(void)err_errno(err, "cannot make the store");
			goto fail;
		}
	}
	if (c->place.host == NULL)
		(void)snprintf(c->base.target, sizeof(c->base.target),
		    "mysql:%s/%s",
		    c->place.socket == NULL ? "localhost" : c->place.socket,
		    c->place.name);
	else
		(void)snprintf(c->base.target, sizeof(c->base.target),
		    "mysql://%s:%u/%s", c->place.host, c->place.port, c->place.name);
	*backend = &c->base;
	return 0;
fail:
	mysql_conn_fini(c);
	free(c);
	return -1;
}

static enum store_status
mysql_connect_op(struct store_backend *backend, struct err *err)
{
	return mysql_conn_open(mysql_conn_of(backend), err);
}

static bool
mysql_alive(const struct store_backend *backend)
{
	return mysql_conn_alive((const struct mysql_conn *)backend);
}

static enum store_status
mysql_ping_op(struct store_backend *backend, struct err *err)
{
	return mysql_conn_query(mysql_conn_of(backend), "DO 1", err);
}

/* ---- add ---- */

static const struct mysql_sql insert_events = {
    .head = "INSERT INTO event (id, k, shard, status, attempts, owner, due_ms,"
	    " expiry_ms, created_ms, fingerprint, app, event_id, method, url,"
	    " headers, body, body_is_text, last_code, last_error) VALUES ",
    .item = "(?, ?, ?, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '')",
    .sep = ", ",
    .tail = " ON DUPLICATE KEY UPDATE id = id",
};

static const struct mysql_sql select_keys = {
    .head = "SELECT id, status, last_code, last_error <> '', k, fingerprint"
	    " FROM event WHERE k IN (",
    .item = "?",
    .sep = ", ",
    .tail = ")",
    .columns = "iiiibb",
};

struct add_batch {
	struct store_add **adds;
	size_t n;
	int64_t now_ms;
};

static struct slice
key_bytes(const uint8_t bytes[EVENT_KEY_BYTES])
{
	return slice_of((const char *)bytes, EVENT_KEY_BYTES);
}

static size_t
add_bytes(const struct store_add *add)
{
	return store_event_bytes(add->event) + MYSQL_ROW_BYTES;
}

static int
compare_adds(const void *a, const void *b)
{
	const struct store_add *const *x = a, *const *y = b;

	return memcmp((*x)->key.bytes, (*y)->key.bytes, EVENT_KEY_BYTES);
}

/* How many of the first adds go into one statement. */
static size_t
chunk_of_adds(
    const struct mysql_conn *c, struct store_add *const *adds, size_t n)
{
	size_t bytes = 0, len;

	n = smaller(n, MYSQL_ROWS_MAX);
	for (len = 0; len < n; len++) {
		bytes += add_bytes(adds[len]);
		if (len > 0 && bytes > c->max_packet)
			break;
	}
	return len;
}

static enum store_status
insert_chunk(struct mysql_conn *c, const struct add_batch *chunk,
    uint64_t *affected, struct err *err)
{
	for (size_t i = 0; i < chunk->n; i++) {
		const struct store_add *add = chunk->adds[i];
		const struct event *ev = add->event;

		mysql_conn_i64(c, add->row_id);
		mysql_conn_bytes(c, key_bytes(add->key.bytes));
		mysql_conn_i64(c, add->shard);
		mysql_conn_i64(c, ev->expiry_ms); /* due */
		mysql_conn_i64(c, ev->expiry_ms);
		mysql_conn_i64(c, chunk->now_ms);
		mysql_conn_bytes(c, key_bytes(add->fingerprint));
		mysql_conn_bytes(c, ev->app);
		mysql_conn_bytes(c, ev->id);
		mysql_conn_bytes(c, ev->method);
		mysql_conn_bytes(c, ev->url);
		mysql_conn_bytes(c, ev->headers);
		mysql_conn_bytes(c, ev->body);
		mysql_conn_i64(c, ev->body_is_text);
	}
	return mysql_conn_exec(
	    c, &insert_events, (unsigned)chunk->n, affected, err);
}

/* From the second to the fourth column: status, last_code, last_error <> ''. */
static enum store_status
read_state(const struct mysql_conn *c, enum event_state *state, struct err *err)
{
	int64_t row_status = mysql_conn_col_i64(c, 1);

	*state = store_row_state((enum row_status)row_status,
	    mysql_conn_col_i64(c, 2) != 0, mysql_conn_col_i64(c, 3) != 0);
	return store_check_number("status", row_status, ROW_FAILED, err);
}

/*
 * Fills in those of the chunk that have the key of the present row; its id goes
 * to found[].
 */
static enum store_status
judge_adds(const struct mysql_conn *c, const struct add_batch *chunk,
    int64_t found[MYSQL_ROWS_MAX], struct err *err)
{
	enum event_state state;
	enum store_status status = read_state(c, &state, err);

	for (size_t i = 0; i < chunk->n; i++) {
		struct store_add *add = chunk->adds[i];

		if (!slice_eq(
			mysql_conn_col_bytes(c, 4), key_bytes(add->key.bytes)))
			continue;
		found[i] = mysql_conn_col_i64(c, 0);
		add->state = state;
		if (found[i] == add->row_id)
			add->outcome = ADD_CREATED;
		else if (slice_eq(mysql_conn_col_bytes(c, 5),
			     key_bytes(add->fingerprint)))
			add->outcome = ADD_SAME;
		else
			add->outcome = ADD_CONFLICT;
	}
	return status;
}

static enum store_status
find_chunk(struct mysql_conn *c, const struct add_batch *chunk,
    int64_t found[MYSQL_ROWS_MAX], struct err *err)
{
	enum store_status status;

	for (size_t i = 0; i < chunk->n; i++)
		mysql_conn_bytes(c, key_bytes(chunk->adds[i]->key.bytes));
	status = mysql_conn_select(c, &select_keys, (unsigned)chunk->n, err);
	while (mysql_conn_next(c, &status, err))
		status = judge_adds(c, chunk, found, err);
	return status;
}

/*
 * Which of the chunk are in the table as ours, which were there before. One
 * that is not there at all met the row id of another event: a new id is made.
 */
static enum store_status
resolve_chunk(struct mysql_conn *c, const struct add_batch *chunk,
    bool *complete, struct err *err)
{
	int64_t found[MYSQL_ROWS_MAX] = {0};
	enum store_status status = find_chunk(c, chunk, found, err);

	*complete = true;
	for (size_t i = 0; i < chunk->n; i++)
		if (found[i] == 0)
			*complete = false;
	for (size_t i = 0; i < chunk->n; i++) {
		if (found[i] == 0)
			chunk->adds[i]->row_id = row_id_make(chunk->now_ms);
		else if (*complete)
			chunk->adds[i]->row_id = found[i];
	}
	return status;
}

static enum store_status
add_chunk(struct mysql_conn *c, const struct add_batch *chunk, struct err *err)
{
	for (unsigned round = 0; round < ADD_ROUNDS_MAX; round++) {
		uint64_t affected;
		bool complete;
		enum store_status status;

		status = insert_chunk(c, chunk, &affected, err);
		if (status != STORE_OK)
			return status;
		if (affected == chunk->n) {
			for (size_t i = 0; i < chunk->n; i++) {
				chunk->adds[i]->outcome = ADD_CREATED;
				chunk->adds[i]->state = EVENT_PENDING;
			}
			return STORE_OK;
		}
		status = resolve_chunk(c, chunk, &complete, err);
		if (status != STORE_OK || complete)
			return status;
	}
	(void)err_set(err, "no free row id after %d tries", ADD_ROUNDS_MAX);
	return STORE_UNAVAILABLE;
}

static enum store_status
refuse_chunk(
    struct mysql_conn *c, const struct add_batch *chunk, struct err *err)
{
	int64_t found[MYSQL_ROWS_MAX] = {0};

	for (size_t i = 0; i < chunk->n; i++)
		chunk->adds[i]->outcome = ADD_NO_ROOM;
	return find_chunk(c, chunk, found, err);
}

static enum store_status
each_chunk(struct mysql_conn *c, const struct add_batch *batch,
    enum store_status (*act)(
	struct mysql_conn *c, const struct add_batch *chunk, struct err *err),
    struct err *err)
{
	struct add_batch chunk = *batch;
	enum store_status status = STORE_OK;

	for (size_t at = 0; status == STORE_OK && at < batch->n;
	     at += chunk.n) {
		chunk.adds = batch->adds + at;
		chunk.n = chunk_of_adds(c, chunk.adds, batch->n - at);
		status = act(c, &chunk, err);
	}
	return status;
}

static enum store_status
add_body(struct mysql_conn *c, void *arg, struct err *err)
{
	const struct add_batch *batch = arg;

	for (size_t i = 0; i < batch->n; i++)
		batch->adds[i]->row_id = row_id_make(batch->now_ms);
	return each_chunk(c, batch, add_chunk, err);
}

static enum store_status
refuse_body(struct mysql_conn *c, void *arg, struct err *err)
{
	return each_chunk(c, arg, refuse_chunk, err);
}

/* Moves those that no statement can hold to the end. */
static size_t
count_fitting(const struct mysql_conn *c, struct store_add **adds, size_t n)
{
	size_t n_fit = 0;

	for (size_t i = 0; i < n; i++) {
		struct store_add *add = adds[i];

		if (add_bytes(add) > c->max_packet)
			continue;
		adds[i] = adds[n_fit];
		adds[n_fit++] = add;
	}
	return n_fit;
}

/*
 * Events too large for the server's setting do not keep the others out: these
 * are stored, and found there when the caller repeats the rest.
 */
static enum store_status
mysql_add(struct store_backend *backend, struct store_add **adds, size_t n,
    struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);
	struct add_batch batch = {
	    .adds = adds,
	    .n = count_fitting(c, adds, n),
	    .now_ms = clock_wall_ms(),
	};
	enum store_status status = STORE_OK;

	qsort(adds, batch.n, sizeof(struct store_add *), compare_adds);
	c->base.full = false;
	if (batch.n == 1) /* one statement commits itself */
		status = mysql_conn_repeat(c, add_body, &batch, err);
	else if (batch.n > 1)
		status = mysql_conn_transact(c, add_body, &batch, err);
	if (status == STORE_UNAVAILABLE && c->base.full && c->base.connected)
		status = mysql_conn_repeat(c, refuse_body, &batch, err);
	if (status != STORE_OK || batch.n == n)
		return status;
	(void)err_set(err,
	    "an event of %zu bytes does not fit max_allowed_packet = %zu "
	    "of the database server",
	    add_bytes(adds[batch.n]), c->max_packet);
	return STORE_BROKEN;
}

/* ---- find, cancel ---- */

static const struct mysql_sql find_status = {
    .head = "SELECT id, status, last_code, last_error <> '', attempts, due_ms,"
	    " created_ms, expiry_ms, last_error, app, event_id"
	    " FROM event WHERE k = ?",
    .columns = "iiiiiiiibbb",
};

static const struct mysql_sql find_whole = {
    .head = "SELECT id, status, last_code, last_error <> '', attempts, due_ms,"
	    " created_ms, expiry_ms, last_error, app, event_id, method, url,"
	    " headers, body, body_is_text,"
	    " (SELECT COUNT(*) FROM attempt WHERE attempt.event = event.id),"
	    " (SELECT CAST(COALESCE(SUM(LENGTH(error) + LENGTH(response)), 0)"
	    " AS SIGNED) FROM attempt WHERE attempt.event = event.id)"
	    " FROM event WHERE k = ?",
    .columns = "iiiiiiiibbbbbbbiii",
};

/* The log only grows: the first rows are those that were counted. */
static const struct mysql_sql find_log = {
    .head = "SELECT number, at_ms, code, error, response FROM attempt"
	    " WHERE event = ? ORDER BY number LIMIT ?",
    .columns = "iiibb",
};

static struct store_row
read_row(const struct mysql_conn *c, enum store_find what)
{
	struct store_row row = {
	    .id = mysql_conn_col_i64(c, 0),
	    .status = mysql_conn_col_i64(c, 1),
	    .last_code = mysql_conn_col_i64(c, 2),
	    .attempts = mysql_conn_col_i64(c, 4),
	    .due_ms = mysql_conn_col_i64(c, 5),
	    .created_ms = mysql_conn_col_i64(c, 6),
	    .last_error = mysql_conn_col_bytes(c, 8),
	    .event.expiry_ms = mysql_conn_col_i64(c, 7),
	    .event.app = mysql_conn_col_bytes(c, 9),
	    .event.id = mysql_conn_col_bytes(c, 10),
	};

	if (what == FIND_WHOLE) {
		row.event.method = mysql_conn_col_bytes(c, 11);
		row.event.url = mysql_conn_col_bytes(c, 12);
		row.event.headers = mysql_conn_col_bytes(c, 13);
		row.event.body = mysql_conn_col_bytes(c, 14);
		row.event.body_is_text = mysql_conn_col_i64(c, 15) != 0;
		row.n_log = mysql_conn_col_i64(c, 16);
		row.log_bytes = mysql_conn_col_i64(c, 17);
	}
	return row;
}

static enum store_status
read_log(struct mysql_conn *c, int64_t row_id, int64_t n_log,
    struct store_record *record, struct err *err)
{
	enum store_status status;

	mysql_conn_i64(c, row_id);
	mysql_conn_i64(c, n_log);
	status = mysql_conn_select(c, &find_log, 0, err);
	while (mysql_conn_next(c, &status, err)) {
		const struct store_log_row row = {
		    .number = mysql_conn_col_i64(c, 0),
		    .at_ms = mysql_conn_col_i64(c, 1),
		    .code = mysql_conn_col_i64(c, 2),
		    .error = mysql_conn_col_bytes(c, 3),
		    .response = mysql_conn_col_bytes(c, 4),
		};

		status = store_record_log(record, &row, err);
	}
	return status;
}

static enum store_status
mysql_find(struct store_backend *backend, const struct event_key *key,
    enum store_find what, struct store_record **record, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);
	const struct mysql_sql *sql =
	    what == FIND_WHOLE ? &find_whole : &find_status;
	enum store_status status;
	struct store_row row;

	mysql_conn_bytes(c, key_bytes(key->bytes));
	status = mysql_conn_select(c, sql, 0, err);
	if (!mysql_conn_next(c, &status, err))
		return status;
	row = read_row(c, what);
	status = store_record_create(&row, record, err);
	/* To its end: what stays unread looks like the connection's. */
	(void)mysql_conn_next(c, &status, err);
	if (status == STORE_OK && row.n_log > 0)
		status = read_log(c, row.id, row.n_log, *record, err);
	if (status != STORE_OK) {
		store_record_free(*record);
		*record = NULL;
	}
	return status;
}

struct cancel {
	const struct event_key *key;
	enum cancel_outcome outcome;
	enum event_state state;
};

static enum store_status
cancel_body(struct mysql_conn *c, void *arg, struct err *err)
{
	static const struct mysql_sql lock_event = {
	    .head = "SELECT id, status, last_code, last_error <> ''"
		    " FROM event WHERE k = ? FOR UPDATE",
	    .columns = "iiii",
	};
	static const struct mysql_sql delete_log = {
	    .head = "DELETE FROM attempt WHERE event = ?"};
	static const struct mysql_sql delete_event = {
	    .head = "DELETE FROM event WHERE id = ?"};
	struct cancel *cancel = arg;
	int64_t row_id = 0, row_status = 0;
	bool found = false;
	enum store_status status;

	mysql_conn_bytes(c, key_bytes(cancel->key->bytes));
	status = mysql_conn_select(c, &lock_event, 0, err);
	while (mysql_conn_next(c, &status, err)) {
		found = true;
		row_id = mysql_conn_col_i64(c, 0);
		row_status = mysql_conn_col_i64(c, 1);
		status = read_state(c, &cancel->state, err);
	}
	cancel->outcome = CANCEL_UNKNOWN;
	if (status != STORE_OK || !found)
		return status;
	cancel->outcome = CANCEL_REFUSED;
	if (row_status != ROW_WAITING)
		return STORE_OK;
	cancel->outcome = CANCEL_DELETED;
	mysql_conn_i64(c, row_id);
	status = mysql_conn_exec(c, &delete_log, 0, NULL, err);
	if (status != STORE_OK)
		return status;
	mysql_conn_i64(c, row_id);
	return mysql_conn_exec(c, &delete_event, 0, NULL, err);
}

static enum store_status
mysql_cancel(struct store_backend *backend, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);
	struct cancel cancel = {.key = key};
	enum store_status status;

	status = mysql_conn_transact(c, cancel_body, &cancel, err);
	*outcome = cancel.outcome;
	*state = cancel.state;
	return status;
}

const struct store_ops store_mysql_ops = {
    .kind = "mysql",
    .create = mysql_create,
    .destroy = mysql_destroy,
    .connect = mysql_connect_op,
    .alive = mysql_alive,
    .check = mysql_check,
    .ping = mysql_ping_op,
    .add = mysql_add,
    .find = mysql_find,
    .cancel = mysql_cancel,
    .lease = mysql_lease,
    .turn = mysql_turn,
    .purge = mysql_purge,
};
