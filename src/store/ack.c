/* SPDX-License-Identifier: ISC */
#include "store/ack.h"

#include "store/callback.h"
#include "store/label.h"
#include "store/record.h"

#define REFUSED  "refused by a nack"
#define TOO_LATE "; the next attempt would be after not-after"

/* What a receiver answered with 202, it ends later. */
enum { CODE_ACCEPTED = 202 };

struct acking {
	struct store_ack *ack;
	int64_t row_id;
	enum row_status status;
	struct event_options options;
};

/* What becomes of the row. */
struct ending {
	enum row_status status;
	int64_t due_ms;
	struct slice error;
};

#define ROW_OF_TOKEN "SELECT " EVENT_NAMES " FROM event WHERE id = ?"

static enum store_status
lock_row_of_token(struct sql *sql, struct acking *a, struct err *err)
{
	static const struct sql_text lock[] = {
	    [SQL_MYSQL] = {.head = ROW_OF_TOKEN " FOR UPDATE",
		.columns = EVENT_LETTERS},
	    [SQL_SQLITE] = {.head = ROW_OF_TOKEN, .columns = EVENT_LETTERS},
	};
	struct store_ack *ack = a->ack;
	struct store_row row;
	enum store_status status;

	store_record_free(ack->record); /* of a try that failed */
	ack->record = NULL;
	sql_i64(sql, ack->token.row_id);
	status = sql_select(sql, sql_pick(sql, lock), 0, err);
	if (status != STORE_OK || !sql_next(sql, &status, err))
		return status;
	store_row_read(sql, true, &row);
	a->row_id = row.id;
	a->status = (enum row_status)row.status;
	ack->shard = (unsigned)row.shard;
	status = store_row_check(sql, row.id, err);
	if (status == STORE_OK)
		status = store_record_create(&row, &ack->record, err);
	return sql_done(sql, store_damage(status), err);
}

static bool
has_its_token(struct acking *a)
{
	const struct store_record *record = a->ack->record;

	return record != NULL &&
	       event_options_parse(record->event.options, &a->options, NULL) ==
		   0 &&
	       a->options.ack_key.len > 0 &&
	       ack_token_is(&a->ack->token, a->options.ack_key);
}

/* Whoever had it on the wire is lost, and it was put back, uncounted. */
static bool
was_put_back(const struct acking *a)
{
	const struct store_ack *ack = a->ack;

	return a->status == ROW_WAITING && !ack->nack &&
	       ack->record->attempts + 1 == ack->token.attempt;
}

/*
 * An attempt may be ended by its receiver as long as it is the last one: while
 * it is on the wire, too, and when its answer was lost. A nack says nothing new
 * of one that failed.
 */
static enum ack_outcome
judge_ack(struct acking *a)
{
	const struct store_ack *ack = a->ack;

	if (!has_its_token(a))
		return ACK_UNKNOWN;
	if (ack->token.attempt <= a->options.forgiven)
		return ACK_OVER;
	if (was_put_back(a))
		return ACK_TAKEN;
	if (ack->record->attempts != ack->token.attempt)
		return ACK_OVER;
	switch (a->status) {
	case ROW_COMPLETED:
		return ack->nack ? ACK_OVER : ACK_SAME;
	case ROW_FAILED:
		return ack->nack ? ACK_SAME : ACK_OVER;
	case ROW_WAITING:
		return ack->nack && ack->record->state != EVENT_AWAITING
			   ? ACK_SAME
			   : ACK_TAKEN;
	case ROW_PROCESSING:
		break;
	}
	return ACK_TAKEN;
}

static struct ending
ending_of(const struct acking *a)
{
	const struct store_ack *ack = a->ack;
	struct ending end = {ROW_COMPLETED, ack->now_ms, {"", 0}};
	struct retry_policy policy;
	int64_t wait_ms, due_ms;

	if (!ack->nack)
		return end;
	event_retry_policy(&a->options.retry, ack->retry, &policy);
	wait_ms = retry_wait_ms(
	    &policy, ack->token.attempt - a->options.forgiven, 0, ack->random);
	due_ms = ack->now_ms + wait_ms;
	end.error = SLICE_LITERAL(REFUSED);
	end.status = ROW_FAILED;
	if (wait_ms < 0)
		return end;
	if (a->options.not_after_ms > 0 && due_ms > a->options.not_after_ms) {
		end.error = SLICE_LITERAL(REFUSED TOO_LATE);
		return end;
	}
	end.status = ROW_WAITING;
	end.due_ms = due_ms;
	return end;
}

/* In the place of what the delivery has left there. */
static enum store_status
log_ack(struct sql *sql, const struct acking *a, struct slice error,
    struct err *err)
{
#define LOG_ACK                                                                \
	"INSERT INTO attempt (event, number, at_ms, code, error, response)"    \
	" VALUES (?, ?, ?, ?, ?, ?)"
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = LOG_ACK
			   " ON DUPLICATE KEY UPDATE at_ms = VALUES(at_ms),"
			   " code = VALUES(code), error = VALUES(error),"
			   " response = VALUES(response)"},
	    [SQL_SQLITE] = {.head = LOG_ACK
			    " ON CONFLICT (event, number) DO UPDATE SET"
			    " at_ms = excluded.at_ms, code = excluded.code,"
			    " error = excluded.error,"
			    " response = excluded.response"},
	};
#undef LOG_ACK
	const struct store_ack *ack = a->ack;
	struct slice said = ack->said;

	if (said.len > ack->log_bytes)
		said.len = ack->log_bytes;
	sql_i64(sql, a->row_id);
	sql_i64(sql, ack->token.attempt);
	sql_i64(sql, ack->now_ms);
	sql_i64(sql, CODE_ACCEPTED);
	sql_bytes(sql, error);
	sql_bytes(sql, said);
	return sql_exec(sql, sql_pick(sql, text), 0, NULL, err);
}

/* Whoever has the event on the wire finds that it is none of his any more. */
static enum store_status
write_ending(struct sql *sql, const struct acking *a, const struct ending *end,
    struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event SET attempts = ?, status = ?, due_ms = ?,"
		    " last_code = ?, last_error = ?, suspect = 0"
		    " WHERE id = ? AND attempts = ? AND status IN (0, 1)"};

	sql_i64(sql, a->ack->token.attempt);
	sql_i64(sql, end->status);
	sql_i64(sql, end->due_ms);
	sql_i64(sql, CODE_ACCEPTED);
	sql_bytes(sql, end->error);
	sql_i64(sql, a->row_id);
	sql_i64(sql, a->ack->record->attempts);
	return sql_exec(sql, &text, 0, NULL, err);
}

static enum store_status
add_callback_of(struct sql *sql, const struct acking *a,
    const struct ending *ending, struct err *err)
{
	const struct store_ack *ack = a->ack;
	const struct event *ev = &ack->record->event;
	struct event_end end = {
	    .app = ev->app,
	    .id = ev->id,
	    .state = ack->state,
	    .attempts = ack->token.attempt,
	    .expiry_ms = ev->expiry_ms,
	    .at_ms = ending->due_ms,
	    .code = CODE_ACCEPTED,
	    .error = ending->error,
	    .response = ack->said,
	};

	if (ending->status == ROW_WAITING)
		return STORE_OK;
	if (end.response.len > ack->callback_bytes) {
		end.response.len = ack->callback_bytes;
		end.cut = true;
	}
	return callback_add(sql, ev->options, &end, ack->shard, err);
}

static enum store_status
ack_body(struct sql *sql, void *arg, struct err *err)
{
	struct acking *a = arg;
	struct store_ack *ack = a->ack;
	enum store_status status = lock_row_of_token(sql, a, err);
	struct ending end;

	if (status != STORE_OK)
		return status;
	ack->outcome = judge_ack(a);
	if (ack->record != NULL) {
		ack->state = ack->record->state;
		ack->due_ms = ack->record->due_ms;
	}
	/* What was changed meanwhile is in the way of this commit. */
	if (ack->outcome != ACK_TAKEN)
		return sql_be_current(sql, err);
	end = ending_of(a);
	ack->state =
	    store_row_state(end.status, CODE_ACCEPTED, end.error.len > 0);
	ack->due_ms = end.due_ms;
	ack->wakes = end.status == ROW_WAITING ||
		     a->options.on_complete.len + a->options.on_failure.len > 0;
	status = write_ending(sql, a, &end, err);
	if (status == STORE_OK && a->options.labels.len > 0)
		status = label_follow(sql, &a->row_id, 1, err);
	if (status == STORE_OK)
		status = log_ack(sql, a, end.error, err);
	return status == STORE_OK ? add_callback_of(sql, a, &end, err) : status;
}

enum store_status
ack_event(struct sql *sql, struct store_ack *ack, struct err *err)
{
	struct acking a = {.ack = ack};

	return sql_transact(sql, ack_body, &a, err);
}
