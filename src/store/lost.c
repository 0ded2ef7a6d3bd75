/* SPDX-License-Identifier: ISC */
#include "store/lost.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "event/event_options.h"
#include "store/add.h"
#include "store/callback.h"
#include "store/columns.h"
#include "store/label.h"
#include "store/lease_plan.h"
#include "store/shard_text.h"

#define INTERRUPTED SLICE_LITERAL("interrupted")

/* In shards of ours: nobody else claims there. */
#define OF_NOBODY                                                              \
	"status = 1 AND owner NOT IN (SELECT owner FROM instance) AND "
#define OF_ONE    "status = 1 AND owner = ? AND "
#define FIND_LOST "SELECT id FROM event WHERE " OF_NOBODY
/* Of the row, where a transaction has a largest size. */
#define BYTES_MYSQL  EVENT_BYTES
#define BYTES_SQLITE "0"
/* In the index, however small the table is: else it waits for rows of others.
 */
#define READ(BYTES, OPTIONS, WHOSE)                                            \
	"SELECT id, owner, CAST(attempts AS SIGNED), CAST(suspect AS SIGNED)," \
	" " BYTES ", " OPTIONS                                                 \
	" FROM event /*! FORCE INDEX (due) */ WHERE " WHOSE
#define READ_TEXTS(WHOSE)                                                      \
	{                                                                      \
		[SQL_MYSQL] =                                                  \
		    SHARDS_MYSQL(READ(BYTES_MYSQL, "options", WHOSE),          \
			" LIMIT ? FOR UPDATE", "iuiiib"),                      \
		[SQL_SQLITE] = SHARDS_SQLITE(                                  \
		    READ(BYTES_SQLITE, "CAST(options AS BLOB)", WHOSE),        \
		    " LIMIT ?", "iuiiib"),                                     \
	}

enum store_status
lost_find(struct sql *sql, uint64_t shards, bool *there, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = SHARDS_MYSQL(FIND_LOST, " LIMIT 1", "i"),
	    [SQL_SQLITE] = SHARDS_SQLITE(FIND_LOST, " LIMIT 1", "i"),
	};
	enum store_status status;
	unsigned arity;

	*there = false;
	arity = shard_args(sql, shards);
	status = sql_select(sql, sql_pick(sql, text), arity, err);
	while (sql_next(sql, &status, err))
		*there = true;
	return status;
}

/* Of a damaged row the nearest that can be: it does not keep all from their
 * leases. */
static unsigned
read_count(struct sql *sql, unsigned max)
{
	int64_t count = sql_read_i64(sql);

	if (count < 0)
		return 0;
	return count < max ? (unsigned)count : max;
}

/* What is to be judged at a time, and whether there may be more. */
struct lost {
	struct lost_row rows[STORE_LOST_MAX];
	size_t n;
	bool rest;
};

struct lost_room
lost_room_of(const struct sql *sql, size_t rows)
{
	/* A row goes into the transaction as it was and as it is, and the last
	 * one may be of any size that was accepted. */
	return (struct lost_room){.rows = rows,
	    .bytes = sql->transaction_max / 2 / ADD_TRANSACTION_PART};
}

static bool
is_used_up(const struct lost_room *room)
{
	return room->rows == 0 || room->bytes == 0;
}

static void
use_up(struct lost_room *room, size_t bytes)
{
	room->rows--;
	room->bytes -= bytes < room->bytes ? bytes : room->bytes;
}

static void
note_options(struct lost_row *row, struct slice text)
{
	struct event_options options;

	row->max_attempts = 0;
	row->has_callback = false;
	if (event_options_parse(text, &options, NULL) == -1)
		return;
	row->max_attempts = options.retry.attempts;
	row->has_callback = options.on_failure.len > 0;
	if (options.forgiven < row->attempts)
		row->attempts -= options.forgiven;
}

/* Of one owner, or of all that do not live (0). */
static enum store_status
read_lost(struct sql *sql, uint64_t owner, uint64_t shards,
    struct lost_room *room, struct lost *lost, struct err *err)
{
	static const struct sql_text of_nobody[] = READ_TEXTS(OF_NOBODY);
	static const struct sql_text of_one[] = READ_TEXTS(OF_ONE);
	enum store_status status;
	unsigned arity;

	check(room->rows <= STORE_LOST_MAX);
	lost->n = 0;
	if (owner != 0)
		sql_u64(sql, owner);
	arity = shard_args(sql, shards);
	sql_i64(sql, (int64_t)room->rows);
	status = sql_select(sql,
	    owner == 0 ? sql_pick(sql, of_nobody) : sql_pick(sql, of_one),
	    arity, err);
	while (!is_used_up(room) && sql_next(sql, &status, err)) {
		struct lost_row *row = &lost->rows[lost->n++];

		row->id = sql_read_i64(sql);
		row->owner = sql_read_u64(sql);
		row->attempts = read_count(sql, STORE_ATTEMPTS_MAX);
		row->suspect = read_count(sql, SUSPECT_QUARANTINED);
		use_up(room, read_count(sql, SQL_BYTES_MAX));
		note_options(row, sql_read_bytes(sql));
	}
	lost->rest = is_used_up(room);
	return sql_done(sql, status, err);
}

static void
spare(struct lost *lost, uint64_t owner)
{
	size_t n = 0;

	for (size_t i = 0; i < lost->n; i++)
		if (lost->rows[i].owner != owner)
			lost->rows[n++] = lost->rows[i];
	lost->n = n;
}

/*
 * Whoever was registered after the rows began to be read, and has claimed some
 * of them before they were locked, lives: they were found as they are now, but
 * it was not.
 */
static enum store_status
spare_living(struct sql *sql, struct lost *lost, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT owner FROM instance", .columns = "u"};
	enum store_status status = sql_select(sql, &text, 0, err);

	while (sql_next(sql, &status, err))
		spare(lost, sql_read_u64(sql));
	return sql_done(sql, status, err);
}

/* As if it had not been claimed, but for the suspicion. */
static enum store_status
uncount(struct sql *sql, enum verdict verdict, const int64_t *ids, size_t n,
    struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event" BY_KEY " SET status = 0,"
		    " attempts = attempts - (attempts > 0),"
		    " suspect = suspect + ?, due_ms = due_ms + ?"
		    " WHERE status = 1 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};

	sql_i64(sql, verdict != VERDICT_INNOCENT);
	sql_i64(sql, verdict == VERDICT_QUARANTINED ? STORE_QUARANTINE_MS : 0);
	return sql_exec(sql, &text, id_args(sql, ids, n), NULL, err);
}

#define LOG_INTERRUPTED                                                        \
	"INSERT INTO attempt (event, number, at_ms, code, error, response)"    \
	" SELECT id, attempts, ?, 0, ?, x'' FROM event" BY_KEY                 \
	" WHERE status = 1 AND id IN ("

static enum store_status
log_interrupted(struct sql *sql, int64_t now_ms, const int64_t *ids, size_t n,
    struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = LOG_INTERRUPTED,
		.item = "?",
		.sep = ", ",
		.tail = ") ON DUPLICATE KEY UPDATE number = number"},
	    [SQL_SQLITE] = {.head = LOG_INTERRUPTED,
		.item = "?",
		.sep = ", ",
		.tail = ") ON CONFLICT DO NOTHING"},
	};

	sql_i64(sql, now_ms);
	sql_bytes(sql, INTERRUPTED);
	return sql_exec(
	    sql, sql_pick(sql, text), id_args(sql, ids, n), NULL, err);
}

/*
 * What a culprit waits: a second for each attempt, so that its neighbours of
 * the last time are through, and up to another one, so that several culprits
 * meet others each time.
 */
#define TRY_AGAIN(GREATEST)                                                    \
	{                                                                      \
		.head = "UPDATE event" BY_KEY                                  \
			" SET status = 0, due_ms = " GREATEST                  \
			"(due_ms, ? + attempts * 1000"                         \
			" + ((id % 61) * attempts % 61) * 16),"                \
			" last_code = 0, last_error = ?"                       \
			" WHERE status = 1 AND id IN (",                       \
		.item = "?", .sep = ", ", .tail = ")"                          \
	}

static const struct sql_text try_again[] = {
    [SQL_MYSQL] = TRY_AGAIN("GREATEST"),
    [SQL_SQLITE] = TRY_AGAIN("max"),
};

static const struct sql_text give_up = {
    .head = "UPDATE event" BY_KEY " SET status = 3, suspect = 0, due_ms = ?,"
	    " last_code = 0, last_error = ? WHERE status = 1 AND id IN (",
    .item = "?",
    .sep = ", ",
    .tail = ")",
};

/* The attempt is logged, and was the last one, or is followed by another. */
static enum store_status
count_attempt(struct sql *sql, enum verdict verdict, int64_t now_ms,
    const int64_t *ids, size_t n, struct err *err)
{
	const struct sql_text *text =
	    verdict == VERDICT_GIVEN_UP ? &give_up : sql_pick(sql, try_again);
	enum store_status status = log_interrupted(sql, now_ms, ids, n, err);

	if (status != STORE_OK)
		return status;
	sql_i64(sql, now_ms);
	sql_bytes(sql, INTERRUPTED);
	return sql_exec(sql, text, id_args(sql, ids, n), NULL, err);
}

#define GIVEN_UP(APP, EVENT_ID)                                                \
	{                                                                      \
		.head = "SELECT CAST(attempts AS SIGNED), " APP ", " EVENT_ID  \
			" FROM event WHERE status = 1 AND id IN (",            \
		.item = "?", .sep = ", ", .tail = ")", .columns = "ibb"        \
	}

/* Who tells of them has to know more than their rows. */
static enum store_status
note_given_up(struct sql *sql, const int64_t *ids, size_t n,
    struct lease_reply *reply, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = GIVEN_UP("app", "event_id"),
	    /* Whatever type they have: see read_count. */
	    [SQL_SQLITE] =
		GIVEN_UP("CAST(app AS BLOB)", "CAST(event_id AS BLOB)"),
	};
	unsigned arity = id_args(sql, ids, n);
	enum store_status status =
	    sql_select(sql, sql_pick(sql, text), arity, err);

	while (sql_next(sql, &status, err)) {
		struct store_given_up *event;

		if (reply->n_given_up++ >= STORE_GIVEN_UP_MAX)
			continue;
		event = &reply->given_up[reply->n_given_up - 1];
		event->attempts = read_count(sql, STORE_ATTEMPTS_MAX);
		event->app_len = slice_copy(
		    sql_read_bytes(sql), event->app, sizeof(event->app));
		event->id_len = slice_copy(
		    sql_read_bytes(sql), event->id, sizeof(event->id));
	}
	return status;
}

static enum store_status
give_back(struct sql *sql, enum verdict verdict, int64_t now_ms,
    const int64_t *ids, size_t n, struct lease_reply *reply, struct err *err)
{
	size_t max = sql->driver->ids_max, len;
	enum store_status status = STORE_OK;

	for (size_t at = 0; at < n && status == STORE_OK; at += len) {
		len = n - at < max ? n - at : max;
		if (verdict == VERDICT_GIVEN_UP)
			status = note_given_up(sql, ids + at, len, reply, err);
		if (status == STORE_OK)
			status = verdict < VERDICT_COUNTED
				     ? uncount(sql, verdict, ids + at, len, err)
				     : count_attempt(sql, verdict, now_ms,
					   ids + at, len, err);
		if (status == STORE_OK && verdict >= VERDICT_QUARANTINED)
			status = label_follow(sql, ids + at, len, err);
	}
	return status;
}

/* While they still are what they were. */
static enum store_status
add_callbacks_of(struct sql *sql, const struct lease_request *request,
    const struct lost *lost, int64_t now_ms, struct err *err)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < lost->n && status == STORE_OK; i++)
		if (lost->rows[i].has_callback &&
		    store_judge(request, &lost->rows[i]) == VERDICT_GIVEN_UP)
			status = callback_of_given_up(
			    sql, lost->rows[i].id, now_ms, INTERRUPTED, err);
	return status;
}

static enum store_status
put_back(struct sql *sql, const struct lease_request *request,
    const struct lost *lost, struct lease_reply *reply, struct err *err)
{
	int64_t ids[STORE_LOST_MAX];
	int64_t now_ms = reply->now_ms + clock_ahead_ms();
	enum store_status status =
	    add_callbacks_of(sql, request, lost, now_ms, err);

	for (int v = 0; v < VERDICTS && status == STORE_OK; v++) {
		size_t n = store_judged(
		    request, lost->rows, lost->n, (enum verdict)v, ids);

		status =
		    give_back(sql, (enum verdict)v, now_ms, ids, n, reply, err);
	}
	reply->n_interrupted += lost->n;
	reply->rest = reply->rest || lost->rest;
	return status;
}

enum store_status
lost_put_back(struct sql *sql, const struct lease_request *request,
    uint64_t shards, struct lost_room *room, struct lease_reply *reply,
    struct err *err)
{
	struct lost lost;
	enum store_status status = read_lost(sql, 0, shards, room, &lost, err);

	if (status == STORE_OK)
		status = spare_living(sql, &lost, err);
	return status == STORE_OK ? put_back(sql, request, &lost, reply, err)
				  : status;
}

enum store_status
lost_put_back_of(struct sql *sql, const struct lease_request *request,
    uint64_t owner, struct lost_room *room, bool *rest,
    struct lease_reply *reply, struct err *err)
{
	struct lost lost;
	enum store_status status =
	    read_lost(sql, owner, UINT64_MAX, room, &lost, err);

	*rest = lost.rest;
	return status == STORE_OK ? put_back(sql, request, &lost, reply, err)
				  : status;
}
