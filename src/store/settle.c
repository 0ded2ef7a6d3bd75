/* SPDX-License-Identifier: ISC */
#include "store/settle.h"

#include <stdlib.h>

#include "store/callback.h"
#include "store/label.h"
#include "store/record.h"
#include "store/shard_text.h"

enum {
	SAME_TIME_MS = 1000, /* events that end so close share a statement */
};

static size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct slice
clip(struct slice s, size_t max)
{
	return slice_of(s.p, min_size(s.len, max));
}

/* Successes that are not logged are written as they are alike, all others with
 * the time and the reason of each. */
static bool
is_plain_success(const struct store_result *result)
{
	return result->kind == RESULT_COMPLETED && !result->logged;
}

/* Those that one statement can write come together, and in the order of ids. */
static int
compare_results(const void *a, const void *b)
{
	const struct store_result *x = *(const struct store_result *const *)a;
	const struct store_result *y = *(const struct store_result *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->logged != y->logged)
		return x->logged ? 1 : -1;
	if (is_plain_success(x) && x->code != y->code)
		return x->code < y->code ? -1 : 1;
	if (is_plain_success(x) && x->attempt != y->attempt)
		return x->attempt < y->attempt ? -1 : 1;
	if (is_plain_success(x) && x->at_ms != y->at_ms)
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
	       results[len]->logged == first->logged &&
	       (!is_plain_success(first) ||
		   (results[len]->code == first->code &&
		       results[len]->attempt == first->attempt &&
		       results[len]->at_ms - first->at_ms < SAME_TIME_MS)))
		len++;
	return len;
}

static unsigned
add_result_ids(
    struct sql *sql, const struct store_result *const *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sql_i64(sql, results[i]->row_id);
	return sql_pad(sql, n);
}

static enum store_status
write_completed(struct sql *sql, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	static const struct sql_text text = {
	    .head =
		"UPDATE event" BY_KEY
		" SET status = 2, due_ms = ?, last_code = ?,"
		" last_error = x'', suspect = 0 WHERE status = 1 AND owner = ?"
		" AND attempts = ? AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	unsigned arity;

	sql_i64(sql, results[n - 1]->at_ms);
	sql_i64(sql, results[0]->code);
	sql_u64(sql, owner);
	sql_i64(sql, results[0]->attempt);
	arity = add_result_ids(sql, results, n);
	return sql_exec(sql, &text, arity, affected, err);
}

static enum store_status
write_released(struct sql *sql, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] =
		{
		    .head = "UPDATE event" BY_KEY " JOIN (",
		    .item = "SELECT CAST(? AS SIGNED) AS event,"
			    " CAST(? AS SIGNED) AS due,"
			    " CAST(? AS SIGNED) AS attempt",
		    .sep = " UNION ALL ",
		    .tail = ") result ON result.event = event.id"
			    " SET event.status = 0,"
			    " event.attempts = event.attempts - 1,"
			    " event.due_ms = COALESCE(NULLIF(result.due, 0)"
			    " + (event.due_ms >= ?) * ?, event.due_ms)"
			    " WHERE event.status = 1 AND event.owner = ?"
			    " AND event.attempts > 0"
			    " AND result.attempt IN (0, event.attempts)",
		},
	    [SQL_SQLITE] = {.head =
				"UPDATE event SET status = 0,"
				" attempts = attempts - 1,"
				" due_ms = COALESCE(NULLIF(?2, 0)"
				" + (due_ms >= ?4) * ?5, due_ms)"
				" WHERE id = ?1 AND status = 1 AND owner = ?6"
				" AND attempts > 0 AND ?3 IN (0, attempts)"},
	};

	for (size_t i = 0; i < n; i++) {
		sql_i64(sql, results[i]->row_id);
		sql_i64(sql, results[i]->due_ms);
		sql_i64(sql, results[i]->attempt); /* 0: a stray */
	}
	/* In quarantine it stays there. */
	sql_i64(sql, STORE_QUARANTINE_MS);
	sql_i64(sql, STORE_QUARANTINE_MS);
	sql_u64(sql, owner);
	return sql_exec(sql, sql_pick(sql, text), (unsigned)n, affected, err);
}

#define OWN_ATTEMPTS                                                           \
	"SELECT id, attempts FROM event" BY_KEY                                \
	" WHERE status = 1 AND owner = ?"                                      \
	" AND id IN ("

/*
 * Locks the rows of the results that are still ours, and puts these results
 * into ours[]. Both are in the order of row ids; of two for one attempt the
 * first counts.
 */
static enum store_status
lock_attempted(struct sql *sql, uint64_t owner,
    const struct store_result *const *results, size_t n,
    const struct store_result **ours, size_t *n_ours, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = OWN_ATTEMPTS,
		.item = "?",
		.sep = ", ",
		.tail = ") ORDER BY id FOR UPDATE",
		.columns = "ii"},
	    [SQL_SQLITE] = {.head = OWN_ATTEMPTS,
		.item = "?",
		.sep = ", ",
		.tail = ") ORDER BY id",
		.columns = "ii"},
	};
	enum store_status status;
	unsigned arity;
	size_t at = 0;

	sql_u64(sql, owner);
	arity = add_result_ids(sql, results, n);
	status = sql_select(sql, sql_pick(sql, text), arity, err);
	while (sql_next(sql, &status, err)) {
		int64_t id = sql_read_i64(sql);
		int64_t attempt = sql_read_i64(sql);

		while (at < n && (results[at]->row_id < id ||
				     (results[at]->row_id == id &&
					 results[at]->attempt != attempt)))
			at++;
		if (at < n && results[at]->row_id == id)
			ours[(*n_ours)++] = results[at++];
	}
	return status;
}

#define LOG_HEAD                                                               \
	"INSERT INTO attempt (event, number, at_ms, code, error, response)"    \
	" VALUES "

/* What an attempt leaves; one that succeeded has no reason and no response. */
static struct slice
kept(const struct store_result *result, struct slice text, size_t max)
{
	return clip(text, result->kind == RESULT_COMPLETED ? 0 : max);
}

/* Of two for one attempt the first stays. */
static enum store_status
log_attempts(struct sql *sql, const struct store_result *const *results,
    size_t n, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = LOG_HEAD,
		.item = "(?, ?, ?, ?, ?, ?)",
		.sep = ", ",
		.tail = " ON DUPLICATE KEY UPDATE number = number"},
	    [SQL_SQLITE] = {.head = LOG_HEAD,
		.item = "(?, ?, ?, ?, ?, ?)",
		.sep = ", ",
		.tail = " ON CONFLICT DO NOTHING"},
	};

	for (size_t i = 0; i < n; i++) {
		const struct store_result *result = results[i];

		sql_i64(sql, result->row_id);
		sql_i64(sql, result->attempt);
		sql_i64(sql, result->at_ms);
		sql_i64(sql, result->code);
		sql_bytes(sql, kept(result, result->error, STORE_ERROR_MAX));
		sql_bytes(
		    sql, kept(result, result->response, STORE_RESPONSE_MAX));
	}
	return sql_exec(sql, sql_pick(sql, text), (unsigned)n, NULL, err);
}

/* Each has a time of its own, and its reason in the log. */
static enum store_status
write_attempted(struct sql *sql, uint64_t owner,
    const struct store_result *const *results, size_t n, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] =
		{
		    .head = "UPDATE event" BY_KEY " JOIN (",
		    .item = "SELECT CAST(? AS SIGNED) AS event,"
			    " CAST(? AS SIGNED) AS due",
		    .sep = " UNION ALL ",
		    .tail = ") result ON result.event = event.id JOIN "
			    "attempt" BY_KEY " ON attempt.event = event.id"
			    " AND attempt.number = event.attempts"
			    " SET event.status = ?, event.due_ms = result.due,"
			    " event.last_code = attempt.code,"
			    " event.last_error = attempt.error,"
			    " event.suspect = 0"
			    " WHERE event.status = 1 AND event.owner = ?",
		},
	    [SQL_SQLITE] =
		{.head = "UPDATE event SET status = ?3, due_ms = ?2,"
			 " last_code = (SELECT code FROM attempt"
			 " WHERE event = ?1 AND number = attempts),"
			 " last_error = (SELECT error FROM attempt"
			 " WHERE event = ?1 AND number = attempts), suspect = 0"
			 " WHERE id = ?1 AND status = 1 AND owner = ?4"},
	};
	static const enum row_status status_of[] = {
	    [RESULT_COMPLETED] = ROW_COMPLETED,
	    [RESULT_FAILED] = ROW_FAILED,
	    [RESULT_RETRY] = ROW_WAITING,
	};
	bool waits = results[0]->kind == RESULT_RETRY;

	for (size_t i = 0; i < n; i++) {
		sql_i64(sql, results[i]->row_id);
		sql_i64(sql, waits ? results[i]->due_ms : results[i]->at_ms);
	}
	sql_i64(sql, status_of[results[0]->kind]);
	sql_u64(sql, owner);
	return sql_exec(sql, sql_pick(sql, text), (unsigned)n, NULL, err);
}

/* Whoever is to be told of the end of an event: by an event, added with it. */
static enum store_status
add_callbacks(struct sql *sql, const struct store_result *const *results,
    size_t n, struct err *err)
{
	struct store_add adds[SQL_ROWS_MAX];
	size_t n_adds = 0;

	for (size_t i = 0; i < n; i++)
		if (results[i]->callback != NULL)
			adds[n_adds++] =
			    (struct store_add){.event = results[i]->callback,
				.shard = results[i]->shard};
	return n_adds > 0 ? callback_insert(sql, adds, n_adds, err) : STORE_OK;
}

/* The attempts whose rows are still ours, and their log. */
static enum store_status
write_with_log(struct sql *sql, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	const struct store_result *ours[SQL_ROWS_MAX];
	size_t n_ours = 0;
	enum store_status status;

	status = lock_attempted(sql, owner, results, n, ours, &n_ours, err);
	*affected = n_ours;
	if (status != STORE_OK || n_ours == 0)
		return status;
	status = log_attempts(sql, ours, n_ours, err);
	if (status == STORE_OK)
		status = write_attempted(sql, owner, ours, n_ours, err);
	return status == STORE_OK ? add_callbacks(sql, ours, n_ours, err)
				  : status;
}

/* One at a time: there are few. */
static enum store_status
write_lapsed(struct sql *sql, uint64_t owner, const struct store_result *result,
    uint64_t *affected, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event SET status = 3, attempts = attempts - 1,"
		    " due_ms = ?, last_error = ?, suspect = 0"
		    " WHERE id = ? AND status = 1 AND owner = ?"
		    " AND attempts = ? AND attempts > 1"};
	enum store_status status;

	sql_i64(sql, result->at_ms);
	sql_bytes(sql, clip(result->error, STORE_ERROR_MAX));
	sql_i64(sql, result->row_id);
	sql_u64(sql, owner);
	sql_i64(sql, result->attempt);
	status = sql_exec(sql, &text, 0, affected, err);
	return status == STORE_OK && *affected == 1
		   ? add_callbacks(sql, &result, 1, err)
		   : status;
}

static enum store_status
write_run(struct sql *sql, uint64_t owner,
    const struct store_result *const *results, size_t n, uint64_t *affected,
    struct err *err)
{
	switch (results[0]->kind) {
	case RESULT_COMPLETED:
		if (is_plain_success(results[0]))
			return write_completed(
			    sql, owner, results, n, affected, err);
		break;
	case RESULT_RELEASED:
		return write_released(sql, owner, results, n, affected, err);
	case RESULT_LAPSED:
		return write_lapsed(sql, owner, results[0], affected, err);
	case RESULT_FAILED:
	case RESULT_RETRY:
		break;
	}
	return write_with_log(sql, owner, results, n, affected, err);
}

static size_t
run_max(const struct sql *sql, const struct store_result *first)
{
	if (first->kind == RESULT_LAPSED)
		return 1;
	return is_plain_success(first) ? sql->driver->ids_max
				       : sql->driver->rows_max;
}

/* Those with labels, where their time has changed. */
static enum store_status
move_labels(
    struct sql *sql, const struct claim_request *request, struct err *err)
{
	enum store_status status = STORE_OK;
	int64_t ids[SQL_IDS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < request->n_results && status == STORE_OK; i++) {
		const struct store_result *result = &request->results[i];

		if (!result->labelled ||
		    (result->kind == RESULT_RELEASED && result->due_ms == 0))
			continue;
		ids[n++] = result->row_id;
		if (n < SQL_IDS_MAX)
			continue;
		status = label_follow_own(sql, request->owner, ids, n, err);
		n = 0;
	}
	return status == STORE_OK
		   ? label_follow_own(sql, request->owner, ids, n, err)
		   : status;
}

enum store_status
settle_results(struct sql *sql, const struct claim_request *request,
    size_t *n_stale, struct err *err)
{
	const struct store_result **sorted;
	enum store_status status = STORE_OK;
	size_t n = request->n_results, len;

	*n_stale = 0;
	if (n == 0)
		return STORE_OK;
	sorted = calloc(n, sizeof(struct store_result *));
	if (sorted == NULL)
		return sql_no_memory(err);
	for (size_t i = 0; i < n; i++)
		sorted[i] = &request->results[i];
	qsort(sorted, n, sizeof(struct store_result *), compare_results);
	for (size_t at = 0; status == STORE_OK && at < n; at += len) {
		uint64_t affected = 0;

		len = min_size(
		    run_length(sorted + at, n - at), run_max(sql, sorted[at]));
		status = write_run(
		    sql, request->owner, sorted + at, len, &affected, err);
		*n_stale += len - min_size(len, (size_t)affected);
	}
	free(sorted);
	return status == STORE_OK ? move_labels(sql, request, err) : status;
}
