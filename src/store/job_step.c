/* SPDX-License-Identifier: ISC */
#include "store/job_step.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "store/cancel.h"
#include "store/change.h"
#include "store/columns.h"
#include "store/job_row.h"
#include "store/list.h"
#include "store/record.h"
#include "store/shard_text.h"

/*
 * A step looks for the next events as a page of a list does, without a
 * transaction, and changes them in one, in which the job is what it was: its
 * number of steps is the fence, so that of two workers which believe that it is
 * theirs one does nothing. What is no longer what the list told is left alone,
 * as is what the step did not come to: the cursor is behind what it did.
 */

enum { COUNT_ROWS = 8 * LIST_LOOK_MAX }; /* of a step, about, at most */

/* An event of the list. */
struct listed {
	struct list_place place;
	struct event_key key;
	enum event_state state;
	int64_t due_ms;
	bool is_local; /* due by wall clocks of a zone */
	bool is_run;   /* of a schedule */
	/* The row, locked. */
	bool is_same;
	int64_t tried_ms; /* its last attempt that is in the log, or 0 */
};

struct stepping {
	struct job_step *step;
	struct job_row row;
	struct list_query query;
	struct list_step list;
	size_t n; /* of events that are changed now */
	struct listed listed[JOB_STEP_MAX];
	int64_t n_counted;
	bool no_memory;
	bool passes; /* what is listed cannot be changed */
	bool stale;  /* the job is no longer what it was */
	struct job_record after;
};

/* Of an event's time. */
static const int64_t year_10000_ms = INT64_C(253402300800000);

/* ---- the list ---- */

/* From what is due first, so that what the job brings forward it does not meet
 * again; where it puts events off the other way round. */
static void
begin_query(struct stepping *s)
{
	const struct job_spec *spec = &s->row.record.spec;
	int64_t before_ms = spec->before_ms;

	/* What the job has begun again ends later than that. */
	if (spec->verb == JOB_RETRY && before_ms > s->row.record.since_ms)
		before_ms = s->row.record.since_ms;
	if (before_ms > STORE_LIST_END_MS)
		before_ms = STORE_LIST_END_MS;
	s->query = (struct list_query){
	    .app = s->row.record.app,
	    .states = spec->states,
	    .from_ms = spec->from_ms,
	    .before_ms = before_ms,
	    .destination = spec->destination,
	    .labels = spec->labels,
	    .first = spec->first,
	    .descending = spec->by_ms > 0,
	};
}

/* What came later is none of the job's, nor what is due then anyway: of a pause
 * that holds it back it would be met twice. */
static bool
is_meant(
    const struct stepping *s, int64_t row_id, int64_t due_ms, int64_t expiry_ms)
{
	const struct job_spec *spec = &s->row.record.spec;

	if (row_id > s->row.before_id)
		return false;
	if (spec->verb == JOB_RUN)
		return due_ms > s->step->now_ms;
	return spec->verb != JOB_RESCHEDULE || spec->by_ms != 0 ||
	       due_ms != spec->to_ms || expiry_ms != spec->to_ms;
}

static void
read_listed_options(struct listed *listed, struct slice text)
{
	struct event_options options;

	if (event_options_parse(text, &options, NULL) == -1)
		return;
	listed->is_local = options.zone.len > 0;
	listed->is_run = options.schedule != 0;
}

static bool
take_listed(void *arg, struct store_record *record)
{
	struct stepping *s = arg;
	struct listed *listed = &s->listed[s->n];

	if (is_meant(s, s->list.place.row_id, record->due_ms,
		record->event.expiry_ms)) {
		*listed = (struct listed){
		    .place = s->list.place,
		    .state = record->state,
		    .due_ms = record->due_ms,
		};
		read_listed_options(listed, record->event.options);
		s->no_memory |= event_key_make(record->event.app,
				    record->event.id, &listed->key) == -1;
		s->n++;
	}
	store_record_free(record);
	return s->n < s->step->max;
}

static void
count_listed(void *arg, const struct list_match *match)
{
	struct stepping *s = arg;

	s->n_counted += is_meant(s, match->place.row_id,
	    store_plain_due_ms(match->due_ms), match->expiry_ms);
}

/* A count writes nothing but its own place: so as to do that seldom it looks
 * more than once, where that is fast. */
static enum store_status
look_at_rows(struct sql *sql, struct stepping *s, bool counts, struct err *err)
{
	int64_t begin_ms = clock_mono_ms();
	enum store_status status;
	size_t n_looked = 0;

	do {
		status = list_go_on(sql, &s->list, err);
		n_looked += s->list.n_looked;
	} while (counts && status == STORE_OK && !s->list.end &&
		 n_looked < COUNT_ROWS &&
		 clock_mono_ms() < begin_ms + s->step->look_ms);
	s->step->n_looked = n_looked;
	s->step->look_took_ms = clock_mono_ms() - begin_ms;
	return status;
}

/* Where the last step came to, if nobody has moved the job since. */
static void
take_tally(struct stepping *s)
{
	struct job_tally *tally = &s->step->tally;

	if (tally->held && tally->steps == s->row.record.steps) {
		s->row.place = tally->place;
		s->n_counted = tally->matched;
	}
	tally->held = false;
}

/* A count writes nothing else: its row waits for the next step that does. */
static bool
keep_tally(struct stepping *s)
{
	if (!s->step->counted || s->list.end || s->step->writes)
		return false;
	s->step->tally = (struct job_tally){
	    true, s->row.record.steps, s->n_counted, s->list.place};
	s->after = s->row.record;
	return true;
}

static enum store_status
look_for_events(struct sql *sql, struct stepping *s, struct err *err)
{
	bool counts = s->row.record.state == JOB_COUNTING;
	enum store_status status;

	begin_query(s);
	if (s->row.record.steps == 0)
		s->row.place = list_begin(&s->query);
	take_tally(s);
	s->list = (struct list_step){
	    .query = &s->query,
	    .n_wanted = s->step->max,
	    .n_look = counts ? LIST_LOOK_MAX : s->step->n_look,
	    .take = take_listed,
	    .meet = counts ? count_listed : NULL,
	    .arg = s,
	    .place = s->row.place,
	    .begun = true, /* who sees the job sees what was there before it */
	    .pace = {.rests = counts ? s->step->count_rests : s->step->rests},
	};
	status = look_at_rows(sql, s, counts, err);
	s->step->counted = counts;
	s->step->n_listed = counts ? (size_t)s->n_counted : s->n;
	return status == STORE_OK && s->no_memory ? sql_no_memory(err) : status;
}

/* ---- the events ---- */

static enum row_status
row_status_of(enum event_state state)
{
	return state == EVENT_COMPLETED    ? ROW_COMPLETED
	       : state == EVENT_FAILED     ? ROW_FAILED
	       : state == EVENT_PROCESSING ? ROW_PROCESSING
					   : ROW_WAITING;
}

static void
read_locked(struct sql *sql, struct stepping *s)
{
	int64_t row_id = sql_read_i64(sql), due_ms = sql_read_i64(sql);
	int64_t status = sql_read_i64(sql), tried_ms = sql_read_i64(sql);

	for (size_t i = 0; i < s->n; i++) {
		struct listed *listed = &s->listed[i];

		if (listed->place.row_id != row_id)
			continue;
		listed->is_same =
		    store_plain_due_ms(due_ms) == listed->due_ms &&
		    status == (int64_t)row_status_of(listed->state);
		listed->tried_ms = tried_ms;
	}
}

static enum store_status
lock_listed(struct sql *sql, struct stepping *s, struct err *err)
{
#define LOCK(TAIL)                                                             \
	{                                                                      \
		.head = "SELECT id, due_ms, status, COALESCE((SELECT at_ms"    \
			" FROM attempt WHERE attempt.event = event.id"         \
			" AND attempt.number = event.attempts), 0)"            \
			" FROM event" BY_KEY " WHERE id IN (",                 \
		.item = "?", .sep = ", ", .tail = ")" TAIL, .columns = "iiii"  \
	}
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = LOCK(" FOR UPDATE"),
	    [SQL_SQLITE] = LOCK(""),
	};
#undef LOCK
	enum store_status status;

	for (size_t i = 0; i < s->n; i++) {
		s->listed[i].is_same = false;
		sql_i64(sql, s->listed[i].place.row_id);
	}
	status = sql_select(sql, sql_pick(sql, text), sql_pad(sql, s->n), err);
	while (sql_next(sql, &status, err))
		read_locked(sql, s);
	return sql_done(sql, status, err);
}

/* Whether it is to be changed at all; the time of one that is put off. */
static bool
may_change(
    const struct stepping *s, const struct listed *listed, int64_t *due_ms)
{
	const struct job_spec *spec = &s->row.record.spec;

	if (!listed->is_same || s->passes || listed->state == EVENT_PROCESSING)
		return false;
	/* Its schedule goes on by it. */
	if (spec->verb == JOB_DELETE && listed->is_run &&
	    row_status_of(listed->state) == ROW_WAITING)
		return false;
	/* It was run since the job began, and waits for its next attempt. */
	if ((spec->verb == JOB_RUN || spec->verb == JOB_RESCHEDULE) &&
	    listed->tried_ms >= s->row.record.since_ms)
		return false;
	if (spec->verb != JOB_RESCHEDULE || spec->by_ms == 0) {
		*due_ms = spec->to_ms;
		return true;
	}
	/* Parked it stands behind all others, and would be met again. */
	if (listed->place.due_ms >= STORE_PARKED_MS)
		return false;
	*due_ms = listed->due_ms + spec->by_ms;
	if (*due_ms < 0)
		*due_ms = 0;
	/* A local time is no moment that can be put off. */
	return !listed->is_local && *due_ms < year_10000_ms;
}

static enum store_status
change_listed(struct sql *sql, struct stepping *s, struct store_change *change,
    struct err *err)
{
	enum store_status status = change_row(sql, change, err);
	struct job_step *step = s->step;

	if (status != STORE_OK || change->outcome != CHANGE_MADE)
		return status;
	step->news[step->n_news++] =
	    (struct job_news){change->shard, change->due_ms};
	s->after.done++;
	return STORE_OK;
}

static enum store_status
delete_listed(struct sql *sql, struct stepping *s, const struct listed *listed,
    struct err *err)
{
	enum cancel_outcome outcome;
	enum event_state state;
	enum store_status status =
	    cancel_row(sql, &listed->key, &outcome, &state, err);

	s->after.done += status == STORE_OK && outcome == CANCEL_DELETED;
	return status;
}

static enum store_status
do_listed(struct sql *sql, struct stepping *s, const struct listed *listed,
    struct err *err)
{
	struct event_patch patch = {.has_time = true};
	struct store_change change = {
	    .key = listed->key,
	    .stays = true,
	    .now_ms = s->step->now_ms,
	    .patch = &patch,
	};

	if (!may_change(s, listed, &patch.values.expiry_ms))
		return STORE_OK;
	switch (s->row.record.spec.verb) {
	case JOB_DELETE:
		return delete_listed(sql, s, listed, err);
	case JOB_RETRY:
		change.verb = CHANGE_RETRY;
		break;
	case JOB_RUN:
		change.verb = CHANGE_RUN;
		break;
	case JOB_RESCHEDULE:
		change.verb = CHANGE_PATCH;
		break;
	case JOB_VERBS:
		check_never("a verb");
	}
	return change_listed(sql, s, &change, err);
}

static enum store_status
do_events(struct sql *sql, struct stepping *s, struct err *err)
{
	enum store_status status = STORE_OK;
	int64_t done = s->after.done;

	if (s->n > 0)
		status = lock_listed(sql, s, err);
	for (size_t i = 0; i < s->n && status == STORE_OK; i++)
		status = do_listed(sql, s, &s->listed[i], err);
	s->after.skipped += (int64_t)s->n - (s->after.done - done);
	return status;
}

/* ---- the job ---- */

static enum store_status
lock_job(struct sql *sql, struct stepping *s, struct err *err)
{
	const struct job_record *before = &s->row.record;
	struct job_row now;
	bool there;
	enum store_status status =
	    job_row_find(sql, &s->step->id, true, &now, &there, err);

	s->stale = status == STORE_OK &&
		   (!there || now.record.steps != before->steps ||
		       now.record.state != before->state ||
		       now.record.paused != before->paused);
	return status;
}

static void
come_to_end(struct stepping *s)
{
	struct job_record *after = &s->after;

	if (after->state == JOB_COUNTING) {
		after->counted_ms = s->step->now_ms;
		after->state = JOB_RUNNING;
		s->list.place = list_begin(&s->query);
		if (after->matched > 0 && !after->spec.dry_run)
			return;
	}
	after->state = JOB_DONE;
	after->ended_ms = s->step->now_ms;
}

static enum store_status
write_job(struct sql *sql, const struct stepping *s, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE job SET state = ?, since_ms = ?, counted_ms = ?,"
		    " ended_ms = ?, due_ms = ?, row_id = ?, steps = ?,"
		    " matched = ?, done = ?, skipped = ?, error = ?"
		    " WHERE id = ?"};
	const struct job_record *after = &s->after;

	sql_i64(sql, after->state);
	sql_i64(sql, after->since_ms);
	sql_i64(sql, after->counted_ms);
	sql_i64(sql, after->ended_ms);
	sql_i64(sql, s->list.place.due_ms);
	sql_i64(sql, s->list.place.row_id);
	sql_i64(sql, after->steps);
	sql_i64(sql, after->matched);
	sql_i64(sql, after->done);
	sql_i64(sql, after->skipped);
	sql_bytes(sql, after->error);
	sql_i64(sql, s->row.id);
	return sql_exec(sql, &text, 0, NULL, err);
}

static enum store_status
step_body(struct sql *sql, void *arg, struct err *err)
{
	struct stepping *s = arg;
	enum store_status status = lock_job(sql, s, err);

	if (status != STORE_OK || s->stale)
		return status;
	s->step->n_news = 0;
	s->after = s->row.record;
	s->after.steps++;
	s->after.matched += s->n_counted;
	if (s->after.state == JOB_RUNNING)
		s->after.skipped += (int64_t)s->list.n_damaged;
	status = do_events(sql, s, err);
	if (s->list.end)
		come_to_end(s);
	return status == STORE_OK ? write_job(sql, s, err) : status;
}

/* Half of them, or the only one as it is: what is too large for a transaction,
 * or damaged, keeps no other. False: that was not it. */
static bool
do_fewer(struct stepping *s)
{
	if (s->n == 0 || s->passes)
		return false;
	s->passes = s->n == 1;
	s->n = (s->n + 1) / 2;
	s->list.place = s->listed[s->n - 1].place;
	s->list.n_damaged = 0;
	s->list.end = false;
	return true;
}

/* One whose text cannot be read. */
static enum store_status
give_up_body(struct sql *sql, void *arg, struct err *err)
{
	struct stepping *s = arg;
	enum store_status status = lock_job(sql, s, err);

	if (status != STORE_OK || s->stale)
		return status;
	s->after = s->row.record;
	s->after.state = JOB_FAILED;
	s->after.ended_ms = s->step->now_ms;
	s->after.error = SLICE_LITERAL("what it is to do cannot be read");
	s->list.place = s->row.place;
	return write_job(sql, s, err);
}

static enum store_status
take_step(struct sql *sql, struct stepping *s, struct err *err)
{
	enum store_status status;

	if (s->row.record.steps == 0)
		s->row.record.since_ms = s->step->now_ms;
	if (s->row.record.is_damaged)
		return sql_transact(sql, give_up_body, s, err);
	status = look_for_events(sql, s, err);
	if (status != STORE_OK || keep_tally(s))
		return status;
	do
		status = sql_transact(sql, step_body, s, err);
	while ((status == STORE_BROKEN || sql->too_large) && do_fewer(s));
	return status;
}

enum store_status
job_step(struct sql *sql, struct job_step *step, struct err *err)
{
	struct stepping s = {.step = step};
	const struct job_record *record = &s.row.record;
	bool there;
	enum store_status status =
	    job_row_find(sql, &step->id, false, &s.row, &there, err);

	if (status != STORE_OK)
		return status;
	step->idle = !there || record->state >= JOB_DONE || record->paused;
	if (step->idle)
		return STORE_OK;
	status = take_step(sql, &s, err);
	if (status != STORE_OK || s.stale)
		return status;
	step->tally.steps = s.after.steps;
	step->n_done = (size_t)(s.after.done - record->done);
	step->job = s.after;
	step->job.app = step->job.error = step->job.spec.destination =
	    SLICE_LITERAL("");
	step->ended = step->job.state >= JOB_DONE;
	return STORE_OK;
}
