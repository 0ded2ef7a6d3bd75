/* SPDX-License-Identifier: ISC */
#include "store/store_sqlite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sql/sql_url.h"
#include "store/row_id.h"
#include "store/sqlite_room.h"
#include "store/sqlite_schema.h"

enum {
	ADD_TRIES_MAX = 10,
	ADD_ROW_BYTES = 1024, /* beside the event, its index entries included */
};

static void
bind_key(struct sqlite_query *q, const struct event_key *key)
{
	sqlite_bind_bytes(
	    q, slice_of((const char *)key->bytes, sizeof(key->bytes)));
}

/* ---- the store ---- */

static void
sqlite_destroy(struct store_backend *backend)
{
	struct sqlite_conn *c = sqlite_conn_of(backend);

	sqlite_conn_close(c);
	free(c->path);
	free(c);
}

static int
sqlite_create(const struct store_params *params, struct store_backend **backend,
    struct err *err)
{
	struct sql_place place;
	struct sqlite_conn *c;

	if (sql_describe(params->url, params->state_dir, &place, err) == -1)
		return -1;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)err_errno(err, "%s", params->url);
		sql_place_free(&place);
		return -1;
	}
	c->path = place.file;
	place.file = NULL;
	c->timeout_ms =
	    params->timeout_ms < INT_MAX ? params->timeout_ms : INT_MAX;
	c->min_free_bytes = params->min_free_bytes;
	c->write_lock = params->write_lock;
	(void)snprintf(
	    c->base.target, sizeof(c->base.target), "%s", place.shown);
	sql_place_free(&place);
	*backend = &c->base;
	return 0;
}

static enum store_status
sqlite_connect(struct store_backend *backend, struct err *err)
{
	return sqlite_conn_open(sqlite_conn_of(backend), err);
}

static enum store_status
sqlite_check(struct store_backend *backend, bool create, struct err *err)
{
	(void)create;
	return sqlite_schema_check(sqlite_conn_of(backend), err);
}

static enum store_status
sqlite_ping(struct store_backend *backend, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);

	/* Reading is possible where an add is not; this costs no write. */
	return status == STORE_OK ? sqlite_conn_end(c, status, err) : status;
}

/* ---- adding ---- */

static int
compare_adds(const void *a, const void *b)
{
	const struct store_add *const *x = a, *const *y = b;

	return memcmp((*x)->key.bytes, (*y)->key.bytes, EVENT_KEY_BYTES);
}

static struct slice
fingerprint_of(const struct store_add *add)
{
	return slice_of(
	    (const char *)add->fingerprint, sizeof(add->fingerprint));
}

/* *inserted is 0 when the key or the row id is taken. */
static enum store_status
insert(struct sqlite_conn *c, struct store_add *add, int64_t now_ms,
    size_t *inserted, struct err *err)
{
	static const char sql[] =
	    "INSERT INTO event"
	    " (id, k, shard, due_ms, created_ms, fingerprint, " SQLITE_IDS
	    ", " SQLITE_REQUEST
	    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	    " ON CONFLICT DO NOTHING";
	struct sqlite_query q = sqlite_query_start(c, sql);
	const struct event *ev = add->event;

	add->row_id = row_id_make(now_ms);
	sqlite_bind_int(&q, add->row_id);
	bind_key(&q, &add->key);
	sqlite_bind_int(&q, add->shard);
	sqlite_bind_int(&q, ev->expiry_ms);
	sqlite_bind_int(&q, now_ms);
	sqlite_bind_bytes(&q, fingerprint_of(add));
	sqlite_bind_bytes(&q, ev->app);
	sqlite_bind_bytes(&q, ev->id);
	sqlite_bind_int(&q, ev->expiry_ms);
	sqlite_bind_bytes(&q, ev->method);
	sqlite_bind_bytes(&q, ev->url);
	sqlite_bind_bytes(&q, ev->headers);
	sqlite_bind_int(&q, ev->body_is_text);
	sqlite_bind_bytes(&q, ev->body);
	return sqlite_query_run(&q, inserted, err);
}

/* What is known of a row without its event. */
struct found {
	int64_t row_id;
	enum row_status status;
	enum event_state state;
	uint8_t fingerprint[EVENT_KEY_BYTES];
};

static enum store_status
look_up(struct sqlite_conn *c, const struct event_key *key, struct found *found,
    bool *row, struct err *err)
{
	static const char sql[] =
	    "SELECT id, status, last_code, last_error <> x'', fingerprint"
	    " FROM event WHERE k = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	struct slice fingerprint;
	enum store_status status, read;
	int64_t row_status;
	bool has_code;

	bind_key(&q, key);
	status = sqlite_query_step(&q, row, err);
	if (status != STORE_OK || !*row)
		return status;
	found->row_id = sqlite_read_int(&q);
	row_status = sqlite_read_int(&q);
	status = store_check_number("status", row_status, ROW_FAILED, err);
	found->status = (enum row_status)row_status;
	has_code = sqlite_read_int(&q) != 0;
	found->state =
	    store_row_state(found->status, has_code, sqlite_read_int(&q) != 0);
	fingerprint = sqlite_read_bytes(&q);
	memset(found->fingerprint, 0, sizeof(found->fingerprint));
	if (fingerprint.len == sizeof(found->fingerprint))
		memcpy(found->fingerprint, fingerprint.p, fingerprint.len);
	read = sqlite_query_done(&q, err);
	return read == STORE_OK ? status : read;
}

static void
judge(struct store_add *add, const struct found *found)
{
	add->row_id = found->row_id;
	add->state = found->state;
	add->outcome = memcmp(found->fingerprint, add->fingerprint,
			   sizeof(found->fingerprint)) == 0
			   ? ADD_SAME
			   : ADD_CONFLICT;
}

static enum store_status
add_one(struct sqlite_conn *c, struct store_add *add, int64_t now_ms,
    struct err *err)
{
	enum store_status status;
	struct found found;
	size_t inserted;
	bool there = false;
	unsigned n_tries = 0;

	do {
		if (n_tries++ == ADD_TRIES_MAX) {
			/* The row ids are not to blame: the file is. */
			(void)err_set(err, "%s: takes no event", c->path);
			return STORE_BROKEN;
		}
		status = insert(c, add, now_ms, &inserted, err);
		if (status != STORE_OK)
			return status;
		if (inserted == 1) {
			add->outcome = ADD_CREATED;
			add->state = EVENT_PENDING;
			return STORE_OK;
		}
		/* When the key is not there, the row id was taken. */
		status = look_up(c, &add->key, &found, &there, err);
	} while (status == STORE_OK && !there);
	if (status == STORE_OK)
		judge(add, &found);
	return status;
}

static enum store_status
refuse_one(struct sqlite_conn *c, struct store_add *add, struct err *err)
{
	struct found found;
	bool there = false;
	enum store_status status = look_up(c, &add->key, &found, &there, err);

	add->outcome = ADD_NO_ROOM;
	if (status == STORE_OK && there)
		judge(add, &found);
	return status;
}

static int64_t
bytes_of(struct store_add *const *adds, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += store_event_bytes(adds[i]->event) + ADD_ROW_BYTES;
	return (int64_t)bytes;
}

static enum store_status
add_all(struct sqlite_conn *c, struct store_add **adds, size_t n, bool room,
    struct err *err)
{
	enum store_status status = sqlite_conn_begin(c, err);
	int64_t now_ms = clock_wall_ms();

	if (status != STORE_OK)
		return status;
	if (room)
		status = sqlite_room_for(c, bytes_of(adds, n), &room, err);
	for (size_t i = 0; i < n && status == STORE_OK; i++)
		status = room ? add_one(c, adds[i], now_ms, err)
			      : refuse_one(c, adds[i], err);
	return sqlite_conn_end(c, status, err);
}

static enum store_status
sqlite_add(struct store_backend *backend, struct store_add **adds, size_t n,
    struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(backend);
	enum store_status status;

	/* Neighbours in the index of keys are written together. */
	qsort(adds, n, sizeof(struct store_add *), compare_adds);
	status = add_all(c, adds, n, true, err);
	if (status == STORE_UNAVAILABLE && c->base.full)
		status = add_all(c, adds, n, false, err);
	return status;
}

/* ---- finding ---- */

void
sqlite_read_ids(struct sqlite_query *q, struct event *ev)
{
	ev->app = sqlite_read_bytes(q);
	ev->id = sqlite_read_bytes(q);
	ev->expiry_ms = sqlite_read_int(q);
}

void
sqlite_read_request(struct sqlite_query *q, struct event *ev)
{
	ev->method = sqlite_read_bytes(q);
	ev->url = sqlite_read_bytes(q);
	ev->headers = sqlite_read_bytes(q);
	ev->body_is_text = sqlite_read_int(q) != 0;
	ev->body = sqlite_read_bytes(q);
}

static enum store_status
log_size(struct sqlite_conn *c, int64_t row_id, int64_t *n, int64_t *bytes,
    struct err *err)
{
	/* length() counts the characters of a TEXT, and to the first NUL. */
	static const char sql[] =
	    "SELECT count(*), coalesce(sum(length(CAST(error AS BLOB))"
	    " + length(CAST(response AS BLOB))), 0)"
	    " FROM attempt WHERE event = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_int(&q, row_id);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	*n = sqlite_read_int(&q);
	*bytes = sqlite_read_int(&q);
	return sqlite_query_done(&q, err);
}

static enum store_status
read_log(struct sqlite_conn *c, int64_t row_id, struct store_record *record,
    struct err *err)
{
	static const char sql[] =
	    "SELECT number, at_ms, code, error, response FROM attempt"
	    " WHERE event = ? ORDER BY number";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_int(&q, row_id);
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		struct store_log_row attempt;

		attempt.number = sqlite_read_int(&q);
		attempt.at_ms = sqlite_read_int(&q);
		attempt.code = sqlite_read_int(&q);
		attempt.error = sqlite_read_bytes(&q);
		attempt.response = sqlite_read_bytes(&q);
		status = store_record_log(record, &attempt, err);
		if (status != STORE_OK) {
			sqlite_query_end(&q);
			break;
		}
	}
	return status;
}

/* Makes the record of the row that the query stands on. */
static enum store_status
read_record(struct sqlite_query *q, enum store_find what,
    struct store_record **record, struct err *err)
{
	struct store_row row = {0};
	enum store_status status = STORE_OK;

	row.id = sqlite_read_int(q);
	row.status = sqlite_read_int(q);
	row.attempts = sqlite_read_int(q);
	row.due_ms = sqlite_read_int(q);
	row.created_ms = sqlite_read_int(q);
	row.last_code = sqlite_read_int(q);
	row.last_error = sqlite_read_bytes(q);
	sqlite_read_ids(q, &row.event);
	if (what == FIND_WHOLE) {
		sqlite_read_request(q, &row.event);
		status =
		    log_size(q->conn, row.id, &row.n_log, &row.log_bytes, err);
	}
	if (status == STORE_OK)
		status = store_record_create(&row, record, err);
	if (status == STORE_OK && row.n_log > 0)
		status = read_log(q->conn, row.id, *record, err);
	return status;
}

static enum store_status
sqlite_find(struct store_backend *backend, const struct event_key *key,
    enum store_find what, struct store_record **record, struct err *err)
{
	static const char find_status[] =
	    "SELECT id, status, attempts, due_ms, created_ms, last_code,"
	    " last_error, " SQLITE_IDS " FROM event WHERE k = ?";
	static const char find_whole[] =
	    "SELECT id, status, attempts, due_ms, created_ms, last_code,"
	    " last_error, " SQLITE_IDS ", " SQLITE_REQUEST
	    " FROM event WHERE k = ?";
	struct sqlite_query q = sqlite_query_start(sqlite_conn_of(backend),
	    what == FIND_WHOLE ? find_whole : find_status);
	enum store_status status, read;
	bool row;

	bind_key(&q, key);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	/* As long as this query stands on its row, all reads see one state. */
	status = read_record(&q, what, record, err);
	read = sqlite_query_done(&q, err);
	if (read != STORE_OK)
		status = read;
	if (status != STORE_OK) {
		store_record_free(*record);
		*record = NULL;
	}
	return status;
}

/* ---- cancelling ---- */

static enum store_status
cancel_waiting(struct sqlite_conn *c, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	static const char delete_log[] = "DELETE FROM attempt WHERE event = ?";
	static const char delete_event[] = "DELETE FROM event WHERE id = ?";
	enum store_status status;
	struct found found;
	bool row;

	status = look_up(c, key, &found, &row, err);
	if (status != STORE_OK)
		return status;
	if (!row) {
		*outcome = CANCEL_UNKNOWN;
		return STORE_OK;
	}
	*state = found.state;
	if (found.status != ROW_WAITING) {
		*outcome = CANCEL_REFUSED;
		return STORE_OK;
	}
	*outcome = CANCEL_DELETED;
	status = sqlite_query_run_with(c, delete_log, found.row_id, err);
	if (status == STORE_OK)
		status =
		    sqlite_query_run_with(c, delete_event, found.row_id, err);
	return status;
}

static enum store_status
sqlite_cancel(struct store_backend *backend, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);

	if (status != STORE_OK)
		return status;
	status = cancel_waiting(c, key, outcome, state, err);
	return sqlite_conn_end(c, status, err);
}

const struct store_ops store_sqlite_ops = {
    .kind = "sqlite",
    .create = sqlite_create,
    .destroy = sqlite_destroy,
    .connect = sqlite_connect,
    .check = sqlite_check,
    .ping = sqlite_ping,
    .add = sqlite_add,
    .find = sqlite_find,
    .cancel = sqlite_cancel,
    .lease = sqlite_lease,
    .turn = sqlite_turn,
    .purge = sqlite_purge,
};
