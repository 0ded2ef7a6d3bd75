/* SPDX-License-Identifier: ISC */
#include "store/store_mysql.h"

#include <stdlib.h>

enum {
	SAME_TIME_MS = 1000, /* events that end so close share a statement */
};

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct slice
clip(struct slice s, size_t max)
{
	return slice_of(s.p, smaller(s.len, max));
}

/* ---- results ---- */

/* Those that one statement can write come together, and in the order of ids. */
static int
compare_results(const void *a, const void *b)
{
	const struct store_result *x = *(const struct store_result *const *)a;
	const struct store_result *y = *(const struct store_result *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == RESULT_COMPLETED && x->code != y->code)
		return x->code < y->code ? -1 : 1;
	if (x->kind == RESULT_COMPLETED && x->attempt != y->attempt)
		return x->attempt < y->attempt ? -1 : 1;
	if (x->kind == RESULT_COMPLETED && x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	if (x->row_id != y->row_id)
		return x->row_id < y->row_id ? -1 : 1;
	return (x > y) - (x < y); /* two for one row: as they were given */
}

/* How many of the sorted results go together with the first. */
static size_t
run_length(const struct store_result *const *results, size_t n)
{
	const struct store_result *first = results[0];
	size_t len = 1;

	while (len < n && results[len]->kind == first->kind &&
	       (first->kind != RESULT_COMPLETED ||
		   (results[len]->code == first->code &&
		       results[len]->attempt == first->attempt &&
		       results[len]->at_ms - first->at_ms < SAME_TIME_MS)))
		len++;
	return len;
}

static unsigned
add_ids(
    struct mysql_conn *c, const struct store_result *const *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mysql_conn_i64(c, results[i]->row_id);
	return mysql_conn_pad(c, n);
}

static enum store_status
write_completed(struct mysql_conn *c, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	static const struct mysql_sql sql = {
	    .head =
		"UPDATE event SET status = 2, due_ms = ?, last_code = ?,"
		" last_error = '', suspect = 0 WHERE status = 1 AND owner = ?"
		" AND attempts = ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	unsigned arity;

	mysql_conn_i64(c, results[n - 1]->at_ms);
	mysql_conn_i64(c, results[0]->code);
	mysql_conn_u64(c, owner);
	mysql_conn_i64(c, results[0]->attempt);
	arity = add_ids(c, results, n);
	return mysql_conn_exec(c, &sql, arity, affected, err);
}

/* A row of a derived table of results. */
#define RESULT_ROW "SELECT CAST(? AS SIGNED) AS event, CAST(? AS SIGNED) AS due"

static enum store_status
write_released(struct mysql_conn *c, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE event JOIN (",
	    .item = RESULT_ROW ", CAST(? AS SIGNED) AS attempt",
	    .sep = " UNION ALL ",
	    .tail = ") result ON result.event = event.id"
		    " SET event.status = 0,"
		    " event.attempts = event.attempts - 1,"
		    " event.due_ms = COALESCE(NULLIF(result.due, 0)"
		    " + (event.due_ms >= ?) * ?, event.due_ms)"
		    " WHERE event.status = 1 AND event.owner = ?"
		    " AND event.attempts > 0"
		    " AND result.attempt IN (0, event.attempts)",
	};

	for (size_t i = 0; i < n; i++) {
		mysql_conn_i64(c, results[i]->row_id);
		mysql_conn_i64(c, results[i]->due_ms);
		mysql_conn_i64(c, results[i]->attempt); /* 0: a stray */
	}
	/* In quarantine it stays there. */
	mysql_conn_i64(c, STORE_QUARANTINE_MS);
	mysql_conn_i64(c, STORE_QUARANTINE_MS);
	mysql_conn_u64(c, owner);
	return mysql_conn_exec(c, &sql, (unsigned)n, affected, err);
}

/*
 * Locks the rows of the results that are still ours, and puts these results
 * into ours[]. Both are in the order of row ids; of two for one row the first
 * counts.
 */
static enum store_status
lock_attempted(struct mysql_conn *c, uint64_t owner,
    const struct store_result *const *results, size_t n,
    const struct store_result **ours, size_t *n_ours, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT id, attempts FROM event WHERE status = 1"
		    " AND owner = ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ") ORDER BY id FOR UPDATE",
	    .columns = "ii",
	};
	enum store_status status;
	unsigned arity;
	size_t at = 0;

	mysql_conn_u64(c, owner);
	arity = add_ids(c, results, n);
	status = mysql_conn_select(c, &sql, arity, err);
	while (mysql_conn_next(c, &status, err)) {
		int64_t id = mysql_conn_col_i64(c, 0);

		while (at < n && results[at]->row_id < id)
			at++;
		if (at < n && results[at]->row_id == id &&
		    results[at]->attempt == mysql_conn_col_i64(c, 1))
			ours[(*n_ours)++] = results[at++];
	}
	return status;
}

static enum store_status
log_attempts(struct mysql_conn *c, const struct store_result *const *results,
    size_t n, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "INSERT INTO attempt"
		    " (event, number, at_ms, code, error, response) VALUES ",
	    .item = "(?, ?, ?, ?, ?, ?)",
	    .sep = ", ",
	    .tail = " ON DUPLICATE KEY UPDATE number = number",
	};

	for (size_t i = 0; i < n; i++) {
		const struct store_result *result = results[i];

		mysql_conn_i64(c, result->row_id);
		mysql_conn_i64(c, result->attempt);
		mysql_conn_i64(c, result->at_ms);
		mysql_conn_i64(c, result->code);
		mysql_conn_bytes(c, clip(result->error, STORE_ERROR_MAX));
		mysql_conn_bytes(c, clip(result->response, STORE_RESPONSE_MAX));
	}
	return mysql_conn_exec(c, &sql, (unsigned)n, NULL, err);
}

/* Each has a time of its own, and its reason in the log. */
static enum store_status
write_attempted(struct mysql_conn *c, uint64_t owner,
    const struct store_result *const *results, size_t n, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE event JOIN (",
	    .item = RESULT_ROW,
	    .sep = " UNION ALL ",
	    .tail = ") result ON result.event = event.id JOIN attempt"
		    " ON attempt.event = event.id"
		    " AND attempt.number = event.attempts"
		    " SET event.status = ?, event.due_ms = result.due,"
		    " event.last_code = attempt.code,"
		    " event.last_error = attempt.error, event.suspect = 0"
		    " WHERE event.status = 1 AND event.owner = ?",
	};
	bool failed = results[0]->kind == RESULT_FAILED;

	for (size_t i = 0; i < n; i++) {
		mysql_conn_i64(c, results[i]->row_id);
		mysql_conn_i64(
		    c, failed ? results[i]->at_ms : results[i]->due_ms);
	}
	mysql_conn_i64(c, failed ? ROW_FAILED : ROW_WAITING);
	mysql_conn_u64(c, owner);
	return mysql_conn_exec(c, &sql, (unsigned)n, NULL, err);
}

/* The failed attempts whose rows are still ours, and their log. */
static enum store_status
write_failures(struct mysql_conn *c, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	const struct store_result *ours[MYSQL_ROWS_MAX];
	size_t n_ours = 0;
	enum store_status status;

	status = lock_attempted(c, owner, results, n, ours, &n_ours, err);
	*affected = n_ours;
	if (status != STORE_OK || n_ours == 0)
		return status;
	status = log_attempts(c, ours, n_ours, err);
	if (status == STORE_OK)
		status = write_attempted(c, owner, ours, n_ours, err);
	return status;
}

static enum store_status
write_run(struct mysql_conn *c, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	switch (results[0]->kind) {
	case RESULT_COMPLETED:
		return write_completed(c, owner, results, n, affected, err);
	case RESULT_RELEASED:
		return write_released(c, owner, results, n, affected, err);
	case RESULT_FAILED:
	case RESULT_RETRY:
		break;
	}
	return write_failures(c, owner, results, n, affected, err);
}

static size_t
run_max(enum result_kind kind)
{
	return kind == RESULT_COMPLETED ? MYSQL_IDS_MAX : MYSQL_ROWS_MAX;
}

static enum store_status
write_results(struct mysql_conn *c, struct store_turn *turn, struct err *err)
{
	const struct store_result **sorted;
	enum store_status status = STORE_OK;
	size_t n = turn->n_results, len;

	if (n == 0)
		return STORE_OK;
	sorted = calloc(n, sizeof(struct store_result *));
	if (sorted == NULL)
		return mysql_conn_no_memory(err);
	for (size_t i = 0; i < n; i++)
		sorted[i] = &turn->results[i];
	qsort(sorted, n, sizeof(struct store_result *), compare_results);
	for (size_t at = 0; status == STORE_OK && at < n; at += len) {
		uint64_t affected = 0;

		len = smaller(
		    run_length(sorted + at, n - at), run_max(sorted[at]->kind));
		status =
		    write_run(c, turn->owner, sorted + at, len, &affected, err);
		turn->n_stale += len - smaller(len, (size_t)affected);
	}
	free(sorted);
	return status;
}

/* ---- claims ---- */

/*
 * The locks keep a lease turn of another worker out until this one's end: it
 * sees our claims, or we see that the shard is gone.
 */
static enum store_status
lock_own_leases(struct mysql_conn *c, struct store_turn *turn, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT shard FROM lease WHERE owner = ? AND until_ms "
		    "> " MYSQL_NOW_MS " LOCK IN SHARE MODE",
	    .columns = "i",
	};
	enum store_status status;

	turn->owned = 0;
	mysql_conn_u64(c, turn->owner);
	status = mysql_conn_select(c, &sql, 0, err);
	while (mysql_conn_next(c, &status, err)) {
		int64_t shard = mysql_conn_col_i64(c, 0);

		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
		if (status == STORE_OK)
			turn->owned |= UINT64_C(1) << shard;
	}
	turn->owned &= turn->shards;
	return status;
}

/* The first rows of a status in each shard, from the index alone. */
#define FIRST_ROWS                                                             \
	"(SELECT due_ms, id, shard FROM event WHERE shard = ? AND status = ?"  \
	" AND due_ms < ? ORDER BY due_ms, id LIMIT ?)"

static enum store_status
read_first(struct mysql_conn *c, const struct mysql_sql *sql, uint64_t shards,
    enum row_status row_status, int64_t before_ms, size_t limit,
    struct err *err)
{
	unsigned arity = 0;

	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		if ((shards >> shard & 1) == 0)
			continue;
		mysql_conn_i64(c, shard);
		mysql_conn_i64(c, row_status);
		mysql_conn_i64(c, before_ms);
		mysql_conn_i64(c, (int64_t)limit);
		arity++;
	}
	return mysql_conn_select(c, sql, arity, err);
}

static enum store_status
mark_rows(struct mysql_conn *c, const struct store_turn *turn,
    const struct due_row *rows, size_t n, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE event SET status = 1, attempts = attempts + 1,"
		    " owner = ? WHERE status = 0 AND due_ms >= ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	unsigned arity;

	mysql_conn_u64(c, turn->owner);
	/* Another host may have taken it out of quarantine meanwhile. */
	mysql_conn_i64(c, turn->alone ? STORE_QUARANTINE_MS : INT64_MIN);
	for (size_t i = 0; i < n; i++)
		mysql_conn_i64(c, rows[i].row_id);
	arity = mysql_conn_pad(c, n);
	return mysql_conn_exec(c, &sql, arity, NULL, err);
}

static enum store_status
take_claim(struct mysql_conn *c, struct store_turn *turn, struct err *err)
{
	const struct store_row row = {
	    .id = mysql_conn_col_i64(c, 0),
	    .shard = mysql_conn_col_i64(c, 1),
	    .attempts = mysql_conn_col_i64(c, 2),
	    .due_ms = mysql_conn_col_i64(c, 3),
	    .event.expiry_ms = mysql_conn_col_i64(c, 4),
	    .event.body_is_text = mysql_conn_col_i64(c, 5) != 0,
	    .event.app = mysql_conn_col_bytes(c, 6),
	    .event.id = mysql_conn_col_bytes(c, 7),
	    .event.method = mysql_conn_col_bytes(c, 8),
	    .event.url = mysql_conn_col_bytes(c, 9),
	    .event.headers = mysql_conn_col_bytes(c, 10),
	    .event.body = mysql_conn_col_bytes(c, 11),
	};
	struct store_claim *claim;
	enum store_status status = store_claim_create(&row, &claim, err);

	if (status == STORE_OK)
		store_take(turn, claim);
	return status;
}

/* Whether the row is one of those asked for, and was not read before. */
static bool
strike_off(int64_t *asked, size_t *n, int64_t id)
{
	for (size_t i = 0; i < *n; i++)
		if (asked[i] == id) {
			asked[i] = asked[--*n];
			return true;
		}
	return false;
}

/* Marked rows that are too many bytes: as if they had not been. */
static enum store_status
unmark_rows(struct mysql_conn *c, uint64_t owner, const int64_t *ids, size_t n,
    struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "UPDATE event SET status = 0, attempts = attempts - 1"
		    " WHERE status = 1 AND owner = ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	unsigned arity;

	mysql_conn_u64(c, owner);
	for (size_t i = 0; i < n; i++)
		mysql_conn_i64(c, ids[i]);
	arity = mysql_conn_pad(c, n);
	return mysql_conn_exec(c, &sql, arity, NULL, err);
}

/* Rows that were deleted before they could be marked do not appear. */
static enum store_status
read_marked(struct mysql_conn *c, struct store_turn *turn,
    const struct due_row *rows, size_t n, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "SELECT id, shard, attempts, due_ms, expiry_ms,"
		    " body_is_text, app, event_id, method, url, headers, body"
		    " FROM event WHERE status = 1 AND owner = ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	    .columns = "iiiiiibbbbbb",
	};
	int64_t asked[MYSQL_IDS_MAX], left[MYSQL_IDS_MAX];
	size_t n_asked = n, n_left = 0;
	unsigned arity;
	enum store_status status;

	mysql_conn_u64(c, turn->owner);
	for (size_t i = 0; i < n; i++) {
		asked[i] = rows[i].row_id;
		mysql_conn_i64(c, asked[i]);
	}
	arity = mysql_conn_pad(c, n);
	status = mysql_conn_select(c, &sql, arity, err);
	while (mysql_conn_next(c, &status, err)) {
		int64_t id = mysql_conn_col_i64(c, 0);

		if (!strike_off(asked, &n_asked, id))
			status = mysql_conn_nonsense(
			    c, "a row that was not asked for", err);
		else if (store_leave(turn, mysql_conn_col_i64(c, 3)))
			left[n_left++] = id;
		else
			status = take_claim(c, turn, err);
	}
	if (status == STORE_OK && n_left > 0)
		status = unmark_rows(c, turn->owner, left, n_left, err);
	return status;
}

static int
compare_claims(const void *a, const void *b)
{
	const struct store_claim *x = *(struct store_claim *const *)a;
	const struct store_claim *y = *(struct store_claim *const *)b;

	if (x->due_ms != y->due_ms)
		return x->due_ms < y->due_ms ? -1 : 1;
	return (x->row_id > y->row_id) - (x->row_id < y->row_id);
}

static enum store_status
take_rows(struct mysql_conn *c, struct store_turn *turn,
    const struct due_row *rows, size_t n, struct err *err)
{
	enum store_status status = STORE_OK;
	size_t len;

	for (size_t at = 0; status == STORE_OK && at < n; at += len) {
		if (store_leave(turn, rows[at].due_ms))
			break;
		len = smaller(n - at, MYSQL_IDS_MAX);
		status = mark_rows(c, turn, rows + at, len, err);
		if (status == STORE_OK)
			status = read_marked(c, turn, rows + at, len, err);
	}
	if (turn->n_claims > 1)
		qsort(turn->claims, turn->n_claims,
		    sizeof(struct store_claim *), compare_claims);
	return status;
}

/* What a turn claims from: rows that were due when it looked. */
struct pick {
	struct store_turn *turn;
	struct due_row *rows;
	size_t n;
};

static void
drop_foreign(struct pick *pick)
{
	size_t n = 0;

	for (size_t i = 0; i < pick->n; i++)
		if ((pick->turn->owned >> pick->rows[i].shard & 1) != 0)
			pick->rows[n++] = pick->rows[i];
	pick->n = n;
}

/*
 * Finds the rows to claim and the shards that are ours, without a lock. The
 * caller frees pick->rows, also after a failure.
 */
static enum store_status
look(struct mysql_conn *c, struct pick *pick, uint64_t shards, struct err *err)
{
	/* A lease is a row without an id. */
	static const struct mysql_sql sql = {
	    .head = "(SELECT 0, 0, shard FROM lease WHERE owner = ?"
		    " AND until_ms > " MYSQL_NOW_MS ") UNION ALL ",
	    .item = FIRST_ROWS,
	    .sep = " UNION ALL ",
	    .columns = "iii",
	};
	unsigned n_shards = (unsigned)__builtin_popcountll(shards);
	struct store_turn *turn = pick->turn;
	enum store_status status;
	size_t limit, max;

	if (n_shards == 0)
		return STORE_OK;
	limit = store_pick_limit(turn->claim_max, n_shards);
	max = n_shards * limit;
	pick->rows = calloc(max, sizeof(*pick->rows));
	if (pick->rows == NULL)
		return mysql_conn_no_memory(err);
	mysql_conn_u64(c, turn->owner);
	status = read_first(
	    c, &sql, shards, ROW_WAITING, STORE_QUARANTINE_MS, limit, err);
	turn->owned = 0;
	while (mysql_conn_next(c, &status, err)) {
		struct due_row row;

		status = store_due_row(&row, mysql_conn_col_i64(c, 0),
		    mysql_conn_col_i64(c, 1), mysql_conn_col_i64(c, 2), err);
		if (status == STORE_OK && row.row_id == 0)
			turn->owned |= UINT64_C(1) << row.shard;
		else if (status == STORE_OK && pick->n < max)
			pick->rows[pick->n++] = row;
	}
	turn->owned &= shards;
	drop_foreign(pick);
	pick->n = store_pick(pick->rows, pick->n, limit, turn);
	return status;
}

/* The same of what is in quarantine, one row at most of each shard. */
static enum store_status
look_alone(struct mysql_conn *c, struct pick *pick, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "",
	    .item = "(SELECT due_ms, id, shard FROM event WHERE shard = ?"
		    " AND status = 0 AND due_ms >= ? ORDER BY due_ms, id"
		    " LIMIT 1)",
	    .sep = " UNION ALL ",
	    .columns = "iii",
	};
	enum store_status status;

	pick->rows = calloc(EVENT_SHARDS, sizeof(*pick->rows));
	if (pick->rows == NULL)
		return mysql_conn_no_memory(err);
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		mysql_conn_i64(c, shard);
		mysql_conn_i64(c, STORE_QUARANTINE_MS);
	}
	status = mysql_conn_select(c, &sql, EVENT_SHARDS, err);
	while (pick->n < EVENT_SHARDS && mysql_conn_next(c, &status, err)) {
		status = store_due_row(&pick->rows[pick->n],
		    mysql_conn_col_i64(c, 0), mysql_conn_col_i64(c, 1),
		    mysql_conn_col_i64(c, 2), err);
		if (status == STORE_OK)
			pick->n++;
	}
	pick->n = store_pick(pick->rows, pick->n, 1, pick->turn);
	return status;
}

/* Results, and what is due after them. */
static enum store_status
turn_body(struct mysql_conn *c, void *arg, struct err *err)
{
	struct store_turn *turn = arg;
	struct pick pick = {.turn = turn};
	enum store_status status;

	store_forget_claims(turn); /* of a try that failed */
	turn->n_stale = 0;
	turn->more = false;
	turn->next_due_ms = INT64_MAX;

	status = lock_own_leases(c, turn, err);
	if (status == STORE_OK)
		status = write_results(c, turn, err);
	if (status == STORE_OK && turn->claim_max > 0)
		status = turn->alone ? look_alone(c, &pick, err)
				     : look(c, &pick, turn->owned, err);
	if (status == STORE_OK)
		status = take_rows(c, turn, pick.rows, pick.n, err);
	free(pick.rows);
	return status;
}

/* What was seen before the transaction, in so far as it is still there. */
static enum store_status
take_body(struct mysql_conn *c, void *arg, struct err *err)
{
	struct pick *pick = arg;
	enum store_status status;

	store_forget_claims(pick->turn);
	status = lock_own_leases(c, pick->turn, err);
	drop_foreign(pick);
	if (status == STORE_OK)
		status = take_rows(c, pick->turn, pick->rows, pick->n, err);
	return status;
}

/* When nothing is due, one statement has told so. */
static enum store_status
claim_only(struct mysql_conn *c, struct store_turn *turn, struct err *err)
{
	struct pick pick = {.turn = turn};
	enum store_status status = look(c, &pick, turn->shards, err);

	if (status == STORE_OK && pick.n > 0)
		status = mysql_conn_transact(c, take_body, &pick, err);
	free(pick.rows);
	return status;
}

enum store_status
mysql_turn(
    struct store_backend *backend, struct store_turn *turn, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);

	if (turn->n_results == 0 && turn->claim_max > 0 && !turn->alone)
		return claim_only(c, turn, err);
	return mysql_conn_transact(c, turn_body, turn, err);
}

/* ---- history ---- */

struct purge {
	uint64_t shards;
	int64_t before_ms;
	size_t limit;
	size_t n;
};

static enum store_status
delete_rows(struct mysql_conn *c, const int64_t *ids, size_t n, struct err *err)
{
	static const struct mysql_sql sql[] = {
	    {
		.head = "DELETE FROM attempt WHERE event IN (",
		.item = "?",
		.sep = ", ",
		.tail = ")",
	    },
	    {
		.head = "DELETE FROM event WHERE id IN (",
		.item = "?",
		.sep = ", ",
		.tail = ")",
	    },
	};
	enum store_status status = STORE_OK;

	for (size_t which = 0; status == STORE_OK && which < 2; which++) {
		unsigned arity;

		for (size_t i = 0; i < n; i++)
			mysql_conn_i64(c, ids[i]);
		arity = mysql_conn_pad(c, n);
		status = mysql_conn_exec(c, &sql[which], arity, NULL, err);
	}
	return status;
}

/* A finished row changes no more: what was read may be deleted. */
static enum store_status
purge_status(struct mysql_conn *c, struct purge *purge,
    enum row_status row_status, struct err *err)
{
	static const struct mysql_sql sql = {
	    .head = "",
	    .item = FIRST_ROWS,
	    .sep = " UNION ALL ",
	    .columns = "iii",
	};
	int64_t ids[MYSQL_IDS_MAX];
	enum store_status status;
	size_t max = smaller(purge->limit - purge->n, MYSQL_IDS_MAX), n = 0;

	if (max == 0)
		return STORE_OK;
	status = read_first(
	    c, &sql, purge->shards, row_status, purge->before_ms, max, err);
	/* The index gives max of each shard. */
	while (n < max && mysql_conn_next(c, &status, err))
		ids[n++] = mysql_conn_col_i64(c, 1);
	if (status != STORE_OK || n == 0)
		return status;
	purge->n += n;
	return delete_rows(c, ids, n, err);
}

static enum store_status
purge_body(struct mysql_conn *c, void *arg, struct err *err)
{
	struct purge *purge = arg;
	enum store_status status;

	purge->n = 0;
	status = purge_status(c, purge, ROW_COMPLETED, err);
	if (status == STORE_OK)
		status = purge_status(c, purge, ROW_FAILED, err);
	return status;
}

/* Steps of a size that locks few rows at a time. */
enum store_status
mysql_purge(struct store_backend *backend, uint64_t shards, int64_t before_ms,
    size_t limit, size_t *n, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);
	struct purge step = {.shards = shards, .before_ms = before_ms};
	enum store_status status = STORE_OK;

	if (shards == 0)
		return STORE_OK;
	do {
		step.limit = smaller(limit - *n, MYSQL_IDS_MAX);
		status = mysql_conn_transact(c, purge_body, &step, err);
		if (status == STORE_OK)
			*n += step.n;
	} while (status == STORE_OK && step.n > 0 && *n < limit);
	return status;
}
