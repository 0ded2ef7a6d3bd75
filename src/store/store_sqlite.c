/* SPDX-License-Identifier: ISC */
/*
 * The operations on SQLite. The wall clock is the database's clock: all users
 * of a file are on one host. The numbers of enum row_status stand in the
 * statements as literals, since that is how a partial index is found.
 */
#include "store/store_backend.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/sqlite_conn.h"
#include "store/sqlite_query.h"
#include "store/sqlite_schema.h"

enum { ADD_CHECKPOINT_PAGES = 1000 };

/* Columns as read_ids and read_request read them. */
#define IDS     "app, event_id, expiry_ms"
#define REQUEST "method, url, headers, body_is_text, body"

static struct sqlite_conn *
conn_of(struct store_backend *backend)
{
	return (struct sqlite_conn *)backend;
}

static bool
has_bit(uint64_t mask, unsigned shard)
{
	return (mask >> shard & 1) != 0;
}

static void
bind_key(struct sqlite_query *q, const struct event_key *key)
{
	sqlite_bind_bytes(
	    q, slice_of((const char *)key->bytes, sizeof(key->bytes)));
}

/* A statement without rows whose parameter is a number. */
static enum store_status
run_with(struct sqlite_conn *c, const char *sql, int64_t value, struct err *err)
{
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_int(&q, value);
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
run_with_owner(
    struct sqlite_conn *c, const char *sql, uint64_t owner, struct err *err)
{
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_bits(&q, owner);
	return sqlite_query_run(&q, &changed, err);
}

/* ---- the store ---- */

static void
sqlite_destroy(struct store_backend *backend)
{
	struct sqlite_conn *c = conn_of(backend);

	sqlite_conn_close(c);
	free(c->path);
	free(c);
}

bool
store_is_sqlite(const char *url)
{
	return strncmp(url, "sqlite:", strlen("sqlite:")) == 0;
}

char *
store_file(const char *state_dir, const char *url)
{
	const char *name = url + strlen("sqlite:");
	char *path = NULL;

	if (state_dir == NULL || name[0] == '/')
		return strdup(name);
	return asprintf(&path, "%s/%s", state_dir, name) == -1 ? NULL : path;
}

static int
sqlite_create(const struct store_params *params, struct store_backend **backend,
    struct err *err)
{
	const char *name = params->url + strlen("sqlite:");
	struct sqlite_conn *c;

	if (name[0] == '\0')
		return err_set(err, "%s: no path", params->url);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_errno(err, "%s", params->url);
	c->path = store_file(params->state_dir, params->url);
	if (c->path == NULL) {
		(void)err_errno(err, "%s", params->url);
		free(c);
		return -1;
	}
	c->timeout_ms =
	    params->timeout_ms < INT_MAX ? params->timeout_ms : INT_MAX;
	c->write_lock = params->write_lock;
	(void)snprintf(
	    c->base.target, sizeof(c->base.target), "sqlite:%s", c->path);
	*backend = &c->base;
	return 0;
}

static enum store_status
sqlite_connect(struct store_backend *backend, struct err *err)
{
	return sqlite_conn_open(conn_of(backend), err);
}

static enum store_status
sqlite_check(struct store_backend *backend, bool create, struct err *err)
{
	(void)create;
	return sqlite_schema_check(conn_of(backend), err);
}

static enum store_status
sqlite_ping(struct store_backend *backend, struct err *err)
{
	static const char sql[] = "SELECT count(*) FROM sqlite_master";
	struct sqlite_query q = sqlite_query_start(conn_of(backend), sql);
	enum store_status status;
	bool row;

	status = sqlite_query_step(&q, &row, err);
	sqlite_query_end(&q);
	return status;
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
	    " (id, k, shard, due_ms, created_ms, fingerprint, " IDS ", " REQUEST
	    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	    " ON CONFLICT DO NOTHING";
	struct sqlite_query q = sqlite_query_start(c, sql);
	const struct event *ev = add->event;

	add->row_id = event_row_id(now_ms);
	sqlite_bind_int(&q, add->row_id);
	bind_key(&q, &add->key);
	sqlite_bind_int(&q, event_shard(&add->key));
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
	    "SELECT id, status, last_code, length(last_error), fingerprint"
	    " FROM event WHERE k = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	struct slice fingerprint;
	enum store_status status;
	int last_code;

	bind_key(&q, key);
	status = sqlite_query_step(&q, row, err);
	if (status != STORE_OK || !*row)
		return status;
	found->row_id = sqlite_read_int(&q);
	found->status = (enum row_status)sqlite_read_int(&q);
	last_code = (int)sqlite_read_int(&q);
	found->state =
	    store_row_state(found->status, last_code, sqlite_read_int(&q) > 0);
	fingerprint = sqlite_read_bytes(&q);
	memset(found->fingerprint, 0, sizeof(found->fingerprint));
	if (fingerprint.len == sizeof(found->fingerprint))
		memcpy(found->fingerprint, fingerprint.p, fingerprint.len);
	sqlite_query_end(&q);
	return STORE_OK;
}

static enum store_status
add_one(struct sqlite_conn *c, struct store_add *add, int64_t now_ms,
    struct err *err)
{
	enum store_status status;
	struct found found;
	size_t inserted;
	bool there = false;

	do {
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
	if (status != STORE_OK)
		return status;
	add->row_id = found.row_id;
	add->state = found.state;
	add->outcome = memcmp(found.fingerprint, add->fingerprint,
			   sizeof(found.fingerprint)) == 0
			   ? ADD_SAME
			   : ADD_CONFLICT;
	return STORE_OK;
}

static enum store_status
sqlite_add(struct store_backend *backend, struct store_add **adds, size_t n,
    struct err *err)
{
	struct sqlite_conn *c = conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);
	int64_t now_ms = clock_wall_ms();

	if (status != STORE_OK)
		return status;
	/* Clients wait for an add: a checkpoint must be short. */
	(void)sqlite3_wal_autocheckpoint(c->db, ADD_CHECKPOINT_PAGES);
	/* Neighbours in the index of keys are written together. */
	qsort(adds, n, sizeof(struct store_add *), compare_adds);
	for (size_t i = 0; i < n && status == STORE_OK; i++)
		status = add_one(c, adds[i], now_ms, err);
	return sqlite_conn_end(c, status, err);
}

/* ---- finding ---- */

static void
read_ids(struct sqlite_query *q, struct event *ev)
{
	ev->app = sqlite_read_bytes(q);
	ev->id = sqlite_read_bytes(q);
	ev->expiry_ms = sqlite_read_int(q);
}

static void
read_request(struct sqlite_query *q, struct event *ev)
{
	ev->method = sqlite_read_bytes(q);
	ev->url = sqlite_read_bytes(q);
	ev->headers = sqlite_read_bytes(q);
	ev->body_is_text = sqlite_read_int(q) != 0;
	ev->body = sqlite_read_bytes(q);
}

static enum store_status
log_size(struct sqlite_conn *c, int64_t row_id, size_t *n, size_t *bytes,
    struct err *err)
{
	static const char sql[] =
	    "SELECT count(*), total(length(error) + length(response))"
	    " FROM attempt WHERE event = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_int(&q, row_id);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	*n = (size_t)sqlite_read_int(&q);
	*bytes = (size_t)sqlite_read_int(&q);
	sqlite_query_end(&q);
	return STORE_OK;
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
		struct store_attempt attempt;

		attempt.number = (unsigned)sqlite_read_int(&q);
		attempt.at_ms = sqlite_read_int(&q);
		attempt.code = (int)sqlite_read_int(&q);
		attempt.error = sqlite_read_bytes(&q);
		attempt.response = sqlite_read_bytes(&q);
		store_record_log(record, &attempt);
	}
	return status;
}

/* Makes the record of the row that the query stands on. */
static enum store_status
read_record(struct sqlite_query *q, enum store_find what,
    struct store_record **record, struct err *err)
{
	struct store_record row = {0};
	enum store_status status = STORE_OK;
	enum row_status row_status;
	int64_t row_id;
	size_t n_log = 0, log_bytes = 0;

	row_id = sqlite_read_int(q);
	row_status = (enum row_status)sqlite_read_int(q);
	row.attempts = (unsigned)sqlite_read_int(q);
	row.due_ms = sqlite_read_int(q);
	row.created_ms = sqlite_read_int(q);
	row.last_code = (int)sqlite_read_int(q);
	row.last_error = sqlite_read_bytes(q);
	read_ids(q, &row.event);
	if (what == FIND_WHOLE) {
		read_request(q, &row.event);
		status = log_size(q->conn, row_id, &n_log, &log_bytes, err);
		if (status != STORE_OK)
			return status;
	}
	*record =
	    store_record_create(&row.event, row.last_error, n_log, log_bytes);
	if (*record == NULL)
		return sqlite_conn_no_memory(q->conn, err);
	(*record)->state =
	    store_row_state(row_status, row.last_code, row.last_error.len > 0);
	(*record)->attempts = row.attempts;
	(*record)->due_ms = row.due_ms;
	(*record)->created_ms = row.created_ms;
	(*record)->last_code = row.last_code;
	if (n_log > 0)
		status = read_log(q->conn, row_id, *record, err);
	return status;
}

static enum store_status
sqlite_find(struct store_backend *backend, const struct event_key *key,
    enum store_find what, struct store_record **record, struct err *err)
{
	static const char find_status[] =
	    "SELECT id, status, attempts, due_ms, created_ms, last_code,"
	    " last_error, " IDS " FROM event WHERE k = ?";
	static const char find_whole[] =
	    "SELECT id, status, attempts, due_ms, created_ms, last_code,"
	    " last_error, " IDS ", " REQUEST " FROM event WHERE k = ?";
	struct sqlite_query q = sqlite_query_start(
	    conn_of(backend), what == FIND_WHOLE ? find_whole : find_status);
	enum store_status status;
	bool row;

	bind_key(&q, key);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	/* As long as this query stands on its row, all reads see one state. */
	status = read_record(&q, what, record, err);
	sqlite_query_end(&q);
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
	status = run_with(c, delete_log, found.row_id, err);
	if (status == STORE_OK)
		status = run_with(c, delete_event, found.row_id, err);
	return status;
}

static enum store_status
sqlite_cancel(struct store_backend *backend, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	struct sqlite_conn *c = conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);

	if (status != STORE_OK)
		return status;
	status = cancel_waiting(c, key, outcome, state, err);
	return sqlite_conn_end(c, status, err);
}

/* ---- leases ---- */

static const char unregister_sql[] = "DELETE FROM instance WHERE owner = ?";

static enum store_status
register_owner(struct sqlite_conn *c, const struct store_lease_turn *turn,
    int64_t now_ms, struct err *err)
{
	static const char sql[] =
	    "INSERT INTO instance (owner, until_ms, host, pid, started_ms)"
	    " VALUES (?, ?, ?, ?, ?)"
	    " ON CONFLICT (owner) DO UPDATE SET until_ms = excluded.until_ms";
	struct sqlite_query q = sqlite_query_start(c, sql);
	char host[HOST_NAME_MAX + 1] = "";
	size_t changed;

	(void)gethostname(host, sizeof(host) - 1);
	sqlite_bind_bits(&q, turn->owner);
	sqlite_bind_int(&q, now_ms + turn->lease_ms);
	sqlite_bind_bytes(&q, slice_from_string(host));
	sqlite_bind_int(&q, getpid());
	sqlite_bind_int(&q, now_ms);
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
forget_dead(struct sqlite_conn *c, uint64_t owner, struct err *err)
{
	static const char sql[] =
	    "UPDATE lease SET until_ms = 0 WHERE owner = ?";
	enum store_status status;

	status = run_with_owner(c, unregister_sql, owner, err);
	/* Not only those that we take: the rest is for the others. */
	if (status == STORE_OK)
		status = run_with_owner(c, sql, owner, err);
	return status;
}

/* Brings the registrations up to date: ours, the expired, the dead. */
static enum store_status
register_living(struct sqlite_conn *c, const struct store_lease_turn *turn,
    int64_t now_ms, struct err *err)
{
	static const char expire[] = "DELETE FROM instance WHERE until_ms <= ?";
	enum store_status status;

	if (turn->leaving)
		status = run_with_owner(c, unregister_sql, turn->owner, err);
	else
		status = register_owner(c, turn, now_ms, err);
	if (status == STORE_OK)
		status = run_with(
		    c, expire, store_lease_now(turn, now_ms), err);
	for (size_t i = 0; i < turn->n_dead && status == STORE_OK; i++)
		status = forget_dead(c, turn->dead[i], err);
	return status;
}

static enum store_status
read_rank(struct sqlite_conn *c, uint64_t owner, unsigned *rank,
    unsigned *n_living, struct err *err)
{
	static const char sql[] =
	    "SELECT count(*), total(owner < ?) FROM instance";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_bits(&q, owner);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	*n_living = (unsigned)sqlite_read_int(&q);
	*rank = (unsigned)sqlite_read_int(&q);
	sqlite_query_end(&q);
	return STORE_OK;
}

static enum store_status
read_leases(
    struct sqlite_conn *c, struct lease_row rows[EVENT_SHARDS], struct err *err)
{
	static const char sql[] = "SELECT shard, owner, until_ms FROM lease";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		struct lease_row *lease =
		    &rows[sqlite_read_int(&q) & (EVENT_SHARDS - 1)];

		lease->owner = sqlite_read_bits(&q);
		lease->until_ms = sqlite_read_int(&q);
	}
	return status;
}

static enum store_status
write_lease(struct sqlite_conn *c, unsigned shard, uint64_t owner,
    int64_t until_ms, struct err *err)
{
	static const char sql[] =
	    "UPDATE lease SET owner = ?, until_ms = ? WHERE shard = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_bits(&q, owner);
	sqlite_bind_int(&q, until_ms);
	sqlite_bind_int(&q, shard);
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
write_leases(struct sqlite_conn *c, const struct lease_plan *plan,
    uint64_t owner, int64_t until_ms, struct err *err)
{
	enum store_status status = STORE_OK;

	for (unsigned i = 0; i < EVENT_SHARDS && status == STORE_OK; i++) {
		if (has_bit(plan->drop, i))
			status = write_lease(c, i, 0, 0, err);
		else if (has_bit(plan->keep | plan->take, i))
			status = write_lease(c, i, owner, until_ms, err);
	}
	return status;
}

#define INTERRUPTED "CAST('interrupted' AS BLOB)"

/* What another owner left in a shard: logged, and due again or given up. */
static enum store_status
put_back(struct sqlite_conn *c, struct store_lease_turn *turn, unsigned shard,
    int64_t now_ms, struct err *err)
{
	static const char log_sql[] =
	    "REPLACE INTO attempt"
	    " (event, number, at_ms, code, error, response)"
	    " SELECT id, attempts, ?, 0, " INTERRUPTED ", x'' FROM event"
	    " WHERE status = 1 AND shard = ? AND owner <> ?";
	static const char sql[] =
	    "UPDATE event SET"
	    " status = CASE WHEN attempts >= ? THEN 3 ELSE 0 END,"
	    " due_ms = max(due_ms, ? + " STORE_INTERRUPTED_WAIT_MS "),"
	    " last_code = 0, last_error = " INTERRUPTED
	    " WHERE status = 1 AND shard = ? AND owner <> ?";
	struct sqlite_query q = sqlite_query_start(c, log_sql);
	enum store_status status;
	size_t n;

	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, shard);
	sqlite_bind_bits(&q, turn->owner);
	status = sqlite_query_run(&q, &n, err);
	if (status != STORE_OK || n == 0)
		return status;
	q = sqlite_query_start(c, sql);
	sqlite_bind_int(&q, turn->max_attempts);
	sqlite_bind_int(&q, now_ms);
	sqlite_bind_int(&q, shard);
	sqlite_bind_bits(&q, turn->owner);
	status = sqlite_query_run(&q, &n, err);
	turn->n_interrupted += n;
	return status;
}

static int
compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static enum store_status
find_strays(struct sqlite_conn *c, struct store_lease_turn *turn,
    unsigned shard, const int64_t *known, size_t n_known, struct err *err)
{
	static const char sql[] =
	    "SELECT id FROM event WHERE status = 1 AND shard = ? AND owner = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_int(&q, shard);
	sqlite_bind_bits(&q, turn->owner);
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		int64_t id = sqlite_read_int(&q);

		if (turn->n_strays < STORE_STRAYS_MAX &&
		    (n_known == 0 || bsearch(&id, known, n_known, sizeof(id),
					 compare_ids) == NULL))
			turn->strays[turn->n_strays++] = id;
	}
	return status;
}

static enum store_status
lease_shards(struct sqlite_conn *c, struct store_lease_turn *turn,
    int64_t now_ms, struct err *err)
{
	struct lease_row rows[EVENT_SHARDS] = {{0}};
	struct lease_plan plan;
	enum store_status status;
	unsigned rank = 0;

	status = register_living(c, turn, now_ms, err);
	if (status == STORE_OK)
		status = read_rank(c, turn->owner, &rank, &turn->n_living, err);
	if (status == STORE_OK)
		status = read_leases(c, rows, err);
	if (status != STORE_OK)
		return status;
	plan = store_lease_plan(rows, turn, rank, turn->n_living, now_ms);
	turn->shards = plan.keep | plan.take;
	return write_leases(
	    c, &plan, turn->owner, now_ms + turn->lease_ms, err);
}

static enum store_status
sqlite_lease(struct store_backend *backend, struct store_lease_turn *turn,
    const int64_t *known, size_t n_known, struct err *err)
{
	struct sqlite_conn *c = conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);
	int64_t now_ms = clock_wall_ms();

	if (status != STORE_OK)
		return status;
	turn->now_ms = now_ms;
	status = lease_shards(c, turn, now_ms, err);
	for (unsigned i = 0; i < EVENT_SHARDS && status == STORE_OK; i++) {
		if (!has_bit(turn->shards, i))
			continue;
		status = put_back(c, turn, i, now_ms, err);
		if (status == STORE_OK)
			status = find_strays(c, turn, i, known, n_known, err);
	}
	return sqlite_conn_end(c, status, err);
}

/* ---- results ---- */

static enum store_status
log_attempt(
    struct sqlite_conn *c, const struct store_result *result, struct err *err)
{
	static const char sql[] =
	    "REPLACE INTO attempt"
	    " (event, number, at_ms, code, error, response)"
	    " VALUES (?, ?, ?, ?, ?, ?)";
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_int(&q, result->row_id);
	sqlite_bind_int(&q, result->attempt);
	sqlite_bind_int(&q, result->at_ms);
	sqlite_bind_int(&q, result->code);
	sqlite_bind_bytes(&q, result->error);
	sqlite_bind_bytes(&q, result->response);
	return sqlite_query_run(&q, &changed, err);
}

/* *held is 0 when the row is no longer the owner's. */
static enum store_status
release(struct sqlite_conn *c, uint64_t owner,
    const struct store_result *result, size_t *held, struct err *err)
{
	static const char sql[] =
	    "UPDATE event SET status = 0, attempts = attempts - 1,"
	    " due_ms = COALESCE(NULLIF(?, 0), due_ms)"
	    " WHERE id = ? AND status = 1 AND owner = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);

	sqlite_bind_int(&q, result->due_ms);
	sqlite_bind_int(&q, result->row_id);
	sqlite_bind_bits(&q, owner);
	return sqlite_query_run(&q, held, err);
}

static enum store_status
finish(struct sqlite_conn *c, uint64_t owner, const struct store_result *result,
    enum row_status row_status, size_t *held, struct err *err)
{
	static const char sql[] =
	    "UPDATE event SET status = ?, due_ms = ?, last_code = ?,"
	    " last_error = ?"
	    " WHERE id = ? AND status = 1 AND owner = ? AND attempts = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);

	sqlite_bind_int(&q, row_status);
	sqlite_bind_int(
	    &q, row_status == ROW_WAITING ? result->due_ms : result->at_ms);
	sqlite_bind_int(&q, result->code);
	sqlite_bind_bytes(&q, result->error);
	sqlite_bind_int(&q, result->row_id);
	sqlite_bind_bits(&q, owner);
	sqlite_bind_int(&q, result->attempt);
	return sqlite_query_run(&q, held, err);
}

static enum store_status
write_result(struct sqlite_conn *c, struct store_turn *turn,
    const struct store_result *result, struct err *err)
{
	enum store_status status = STORE_OK;
	size_t held = 0;

	switch (result->kind) {
	case RESULT_COMPLETED:
		status =
		    finish(c, turn->owner, result, ROW_COMPLETED, &held, err);
		break;
	case RESULT_FAILED:
		status = finish(c, turn->owner, result, ROW_FAILED, &held, err);
		break;
	case RESULT_RETRY:
		status =
		    finish(c, turn->owner, result, ROW_WAITING, &held, err);
		break;
	case RESULT_RELEASED:
		status = release(c, turn->owner, result, &held, err);
		break;
	}
	if (status != STORE_OK)
		return status;
	if (held == 0)
		turn->n_stale++;
	else if (result->kind == RESULT_FAILED || result->kind == RESULT_RETRY)
		status = log_attempt(c, result, err);
	return status;
}

/* ---- claims ---- */

static enum store_status
read_owned(struct sqlite_conn *c, struct store_turn *turn, struct err *err)
{
	static const char sql[] =
	    "SELECT shard FROM lease WHERE owner = ? AND until_ms > ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	uint64_t held = 0;
	bool row;

	sqlite_bind_bits(&q, turn->owner);
	sqlite_bind_int(&q, clock_wall_ms());
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row)
		held |= UINT64_C(1)
			<< (sqlite_read_int(&q) & (EVENT_SHARDS - 1));
	turn->owned = held & turn->shards;
	return status;
}

/*
 * The rows of our shards that are due first, up to limit; of those beyond the
 * horizon only the first. Rows of others are passed over in the index alone.
 */
static enum store_status
read_due(struct sqlite_conn *c, const struct store_turn *turn, size_t limit,
    struct due_row *rows, size_t *n, struct err *err)
{
	static const char sql[] =
	    "SELECT due_ms, id, shard FROM event"
	    " WHERE status = 0 AND (? >> shard) & 1"
	    " ORDER BY due_ms, id LIMIT ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	sqlite_bind_bits(&q, turn->owned);
	sqlite_bind_int(&q, (int64_t)limit);
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		struct due_row *due = &rows[(*n)++];

		due->due_ms = sqlite_read_int(&q);
		due->row_id = sqlite_read_int(&q);
		due->shard = (unsigned)sqlite_read_int(&q);
		if (due->due_ms > turn->horizon_ms) {
			sqlite_query_end(&q);
			break;
		}
	}
	return status;
}

static enum store_status
mark(struct sqlite_conn *c, uint64_t owner, int64_t row_id, struct err *err)
{
	static const char sql[] =
	    "UPDATE event SET status = 1, attempts = attempts + 1, owner = ?"
	    " WHERE id = ? AND status = 0";
	struct sqlite_query q = sqlite_query_start(c, sql);
	size_t changed;

	sqlite_bind_bits(&q, owner);
	sqlite_bind_int(&q, row_id);
	return sqlite_query_run(&q, &changed, err);
}

static enum store_status
read_claim(struct sqlite_conn *c, const struct due_row *due,
    struct store_claim **claim, struct err *err)
{
	static const char sql[] =
	    "SELECT attempts, " IDS ", " REQUEST " FROM event WHERE id = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	struct event ev = {0};
	enum store_status status;
	unsigned attempt;
	bool row;

	sqlite_bind_int(&q, due->row_id);
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	attempt = (unsigned)sqlite_read_int(&q);
	read_ids(&q, &ev);
	read_request(&q, &ev);
	*claim = store_claim_create(&ev);
	sqlite_query_end(&q);
	if (*claim == NULL)
		return sqlite_conn_no_memory(c, err);
	(*claim)->row_id = due->row_id;
	(*claim)->shard = due->shard;
	(*claim)->attempt = attempt;
	(*claim)->due_ms = due->due_ms;
	return STORE_OK;
}

/* Nobody else can write in this transaction: the rows are as they were read. */
static enum store_status
claim_rows(struct sqlite_conn *c, struct store_turn *turn,
    const struct due_row *rows, size_t n, struct err *err)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < n && status == STORE_OK; i++) {
		struct store_claim *claim = NULL;

		status = mark(c, turn->owner, rows[i].row_id, err);
		if (status == STORE_OK)
			status = read_claim(c, &rows[i], &claim, err);
		if (claim != NULL)
			turn->claims[turn->n_claims++] = claim;
	}
	return status;
}

static enum store_status
claim_due(struct sqlite_conn *c, struct store_turn *turn, struct err *err)
{
	/* One more tells whether there are more; no shard is cut before it. */
	size_t limit = turn->claim_max + 1, n = 0;
	enum store_status status;
	struct due_row *rows;

	if (turn->owned == 0)
		return STORE_OK;
	rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return sqlite_conn_no_memory(c, err);
	status = read_due(c, turn, limit, rows, &n, err);
	if (status == STORE_OK) {
		n = store_pick(rows, n, limit + 1, turn);
		status = claim_rows(c, turn, rows, n, err);
	}
	free(rows);
	return status;
}

static enum store_status
sqlite_turn(
    struct store_backend *backend, struct store_turn *turn, struct err *err)
{
	struct sqlite_conn *c = conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; i < turn->n_results && status == STORE_OK; i++)
		status = write_result(c, turn, &turn->results[i], err);
	if (status == STORE_OK)
		status = read_owned(c, turn, err);
	if (status == STORE_OK && turn->claim_max > 0)
		status = claim_due(c, turn, err);
	return sqlite_conn_end(c, status, err);
}

/* ---- history ---- */

#define ENDED                                                                  \
	"(SELECT id FROM event"                                                \
	" WHERE status >= 2 AND due_ms < ? AND (? >> shard) & 1"               \
	" ORDER BY due_ms, id LIMIT ?)"

static enum store_status
delete_ended(struct sqlite_conn *c, const char *sql, uint64_t shards,
    int64_t before_ms, size_t limit, size_t *n, struct err *err)
{
	struct sqlite_query q = sqlite_query_start(c, sql);

	sqlite_bind_int(&q, before_ms);
	sqlite_bind_bits(&q, shards);
	sqlite_bind_int(&q, (int64_t)limit);
	return sqlite_query_run(&q, n, err);
}

static enum store_status
sqlite_purge(struct store_backend *backend, uint64_t shards, int64_t before_ms,
    size_t limit, size_t *n, struct err *err)
{
	static const char logs[] = "DELETE FROM attempt WHERE event IN " ENDED;
	static const char events[] = "DELETE FROM event WHERE id IN " ENDED;
	struct sqlite_conn *c = conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);

	if (status != STORE_OK)
		return status;
	status = delete_ended(c, logs, shards, before_ms, limit, n, err);
	if (status == STORE_OK)
		status =
		    delete_ended(c, events, shards, before_ms, limit, n, err);
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
