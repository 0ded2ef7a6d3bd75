/* SPDX-License-Identifier: ISC */
#include "store/claim.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/add.h"
#include "store/due_pick.h"
#include "store/parked.h"
#include "store/label.h"
#include "store/local_time.h"
#include "store/look.h"
#include "store/pauses.h"
#include "store/put_off.h"
#include "store/record.h"
#include "store/schedule_run.h"
#include "store/settle.h"
#include "store/shard_text.h"

enum {
	LOCKED_AGAIN_MS = 20, /* rows that somebody has locked */
	RUNS_MAX = 64, /* of schedules, a transaction: a few statements each */
};

/* Of servers that pass over a row which somebody is just adding. */
#define UNCOMMITTED(FROM_VERSION)                                              \
	" " FROM_VERSION ", ISOLATION LEVEL READ UNCOMMITTED */"

/* A call under way: rows that were due when it looked. */
struct claiming {
	const struct claim_request *request;
	struct claim_reply *reply;
	struct look look;
	int64_t behind_ms; /* next_due_ms and more of the look */
	bool more;
	struct local_move moves[SQL_IDS_MAX]; /* of a statement's rows */
	size_t n_moves, n_moves_in_all;
	struct schedule_run runs[RUNS_MAX]; /* the same */
	size_t n_runs, n_runs_in_all, n_left;
	struct parked_row parked[SQL_IDS_MAX]; /* the same */
	size_t n_parked;
	int64_t damaged[SQL_IDS_MAX]; /* the same */
	size_t n_damaged;
};

static void
forget_claims(struct claim_reply *reply)
{
	while (reply->n_claims > 0)
		store_claim_free(reply->claims[--reply->n_claims]);
	reply->n_bytes = reply->n_parked = reply->n_damaged = 0;
	reply->n_passed_bytes = 0;
	reply->cut = false;
}

/*
 * The locks keep a lease call of another worker out until this one's end: it
 * sees our claims, or we see that the shard is gone. By the primary key: those
 * of others are not waited for.
 */
#define OWN_LEASES(INDEX)                                                      \
	"SELECT shard FROM lease" INDEX " WHERE owner = ? AND "
static const struct sql_text own_leases[] = {
    [SQL_MYSQL] = SHARDS_MYSQL(
	OWN_LEASES(" FORCE INDEX (PRIMARY)"), " LOCK IN SHARE MODE", "i"),
    [SQL_SQLITE] = SHARDS_SQLITE(OWN_LEASES(""), "", "i"),
};

static enum store_status
lock_own_leases(struct sql *sql, struct claiming *c, struct err *err)
{
	enum store_status status;
	unsigned arity;

	c->reply->owned = 0;
	if (c->request->shards == 0)
		return STORE_OK;
	sql_u64(sql, c->request->owner);
	arity = shard_args(sql, c->request->shards);
	status = sql_select(sql, sql_pick(sql, own_leases), arity, err);
	while (sql_next(sql, &status, err)) {
		int64_t shard = sql_read_i64(sql);

		status =
		    store_check_number("shard", shard, EVENT_SHARDS - 1, err);
		if (status == STORE_OK)
			c->reply->owned |= UINT64_C(1) << shard;
	}
	c->reply->owned &= c->request->shards;
	return sql_done(sql, status, err);
}

#define WAITING_ROWS                                                           \
	"SELECT " EVENT_DELIVERY_NAMES " FROM event" BY_KEY                    \
	" WHERE status = 0 AND id IN ("

/*
 * Locks them: what is found here still waits, whatever was seen in the index.
 * Who has a row locked deletes it, or adds it again: that may take long where
 * a process is stopped or a host is gone, and the other rows do not wait for
 * it.
 */
static const struct sql_text waiting_rows[] = {
    [SQL_MYSQL] = {.head = WAITING_ROWS,
	.item = "?",
	.sep = ", ",
	.tail = ") FOR UPDATE" SKIP_LOCKED,
	.columns = EVENT_DELIVERY_LETTERS},
    [SQL_SQLITE] = {.head = WAITING_ROWS,
	.item = "?",
	.sep = ", ",
	.tail = ")",
	.columns = EVENT_DELIVERY_LETTERS},
};

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

static void
note_due(struct claim_reply *reply, int64_t due_ms)
{
	if (due_ms < reply->next_due_ms)
		reply->next_due_ms = due_ms;
}

/* Who has a row locked may leave it as it is, and tells nobody. */
static void
look_again(const struct claim_request *request, struct claim_reply *reply)
{
	if (request->horizon_ms < STORE_QUARANTINE_MS)
		note_due(reply, request->horizon_ms + LOCKED_AGAIN_MS);
}

/* Half of claimAhead before that time the worker claims again. */
static void
look_when_due(const struct claim_request *request, struct claim_reply *reply,
    int64_t due_ms)
{
	note_due(reply, due_ms + (request->horizon_ms - request->now_ms) / 2);
}

/* Whether a run of a schedule is left for the next claim; else it is noted. */
static bool
leave_run(struct claiming *c, const struct schedule_run *run)
{
	int64_t due_ms = run->claim->due_ms;

	if (run->exact && due_ms > c->request->now_ms) {
		look_when_due(c->request, c->reply, due_ms);
		c->n_left++;
	} else if (c->n_runs_in_all == RUNS_MAX) {
		c->reply->more = true;
	} else {
		c->n_runs_in_all++;
		c->runs[c->n_runs++] = *run;
		return false;
	}
	return true;
}

static void
untake(struct claim_reply *reply, struct store_claim *claim)
{
	size_t i = reply->n_claims;

	do
		check(i-- > 0);
	while (reply->claims[i] != claim);
	reply->claims[i] = reply->claims[--reply->n_claims];
	reply->n_bytes -= claim->bytes;
	store_claim_free(claim);
}

/* Those that are not to be delivered now are claimed no more. */
static enum store_status
begin_runs(struct sql *sql, struct claiming *c, struct err *err)
{
	enum store_status status = STORE_OK;
	int64_t due_ms;
	bool begins;

	for (size_t i = 0; status == STORE_OK && i < c->n_runs; i++) {
		status = schedule_run_begin(
		    sql, c->request, &c->runs[i], &begins, &due_ms, err);
		if (status != STORE_OK)
			break;
		note_due(c->reply, due_ms);
		if (!begins)
			untake(c->reply, c->runs[i].claim);
	}
	return status;
}

static bool
is_parked(struct claiming *c, const struct store_claim *claim)
{
	const struct store_pause *pause =
	    c->request->pauses == NULL
		? NULL
		: pauses_match(c->request->pauses, 0, &claim->event);

	if (pause == NULL)
		return false;
	c->parked[c->n_parked++] = (struct parked_row){claim->row_id,
	    pause->number, label_count(claim->event.options) > 0};
	c->reply->n_parked++;
	c->reply->n_passed_bytes += claim->bytes;
	return true;
}

/* None of its shard is to wait for its mending. */
static void
note_damaged_row(
    struct claiming *c, const struct store_row *row, const struct err *reason)
{
	struct claim_reply *reply = c->reply;
	struct store_damaged *told;

	c->damaged[c->n_damaged++] = row->id;
	reply->n_passed_bytes += store_event_bytes(&row->event);
	if (reply->n_damaged++ >= STORE_DAMAGED_MAX)
		return;
	told = &reply->damaged[reply->n_damaged - 1];
	told->app_len =
	    slice_copy(row->event.app, told->app, sizeof(told->app));
	told->id_len = slice_copy(row->event.id, told->id, sizeof(told->id));
	told->reason = *reason;
}

/* The present row, which is refused with a reason. */
static enum store_status
take_waiting(struct sql *sql, const struct store_row *row, struct claiming *c,
    struct err *err)
{
	const struct claim_request *request = c->request;
	struct claim_reply *reply = c->reply;
	struct local_move *move = &c->moves[c->n_moves];
	int64_t due_ms = store_plain_due_ms(row->due_ms);
	struct store_claim *claim;
	/* First: what was refused fails the whole result else. */
	enum store_status status = store_row_check(sql, row->id, err);
	struct schedule_run run;

	/* Another host may have put it into quarantine, or taken it out, or
	 * has parked it. */
	if (status == STORE_OK && row->due_ms >= 0 &&
	    row->due_ms / STORE_QUARANTINE_MS != request->alone)
		return STORE_OK;
	/* It was put off since it was seen. */
	if (due_ms > request->horizon_ms)
		note_due(reply, due_ms);
	if (due_ms > request->horizon_ms || store_leave(request, reply, due_ms))
		return STORE_OK;
	if (status == STORE_OK)
		status = store_claim_create(row, &claim, err);
	if (status == STORE_BROKEN)
		note_damaged_row(c, row, err);
	if (status != STORE_OK)
		return status == STORE_BROKEN ? STORE_OK : status;
	if (is_parked(c, claim)) {
		store_claim_free(claim);
	} else if (!request->alone && local_time_moved(claim, request, move)) {
		c->n_moves++;
		c->n_moves_in_all++;
		note_due(reply, move->due_ms);
		store_claim_free(claim);
	} else if (!request->alone && schedule_run_read(claim, &run) &&
		   leave_run(c, &run))
		store_claim_free(claim);
	else
		store_take(reply, claim);
	return STORE_OK;
}

/* Those of the rows that still wait, into the reply. */
static enum store_status
read_waiting(struct sql *sql, struct claiming *c, const struct due_row *rows,
    size_t n, struct err *err)
{
	int64_t asked[SQL_IDS_MAX];
	size_t n_asked = n;
	struct store_row row;
	enum store_status status;
	unsigned arity;

	for (size_t i = 0; i < n; i++)
		asked[i] = rows[i].row_id;
	c->n_moves = c->n_runs = c->n_parked = c->n_damaged = 0;
	arity = id_args(sql, asked, n);
	status = sql_select(sql, sql_pick(sql, waiting_rows), arity, err);
	while (sql_next(sql, &status, err)) {
		store_row_read_delivery(sql, &row);
		status = strike_off(asked, &n_asked, row.id)
			     ? take_waiting(sql, &row, c, err)
			     : sql_nonsense(
				   sql, "a row that was not asked for", err);
	}
	if (n_asked > 0 && sql->driver->remote)
		look_again(c->request, c->reply);
	return sql_done(sql, status, err);
}

static enum store_status
mark_claims(struct sql *sql, uint64_t owner, struct store_claim *const *taken,
    size_t n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event" BY_KEY
		    " SET status = 1, attempts = attempts + 1,"
		    " owner = ? WHERE status = 0 AND id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	uint64_t affected = 0;
	enum store_status status;
	unsigned arity;

	sql_u64(sql, owner);
	for (size_t i = 0; i < n; i++)
		sql_i64(sql, taken[i]->row_id);
	arity = sql_pad(sql, n);
	status = sql_exec(sql, &text, arity, &affected, err);
	if (status == STORE_OK && affected != n)
		status = sql_nonsense(sql, "a row that was ours changed", err);
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

static size_t
n_taken(const struct claim_reply *reply)
{
	return reply->n_claims + reply->n_parked + reply->n_damaged;
}

/*
 * All that was seen are runs that are left until their time: the same would be
 * seen again until then, and what is behind them is not due before. What was
 * put off or locked is noted.
 */
static bool
waits_for_runs(const struct claiming *c)
{
	return c->n_left > 0 && c->n_runs_in_all + c->n_moves_in_all == 0 &&
	       n_taken(c->reply) == 0;
}

static enum store_status
take_rows(struct sql *sql, struct claiming *c, struct err *err)
{
	const struct due_row *rows = c->look.rows;
	enum store_status status = STORE_OK;
	size_t n = c->look.n, len;

	c->reply->next_due_ms = INT64_MAX;
	c->reply->more = c->more;
	c->n_left = c->n_runs_in_all = c->n_moves_in_all = 0;
	for (size_t at = 0; status == STORE_OK && at < n; at += len) {
		size_t before = c->reply->n_claims;

		if (store_leave(c->request, c->reply, rows[at].due_ms))
			break;
		len = n - at < sql->driver->ids_max ? n - at
						    : sql->driver->ids_max;
		status = read_waiting(sql, c, rows + at, len, err);
		if (status == STORE_OK)
			status =
			    local_time_write(sql, c->moves, c->n_moves, err);
		if (status == STORE_OK)
			status = begin_runs(sql, c, err);
		if (status == STORE_OK)
			status = parked_write(sql, c->parked, c->n_parked, err);
		if (status == STORE_OK)
			status = put_off_damaged(sql, c->request, c->damaged,
			    c->n_damaged, c->reply, err);
		if (status == STORE_OK && c->reply->n_claims > before)
			status = mark_claims(sql, c->request->owner,
			    c->reply->claims + before,
			    c->reply->n_claims - before, err);
	}
	if (waits_for_runs(c))
		c->reply->more = false;
	else
		note_due(c->reply, c->behind_ms);
	if (c->reply->n_claims > 1)
		qsort(c->reply->claims, c->reply->n_claims,
		    sizeof(struct store_claim *), compare_claims);
	return status;
}

static void
keep_look(struct claiming *c)
{
	c->behind_ms = c->reply->next_due_ms;
	c->more = c->reply->more;
}

/* Results, and what is due after them. */
static enum store_status
turn_body(struct sql *sql, void *arg, struct err *err)
{
	struct claiming *c = arg;
	enum store_status status;

	forget_claims(c->reply); /* of a try that failed */
	c->look.n = 0;
	status = lock_own_leases(sql, c, err);
	if (status == STORE_OK)
		status =
		    settle_results(sql, c->request, &c->reply->n_stale, err);
	if (status == STORE_OK && c->request->claim_max > 0)
		status = look_within(sql, c->request, c->reply, &c->look, err);
	keep_look(c);
	return status == STORE_OK ? take_rows(sql, c, err) : status;
}

/* What was seen before the transaction, in so far as it is still there. */
static enum store_status
take_body(struct sql *sql, void *arg, struct err *err)
{
	struct claiming *c = arg;
	enum store_status status;

	forget_claims(c->reply);
	status = lock_own_leases(sql, c, err);
	look_keep(&c->look, c->reply->owned);
	return status == STORE_OK ? take_rows(sql, c, err) : status;
}

/* When nothing is due, one statement has told so. */
static enum store_status
claim_only(struct sql *sql, struct claiming *c, struct err *err)
{
	enum store_status status =
	    look_before(sql, c->request, c->reply, &c->look, err);

	keep_look(c);
	return status == STORE_OK && c->look.n > 0
		   ? sql_transact(sql, take_body, c, err)
		   : status;
}

/*
 * In a backlog the index is full of what was changed just now, and rows of it
 * would be looked up one by one to see whether that is committed. What is read
 * with a lock, and all that is written, is no other for it: only the look sees
 * what is not committed. Who was just deleting one may leave it, so look again.
 */
static enum store_status
look_at_uncommitted(struct sql *sql, struct err *err)
{
	return sql->driver->run(sql,
	    "SET TRANSACTION READ WRITE" UNCOMMITTED("/*M!100600")
		UNCOMMITTED("/*!80001"),
	    err);
}

/*
 * A row goes into the transaction as it was and as it is, the last one may be
 * of any size that was accepted, and there are results beside them.
 */
static size_t
most_bytes(const struct sql *sql, const struct claim_request *request)
{
	size_t max = sql->transaction_max / 2 / ADD_TRANSACTION_PART;

	return request->claim_bytes == 0 || request->claim_bytes > max
		   ? max
		   : request->claim_bytes;
}

static enum store_status
claim_in_turn(struct sql *sql, struct claiming *c, struct err *err)
{
	const struct claim_request *request = c->request;

	return sql->driver->remote && request->n_results == 0 &&
		       request->claim_max > 0 && !request->alone
		   ? claim_only(sql, c, err)
		   : sql_transact(sql, turn_body, c, err);
}

/*
 * All that the look saw may be what others are just adding, and stay so for as
 * long as some are: what is committed behind that is seen without it. Results
 * are written by now, so with them a failure is left to the next call.
 */
static enum store_status
claim_committed(struct sql *sql, struct claim_request *request,
    struct claiming *c, struct err *err)
{
	const struct claim_reply before = *c->reply;
	bool wrote = request->n_results > 0;
	enum store_status status;

	request->backlog = false;
	request->n_results = 0;
	look_free(&c->look);
	status = claim_in_turn(sql, c, err);
	if (status == STORE_OK || !wrote)
		return status;
	forget_claims(c->reply);
	*c->reply = before;
	return STORE_OK;
}

enum store_status
settle_and_claim(struct sql *sql, const struct claim_request *request,
    struct claim_reply *reply, struct err *err)
{
	struct claim_request bounded = *request;
	struct claiming c = {.request = &bounded, .reply = reply};
	bool uncommitted =
	    sql->driver->remote && request->backlog && request->claim_max > 0;
	enum store_status status = STORE_OK;

	bounded.claim_bytes = most_bytes(sql, request);
	*reply = (struct claim_reply){
	    .claims = request->claims, .next_due_ms = INT64_MAX};
	if (uncommitted)
		status = look_at_uncommitted(sql, err);
	if (status == STORE_OK)
		status = claim_in_turn(sql, &c, err);
	if (status == STORE_OK && uncommitted && c.look.n > 0 &&
	    n_taken(reply) == 0)
		status = claim_committed(sql, &bounded, &c, err);
	if (uncommitted)
		look_again(request, reply);
	look_free(&c.look);
	/* What was read before the failure was not claimed. */
	if (status != STORE_OK)
		forget_claims(reply);
	return status;
}
