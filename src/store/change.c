/* SPDX-License-Identifier: ISC */
#include "store/change.h"

#include <string.h>

#include "base/check.h"
#include "event/event_labels.h"
#include "store/add.h"
#include "store/found.h"
#include "store/label.h"
#include "store/record.h"

/* A change under way: the row as it was found, locked. */
struct changing {
	struct store_change *change;
	struct store_record *record; /* NULL: there is none */
	int64_t row_id;
	enum row_status status;
	bool quarantined;
	bool labelled;
	bool damaged;
	unsigned shard;
};

#define WHOLE_EVENT "SELECT " EVENT_NAMES " FROM event WHERE k = ?"

static enum store_status
lock_row(struct sql *sql, struct changing *c, struct err *err)
{
	static const struct sql_text lock[] = {
	    [SQL_MYSQL] = {.head = WHOLE_EVENT " FOR UPDATE",
		.columns = EVENT_LETTERS},
	    [SQL_SQLITE] = {.head = WHOLE_EVENT, .columns = EVENT_LETTERS},
	};
	struct event_options options;
	struct store_row row;
	enum store_status status;

	store_record_free(c->record); /* of a try that failed */
	c->record = NULL;
	c->damaged = false;
	sql_bytes(sql, store_key_slice(c->change->key.bytes));
	status = sql_select(sql, sql_pick(sql, lock), 0, err);
	if (status != STORE_OK || !sql_next(sql, &status, err))
		return status;
	store_row_read(sql, true, &row);
	c->row_id = row.id;
	c->status = (enum row_status)row.status;
	c->shard = (unsigned)row.shard;
	c->quarantined = store_is_quarantined(row.due_ms);
	c->labelled =
	    event_options_parse(row.event.options, &options, NULL) == 0 &&
	    options.labels.len > 0;
	status = store_row_check(sql, row.id, err);
	if (status == STORE_OK)
		status = store_record_create(&row, &c->record, err);
	c->damaged = status == STORE_BROKEN;
	return sql_done(sql, status, err);
}

/* What ended it is an attempt like those before: only successes are not in the
 * log. */
static enum store_status
log_last(struct sql *sql, const struct changing *c, struct err *err)
{
#define LOG_LAST                                                               \
	"INSERT INTO attempt (event, number, at_ms, code, error, response)"    \
	" SELECT id, attempts, due_ms, last_code, last_error, x''"             \
	" FROM event WHERE id = ? AND attempts > 0"
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = LOG_LAST
			   " ON DUPLICATE KEY UPDATE number = number"},
	    [SQL_SQLITE] = {.head = LOG_LAST " ON CONFLICT DO NOTHING"},
	};
#undef LOG_LAST

	sql_i64(sql, c->row_id);
	return sql_exec(sql, sql_pick(sql, text), 0, NULL, err);
}

/* Those that are damaged are what it may have failed of. */
static int
write_options(const struct changing *c, struct buf *text)
{
	struct event_options options;
	struct slice before = c->record->event.options;

	if (event_options_parse(before, &options, NULL) == -1) {
		options = (struct event_options){0};
		before = SLICE_LITERAL("");
	}
	options.forgiven = c->record->attempts;
	return event_options_write(text, &options, before);
}

/*
 * The count of attempts goes on, since it is a part of the fence of results:
 * what one of before still has to say is of another attempt than any to come.
 */
static enum store_status
begin_again(struct sql *sql, const struct changing *c, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event SET status = 0, owner = 0, suspect = 0,"
		    " last_code = 0, last_error = ?, shard = ?, due_ms = ?,"
		    " options = ? WHERE id = ? AND status = ?"};
	struct store_change *change = c->change;
	enum store_status status = log_last(sql, c, err);
	struct buf options;

	if (status != STORE_OK)
		return status;
	buf_init(&options, (size_t)2 * EVENT_OPTIONS_MAX);
	if (write_options(c, &options) == -1) {
		buf_free(&options);
		return sql_no_memory(err);
	}
	change->state = EVENT_PENDING;
	change->due_ms = change->now_ms;
	sql_bytes(sql, SLICE_LITERAL(""));
	sql_i64(sql, change->shard);
	sql_i64(sql, change->due_ms);
	sql_bytes(sql, buf_slice(&options));
	sql_i64(sql, c->row_id);
	sql_i64(sql, c->status);
	status = sql_exec(sql, &text, 0, NULL, err);
	buf_free(&options);
	return status;
}

/* As the row has it: in quarantine it stays there. */
static int64_t
kept_due_ms(const struct changing *c)
{
	return c->change->due_ms + (c->quarantined ? STORE_QUARANTINE_MS : 0);
}

static enum store_status
put_forward(struct sql *sql, const struct changing *c, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE event SET shard = ?, due_ms = ?"
		    " WHERE id = ? AND status = 0"};
	struct store_change *change = c->change;

	if (change->now_ms < change->due_ms)
		change->due_ms = change->now_ms;
	sql_i64(sql, change->shard);
	sql_i64(sql, kept_due_ms(c));
	sql_i64(sql, c->row_id);
	return sql_exec(sql, &text, 0, NULL, err);
}

#define SET_EVENT                                                              \
	"UPDATE event SET shard = ?, due_ms = ?, expiry_ms = ?, method = ?,"   \
	" url = ?, headers = ?, body_is_text = ?, body = ?, options = ?"       \
	" WHERE id = ? AND status = 0"

static enum store_status
write_patched(struct sql *sql, const struct changing *c, const struct event *ev,
    struct err *err)
{
	static const struct sql_text text = {.head = SET_EVENT};
	struct store_change *change = c->change;

	sql_i64(sql, change->shard);
	sql_i64(sql, kept_due_ms(c));
	sql_i64(sql, ev->expiry_ms);
	sql_bytes(sql, ev->method);
	sql_bytes(sql, ev->url);
	sql_bytes(sql, ev->headers);
	sql_i64(sql, ev->body_is_text);
	sql_bytes(sql, ev->body);
	sql_bytes(sql, ev->options);
	sql_i64(sql, c->row_id);
	return sql_exec(sql, &text, 0, NULL, err);
}

/* An add of that size would be refused, too. */
static bool
would_be_refused(const struct sql *sql, const struct event *ev)
{
	size_t bytes = store_event_bytes(ev) + ADD_ROW_BYTES;

	return bytes > sql->statement_max ||
	       bytes > sql->transaction_max / ADD_TRANSACTION_PART;
}

/* Into text, which options then borrow. -1 when memory is short. */
static int
patch_labels(
    struct changing *c, struct event_options *options, struct buf *text)
{
	struct event_labels labels;
	struct event_labels_error ignored;

	event_labels_parse(options->labels, &labels);
	if (event_labels_patch(&c->change->patch->labels, &labels, &ignored) ==
	    -1)
		c->change->outcome = CHANGE_LABELS;
	else if (event_labels_write(text, &labels) == -1)
		return -1;
	options->labels = buf_slice(text);
	return 0;
}

/* Before it is due: only a first attempt is, and nothing in quarantine. */
static bool
is_looked_at(const struct changing *c)
{
	return c->record->attempts == 0 && !c->quarantined;
}

/* Those that are damaged stay, unless others are given. labels has room for
 * their text. */
static int
patch_options(
    struct changing *c, struct event *ev, struct buf *text, struct buf *labels)
{
	const struct event_patch *patch = c->change->patch;
	struct event_options options;
	struct slice before = ev->options;

	if (event_options_parse(before, &options, NULL) == -1) {
		if (!event_patch_has_options(patch))
			return 0;
		options = (struct event_options){0};
		before = SLICE_LITERAL("");
	}
	event_patch_options(patch, is_looked_at(c), &options);
	if ((patch->has_time || patch->has_not_after) &&
	    options.not_after_ms > 0 && ev->expiry_ms > options.not_after_ms)
		c->change->outcome = CHANGE_TOO_LATE;
	if (!patch->has_time && !event_patch_has_options(patch))
		return 0;
	if (patch->has_labels && patch_labels(c, &options, labels) == -1)
		return -1;
	if (event_options_write(text, &options, before) == 0)
		ev->options = buf_slice(text);
	else if (text->failed)
		return -1;
	else
		c->change->outcome = CHANGE_TOO_LARGE;
	return 0;
}

static enum store_status
replace_labels(struct sql *sql, const struct changing *c,
    const struct event *ev, struct err *err)
{
	enum store_status status = label_delete(sql, &c->row_id, 1, err);

	return status == STORE_OK
		   ? label_add_one(sql, c->row_id, kept_due_ms(c), ev->app,
			 ev->options, err)
		   : status;
}

/* The fingerprint stays that of the add, which may be repeated. */
static enum store_status
patch_event(struct sql *sql, struct changing *c, struct err *err)
{
	struct store_change *change = c->change;
	struct store_record now = *c->record;
	enum store_status status = STORE_OK;
	struct buf body, options, labels;

	buf_init(&labels, EVENT_LABELS_TEXT_MAX);
	buf_init(&body, change->body_max);
	buf_init(&options, (size_t)2 * EVENT_OPTIONS_MAX);
	if (event_patch_apply(change->patch, &now.event, &body) == -1 ||
	    would_be_refused(sql, &now.event))
		change->outcome = CHANGE_TOO_LARGE;
	else if (patch_options(c, &now.event, &options, &labels) == -1)
		status = sql_no_memory(err);
	if (change->patch->has_time)
		now.due_ms =
		    event_patch_due_ms(change->patch, is_looked_at(c));
	else
		change->shard = c->shard;
	change->due_ms = now.due_ms;
	change->expiry_ms = now.event.expiry_ms;
	if (status == STORE_OK && change->outcome == CHANGE_MADE)
		status = store_record_tag(&now, change->tag) == -1
			     ? sql_no_memory(err)
			     : write_patched(sql, c, &now.event, err);
	if (status == STORE_OK && change->outcome == CHANGE_MADE &&
	    change->patch->has_labels)
		status = replace_labels(sql, c, &now.event, err);
	buf_free(&body);
	buf_free(&options);
	buf_free(&labels);
	return status;
}

/* Whether the event is one of those in If-Match (RFC 9110, 13.1.1). */
static bool
is_asked_for(const struct changing *c)
{
	struct slice list = c->change->if_match;
	char tag[STORE_TAG_BYTES];
	size_t len = sizeof(tag) - 1;

	if (list.p == NULL || slice_eq(list, SLICE_LITERAL("*")))
		return true;
	if (store_record_tag(c->record, tag) == -1)
		return false;
	for (size_t i = 0; i + len <= list.len; i++)
		if (memcmp(list.p + i, tag, len) == 0 &&
		    (i < 2 || memcmp(list.p + i - 2, "W/", 2) != 0))
			return true;
	return false;
}

/* What its receiver works on is not what it would be told. */
static bool
is_with_receiver(const struct changing *c)
{
	return c->change->verb == CHANGE_PATCH &&
	       c->record->state == EVENT_AWAITING;
}

/* Whether the state of the row is one for the verb. */
static enum change_outcome
judge(const struct changing *c)
{
	bool ended = c->status == ROW_COMPLETED || c->status == ROW_FAILED;

	if (c->record == NULL)
		return CHANGE_UNKNOWN;
	if (!is_asked_for(c))
		return CHANGE_OTHER;
	if (c->change->verb == CHANGE_DELETE)
		return c->status == ROW_PROCESSING ? CHANGE_REFUSED
						   : CHANGE_MADE;
	if (c->change->verb != CHANGE_RETRY)
		return c->status == ROW_WAITING && !is_with_receiver(c)
			   ? CHANGE_MADE
			   : CHANGE_REFUSED;
	if (!ended)
		return CHANGE_REFUSED;
	return c->record->attempts <= CHANGE_ATTEMPTS_MAX ? CHANGE_MADE
							  : CHANGE_WORN_OUT;
}

static enum store_status
write_change(struct sql *sql, struct changing *c, struct err *err)
{
	switch (c->change->verb) {
	case CHANGE_RUN:
		return put_forward(sql, c, err);
	case CHANGE_RETRY:
		return begin_again(sql, c, err);
	case CHANGE_PATCH:
		return patch_event(sql, c, err);
	case CHANGE_DELETE:
		c->labelled = false;
		return found_delete(
		    sql, &(struct found){.row_id = c->row_id}, err);
	}
	check_never("a verb");
}

static enum store_status
change_body(struct sql *sql, void *arg, struct err *err)
{
	struct changing *c = arg;
	struct store_change *change = c->change;
	enum store_status status = lock_row(sql, c, err);

	if (status != STORE_OK)
		return status;
	if (change->stays)
		change->shard = c->shard;
	change->outcome = judge(c);
	if (c->record != NULL) {
		change->state = c->record->state;
		change->due_ms = c->record->due_ms;
		change->expiry_ms = c->record->event.expiry_ms;
	}
	/* What was changed meanwhile is in the way of this commit. */
	if (change->outcome != CHANGE_MADE)
		return sql_be_current(sql, err);
	status = write_change(sql, c, err);
	if (status == STORE_OK && c->labelled)
		status = label_follow(sql, &c->row_id, 1, err);
	return status;
}

enum store_status
change_row(struct sql *sql, struct store_change *change, struct err *err)
{
	struct changing c = {.change = change};
	enum store_status status = change_body(sql, &c, err);

	store_record_free(c.record);
	return status;
}

enum store_status
change_event(struct sql *sql, struct store_change *change, struct err *err)
{
	struct changing c = {.change = change};
	enum store_status status = sql_transact(sql, change_body, &c, err);

	store_record_free(c.record);
	return c.damaged ? store_damage(status) : status;
}
