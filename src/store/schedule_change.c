/* SPDX-License-Identifier: ISC */
#include "store/schedule_change.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "store/add.h"
#include "store/record.h"
#include "store/row_id.h"
#include "store/schedule_run.h"

/* A claim writes a run as it was and as it is, and the next one. */
enum { SCHEDULE_TRANSACTION_PART = 2 * ADD_TRANSACTION_PART };

static enum store_status
ask_room_for(
    struct sql *sql, const struct event *ev, bool *room, struct err *err)
{
	*room = true;
	return sql->driver->room == NULL
		   ? STORE_OK
		   : sql->driver->room(sql,
			 2 * ((int64_t)store_event_bytes(ev) + ADD_DISK_BYTES),
			 room, err);
}

/*
 * From here to the end of the transaction nobody else makes a schedule of the
 * application: two rows of one name are in each other's way, at every server of
 * a cluster, too. This one is never seen. SQLite has one writer at a time.
 */
static enum store_status
make_alone(struct sql *sql, struct slice app, struct err *err)
{
	const struct slice none = SLICE_LITERAL("");
	const struct store_schedule mark = {.id = row_id_make(clock_event_ms()),
	    .app = app,
	    .name = none,
	    .spec = none,
	    .event = {.method = none,
		.url = none,
		.headers = none,
		.body = none,
		.options = none}};
	enum store_status status;

	if (sql->driver->kind == SQL_SQLITE)
		return STORE_OK;
	status = schedule_insert(sql, &mark, err);
	return status == STORE_OK ? schedule_delete(sql, &mark, err) : status;
}

static enum store_status
count_schedules(struct sql *sql, struct slice app, int64_t *n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT COUNT(*) FROM schedule WHERE app = ?",
	    .columns = "i"};

	sql_bytes(sql, app);
	return sql_value(sql, &text, n, err);
}

/* Adds the first of its times after after_s. */
static enum store_status
add_first(struct sql *sql, struct store_schedule *s, struct zones *zones,
    unsigned shard, int64_t after_s, int64_t *due_ms, struct err *err)
{
	struct schedule_times times;
	int64_t run_s;

	*due_ms = INT64_MAX;
	if (schedule_open(s, zones, &times, err) == -1)
		return STORE_BROKEN;
	return recur_next(&times.at, after_s, &run_s)
		   ? schedule_run_add(sql, s, &times, shard, run_s, due_ms, err)
		   : STORE_OK;
}

/* ---- made and replaced ---- */

struct putting {
	struct schedule_put *put;
	struct store_schedule *before; /* NULL: there is none */
	struct store_schedule now;
};

/* Of all that a client says of it. */
static int
make_fingerprint(
    const struct schedule_put *put, uint8_t fingerprint[EVENT_KEY_BYTES])
{
	struct event ev = *put->event;
	struct buf text;
	int result;

	buf_init(&text, put->spec.len + ev.options.len + 1);
	(void)buf_append_slice(&text, put->spec);
	(void)buf_append_char(&text, '\0');
	(void)buf_append_slice(&text, ev.options);
	ev.options = buf_slice(&text);
	ev.time = EVENT_AT;
	ev.expiry_ms = 0;
	result = text.failed ? -1 : event_fingerprint(&ev, fingerprint);
	buf_free(&text);
	return result;
}

static bool
has_no_statement(const struct sql *sql, const struct schedule_put *put)
{
	size_t bytes =
	    store_event_bytes(put->event) + put->spec.len + ADD_ROW_BYTES;

	return bytes > sql->statement_max ||
	       bytes > sql->transaction_max / SCHEDULE_TRANSACTION_PART;
}

/* The one that is there goes on as a new row, which has the old one's place. */
static enum store_status
replace_row(struct sql *sql, struct putting *p, struct err *err)
{
	struct store_schedule *before = p->before;
	enum store_status status = schedule_run_drop(sql, before, err);

	p->now.created_ms = before->created_ms;
	p->now.paused = before->paused;
	p->now.last_s = before->last_s;
	return status == STORE_OK ? schedule_delete(sql, before, err) : status;
}

static enum store_status
put_body(struct sql *sql, void *arg, struct err *err)
{
	struct putting *p = arg;
	struct schedule_put *put = p->put;
	int64_t now_ms = clock_event_ms(), n = 0;
	enum store_status status;
	bool room;

	store_schedule_free(p->before); /* of a try that failed */
	status = schedule_lock_named(sql, put->app, put->name, &p->before, err);
	if (status == STORE_DAMAGED)
		status = schedule_lock_damaged(
		    sql, put->app, put->name, &p->before, err);
	if (status == STORE_OK && p->before == NULL)
		status = make_alone(sql, put->app, err);
	if (status == STORE_OK && p->before == NULL)
		status = count_schedules(sql, put->app, &n, err);
	if (status == STORE_OK)
		status = ask_room_for(sql, put->event, &room, err);
	if (status != STORE_OK)
		return status;
	put->outcome = p->before == NULL ? SCHEDULE_MADE : SCHEDULE_REPLACED;
	if (p->before != NULL && memcmp(p->before->fingerprint,
				     p->now.fingerprint, EVENT_KEY_BYTES) == 0)
		put->outcome = SCHEDULE_SAME;
	else if (p->before == NULL && n >= (int64_t)put->max)
		put->outcome = SCHEDULE_TOO_MANY;
	else if (!room)
		put->outcome = SCHEDULE_NO_ROOM;
	if (put->outcome != SCHEDULE_MADE && put->outcome != SCHEDULE_REPLACED)
		return sql_be_current(sql, err);
	p->now.id = row_id_make(now_ms);
	p->now.created_ms = now_ms;
	p->now.since_s = now_ms / 1000;
	p->now.next_s = p->now.next_row = p->now.last_s = 0;
	p->now.paused = false;
	if (p->before != NULL)
		status = replace_row(sql, p, err);
	if (status == STORE_OK && !p->now.paused)
		status = add_first(sql, &p->now, put->zones, put->shard,
		    now_ms / 1000, &put->due_ms, err);
	return status == STORE_OK ? schedule_insert(sql, &p->now, err) : status;
}

enum store_status
put_schedule(struct sql *sql, struct schedule_put *put, struct err *err)
{
	struct putting p = {.put = put,
	    .now = {.app = put->app,
		.name = put->name,
		.spec = put->spec,
		.event = *put->event}};
	enum store_status status;

	put->due_ms = INT64_MAX;
	put->outcome = SCHEDULE_TOO_LARGE;
	if (has_no_statement(sql, put))
		return STORE_OK;
	if (make_fingerprint(put, p.now.fingerprint) == -1)
		return sql_no_memory(err);
	status = sql_transact(sql, put_body, &p, err);
	store_schedule_free(p.before);
	if (status == STORE_UNAVAILABLE && sql->full && sql->connected) {
		put->outcome = SCHEDULE_NO_ROOM;
		return STORE_OK;
	}
	return status;
}

/* ---- changed ---- */

struct schedule_changing {
	struct schedule_change *change;
	struct store_schedule *schedule;
};

static enum store_status
pause_schedule(struct sql *sql, struct schedule_changing *c, struct err *err)
{
	enum store_status status = schedule_run_drop(sql, c->schedule, err);

	c->schedule->paused = true;
	return status == STORE_OK ? schedule_update(sql, c->schedule, err)
				  : status;
}

/* Of what has passed meanwhile nothing is made up for: it was paused. */
static enum store_status
resume_schedule(struct sql *sql, struct schedule_changing *c, struct err *err)
{
	struct schedule_change *change = c->change;
	struct store_schedule *s = c->schedule;
	struct schedule_times times;
	enum store_status status = STORE_OK;
	struct err reason;

	if (schedule_open(s, change->zones, &times, &reason) == -1) {
		(void)err_set(err, "schedule %.*s/%.*s: %s",
		    (int)s->app.len, s->app.p, (int)s->name.len, s->name.p,
		    reason.text);
		return STORE_DAMAGED;
	}
	s->paused = false;
	if (times.recur.count == 0 || s->runs < times.recur.count)
		status = add_first(sql, s, change->zones, change->shard,
		    clock_event_ms() / 1000, &change->due_ms, err);
	return status == STORE_OK ? schedule_update(sql, s, err) : status;
}

static enum store_status
run_schedule(struct sql *sql, struct schedule_changing *c, struct err *err)
{
	struct schedule_change *change = c->change;
	bool room;
	enum store_status status =
	    ask_room_for(sql, &c->schedule->event, &room, err);

	if (status != STORE_OK)
		return status;
	if (!room)
		change->outcome = SCHEDULE_NO_ROOM;
	return room ? schedule_run_add_now(sql, c->schedule, change->shard,
			  change->run_id, &change->due_ms, err)
		    : sql_be_current(sql, err);
}

static enum store_status
delete_schedule(struct sql *sql, struct schedule_changing *c, struct err *err)
{
	enum store_status status = schedule_run_drop(sql, c->schedule, err);

	return status == STORE_OK ? schedule_delete(sql, c->schedule, err)
				  : status;
}

static enum schedule_outcome
judge_change(const struct schedule_changing *c)
{
	enum schedule_verb verb = c->change->verb;

	if (c->schedule == NULL)
		return SCHEDULE_UNKNOWN;
	if ((verb == SCHEDULE_PAUSE && c->schedule->paused) ||
	    (verb == SCHEDULE_RESUME && !c->schedule->paused))
		return SCHEDULE_SAME;
	return SCHEDULE_MADE;
}

static enum store_status
change_schedule_body(struct sql *sql, void *arg, struct err *err)
{
	struct schedule_changing *c = arg;
	struct schedule_change *change = c->change;
	enum store_status status;

	store_schedule_free(c->schedule); /* of a try that failed */
	status = schedule_lock_named(
	    sql, change->app, change->name, &c->schedule, err);
	if (status == STORE_DAMAGED && change->verb == SCHEDULE_DELETE)
		status = schedule_lock_damaged(
		    sql, change->app, change->name, &c->schedule, err);
	if (status != STORE_OK)
		return status;
	change->due_ms = INT64_MAX;
	change->outcome = judge_change(c);
	if (change->outcome != SCHEDULE_MADE)
		return sql_be_current(sql, err);
	switch (change->verb) {
	case SCHEDULE_DELETE:
		return delete_schedule(sql, c, err);
	case SCHEDULE_PAUSE:
		return pause_schedule(sql, c, err);
	case SCHEDULE_RESUME:
		return resume_schedule(sql, c, err);
	case SCHEDULE_RUN:
		return run_schedule(sql, c, err);
	}
	check_never("a verb");
}

enum store_status
change_schedule(
    struct sql *sql, struct schedule_change *change, struct err *err)
{
	struct schedule_changing c = {.change = change};
	enum store_status status =
	    sql_transact(sql, change_schedule_body, &c, err);

	store_schedule_free(c.schedule);
	return status;
}

/* ---- found ---- */

enum store_status
find_schedule(struct sql *sql, struct slice app, struct slice name,
    struct store_schedule **schedule, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT " SCHEDULE_NAMES
		    " FROM schedule WHERE app = ? AND name = ?",
	    .columns = SCHEDULE_LETTERS};
	enum store_status status = sql_catch_up(sql, err);

	*schedule = NULL;
	if (status != STORE_OK)
		return status;
	sql_bytes(sql, app);
	sql_bytes(sql, name);
	return schedule_read_one(sql, &text, schedule, err);
}

/* A list, a part in a statement. */
struct listing_schedules {
	const struct schedule_list *list;
	size_t n_left; /* to be told; 0 also where no more are taken */
	char after[EVENT_ID_MAX];
	size_t after_len;
};

/* Whose name is no text is nobody's, and no place to go on from. */
static enum store_status
list_row(struct sql *sql, struct listing_schedules *l, struct err *err)
{
	struct slice name = sql_read_bytes(sql);
	struct store_schedule *schedule = NULL;
	enum store_status status = schedule_read(sql, false, &schedule, err);

	l->after_len = slice_copy(name, l->after, sizeof(l->after));
	if (status != STORE_OK && status != STORE_DAMAGED)
		return status;
	if (!slice_is_utf8(name)) {
		store_schedule_free(schedule);
		return STORE_OK;
	}
	l->n_left--;
	if (status == STORE_DAMAGED)
		l->list->take_damaged(l->list->arg, name);
	else if (!l->list->take(l->list->arg, schedule))
		l->n_left = 0;
	return STORE_OK;
}

static enum store_status
list_part(struct sql *sql, struct listing_schedules *l, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT name, " SCHEDULE_STATE_NAMES
		    " FROM schedule WHERE app = ? AND name > ?"
		    " AND LENGTH(name) BETWEEN 1 AND 255"
		    " ORDER BY name LIMIT ?",
	    .columns = "b" SCHEDULE_STATE_LETTERS};
	size_t max = l->n_left, n_rows = 0;
	enum store_status status;

	sql_bytes(sql, l->list->app);
	sql_bytes(sql, slice_of(l->after, l->after_len));
	sql_i64(sql, (int64_t)max);
	status = sql_select(sql, &text, 0, err);
	for (; l->n_left > 0 && sql_next(sql, &status, err); n_rows++)
		status = list_row(sql, l, err);
	if (n_rows < max)
		l->n_left = 0;
	return sql_done(sql, status, err);
}

enum store_status
list_schedules(
    struct sql *sql, const struct schedule_list *list, struct err *err)
{
	struct listing_schedules l = {.list = list, .n_left = list->max};
	enum store_status status = sql_catch_up(sql, err);

	l.after_len = slice_copy(list->after, l.after, sizeof(l.after));
	while (status == STORE_OK && l.n_left > 0)
		status = list_part(sql, &l, err);
	return status;
}
