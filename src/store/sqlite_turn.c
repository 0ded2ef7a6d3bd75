/* SPDX-License-Identifier: ISC */
#include "store/store_sqlite.h"

#include <stdlib.h>

#include "base/clock.h"

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
	    " due_ms = COALESCE(NULLIF(?, 0) + (due_ms >= ?) * ?, due_ms)"
	    " WHERE id = ? AND status = 1 AND owner = ?"
	    " AND ? IN (0, attempts)"; /* 0: a stray */
	struct sqlite_query q = sqlite_query_start(c, sql);

	sqlite_bind_int(&q, result->due_ms);
	/* In quarantine it stays there. */
	sqlite_bind_int(&q, STORE_QUARANTINE_MS);
	sqlite_bind_int(&q, STORE_QUARANTINE_MS);
	sqlite_bind_int(&q, result->row_id);
	sqlite_bind_bits(&q, owner);
	sqlite_bind_int(&q, result->attempt);
	return sqlite_query_run(&q, held, err);
}

static enum store_status
finish(struct sqlite_conn *c, uint64_t owner, const struct store_result *result,
    enum row_status row_status, size_t *held, struct err *err)
{
	static const char sql[] =
	    "UPDATE event SET status = ?, due_ms = ?, last_code = ?,"
	    " last_error = ?, suspect = 0"
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
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		int64_t shard = sqlite_read_int(&q);

		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
		if (status != STORE_OK) {
			sqlite_query_end(&q);
			break;
		}
		held |= UINT64_C(1) << shard;
	}
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
	    "SELECT due_ms, id, shard FROM event WHERE status = 0"
	    " AND due_ms < ? AND (? >> shard) & 1"
	    " ORDER BY due_ms, id LIMIT ?";
	static const char alone_sql[] =
	    "SELECT due_ms, id, shard FROM event WHERE status = 0"
	    " AND due_ms >= ? AND (? >> shard) & 1"
	    " ORDER BY due_ms, id LIMIT ?";
	struct sqlite_query q =
	    sqlite_query_start(c, turn->alone ? alone_sql : sql);
	enum store_status status;
	bool row;

	sqlite_bind_int(&q, STORE_QUARANTINE_MS);
	sqlite_bind_bits(&q, turn->alone ? UINT64_MAX : turn->owned);
	sqlite_bind_int(&q, (int64_t)limit);
	while ((status = sqlite_query_step(&q, &row, err)) == STORE_OK && row) {
		int64_t due_ms = sqlite_read_int(&q);
		int64_t row_id = sqlite_read_int(&q);

		status = store_due_row(
		    &rows[*n], due_ms, row_id, sqlite_read_int(&q), err);
		if (status != STORE_OK ||
		    rows[(*n)++].due_ms > turn->horizon_ms) {
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
	    "SELECT attempts, " SQLITE_IDS ", " SQLITE_REQUEST
	    " FROM event WHERE id = ?";
	struct sqlite_query q = sqlite_query_start(c, sql);
	struct store_row row = {
	    .id = due->row_id, .shard = due->shard, .due_ms = due->due_ms};
	enum store_status status, read;
	bool there;

	sqlite_bind_int(&q, due->row_id);
	status = sqlite_query_step(&q, &there, err);
	if (status != STORE_OK || !there)
		return status;
	row.attempts = sqlite_read_int(&q);
	sqlite_read_ids(&q, &row.event);
	sqlite_read_request(&q, &row.event);
	status = store_claim_create(&row, claim, err);
	/* Afterwards: until then the bytes are the statement's. */
	read = sqlite_query_done(&q, err);
	return read == STORE_OK ? status : read;
}

/* Nobody else can write in this transaction: the rows are as they were read. */
static enum store_status
claim_rows(struct sqlite_conn *c, struct store_turn *turn,
    const struct due_row *rows, size_t n, struct err *err)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < n && status == STORE_OK; i++) {
		struct store_claim *claim = NULL;

		if (store_leave(turn, rows[i].due_ms))
			break;
		status = mark(c, turn->owner, rows[i].row_id, err);
		if (status == STORE_OK)
			status = read_claim(c, &rows[i], &claim, err);
		if (claim != NULL) /* also a failed one: to be freed */
			store_take(turn, claim);
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

	if (turn->owned == 0 && !turn->alone)
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

enum store_status
sqlite_turn(
    struct store_backend *backend, struct store_turn *turn, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(backend);
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

enum store_status
sqlite_purge(struct store_backend *backend, uint64_t shards, int64_t before_ms,
    size_t limit, size_t *n, struct err *err)
{
	static const char logs[] = "DELETE FROM attempt WHERE event IN " ENDED;
	static const char events[] = "DELETE FROM event WHERE id IN " ENDED;
	struct sqlite_conn *c = sqlite_conn_of(backend);
	enum store_status status = sqlite_conn_begin(c, err);

	if (status != STORE_OK)
		return status;
	status = delete_ended(c, logs, shards, before_ms, limit, n, err);
	if (status == STORE_OK)
		status =
		    delete_ended(c, events, shards, before_ms, limit, n, err);
	return sqlite_conn_end(c, status, err);
}
