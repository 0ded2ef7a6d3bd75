/* SPDX-License-Identifier: ISC */
#include "store/schedule_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rfc3339.h"
#include "store/add.h"
#include "store/found.h"
#include "store/label.h"
#include "store/local_time.h"
#include "store/record.h"
#include "store/row_id.h"

enum {
	TAKEN_MAX = 10,     /* times in a row that have an event already */
	PUT_OFF_MS = 60000, /* what cannot be judged now */
	QUEUE_PART = 8,     /* of the wait up to now, until the next look */
	QUEUE_MIN_MS = 100,
	QUEUE_MAX_MS = 60000,
};

/* ---- making them ---- */

static void
write_run_id(
    const struct store_schedule *s, int64_t ms, char run_id[EVENT_ID_MAX + 1])
{
	char time[RFC3339_TEXT];

	rfc3339_write(ms, 0, time);
	(void)snprintf(run_id, EVENT_ID_MAX + 1, "%.*s@%s", (int)s->name.len,
	    s->name.p, time);
}

static int
make_key(const struct store_schedule *s, int64_t run_s, struct event_key *key)
{
	char run_id[EVENT_ID_MAX + 1];

	write_run_id(s, run_s * 1000, run_id);
	return event_key_make(s->app, slice_from_string(run_id), key);
}

/* *row_id is 0 where there is an event of its id. */
static enum store_status
add_one(struct sql *sql, const struct event *ev, unsigned shard,
    int64_t *row_id, struct err *err)
{
	struct event labelled = *ev;
	struct store_add add = {.event = &labelled, .shard = shard};
	struct store_add *adds = &add;
	enum store_status status;

	labelled.n_labels = label_count(ev->options);
	if (event_key_make(ev->app, ev->id, &add.key) == -1 ||
	    event_fingerprint(ev, add.fingerprint) == -1 ||
	    event_options_draw_key(ev->options) == -1) /* each its own */
		return sql_no_memory(err);
	status = add_within(sql, &adds, 1, err);
	*row_id = add.outcome == ADD_CREATED ? add.row_id : 0;
	return status;
}

/* Options that cannot be read stay as they are: the run fails of them. */
static int
write_run_options(const struct store_schedule *s,
    const struct schedule_times *times, int64_t run_s, struct buf *text)
{
	struct event_options options;
	struct slice before = s->event.options;

	if (event_options_parse(before, &options, NULL) == -1)
		return buf_append_slice(text, before);
	options.schedule = s->id;
	options.run_s = run_s;
	options.exact = times->recur.overlap != RECUR_ALLOW;
	return event_options_write(text, &options, before);
}

static enum store_status
add_run_of(struct sql *sql, const struct store_schedule *s,
    const struct schedule_times *times, unsigned shard, int64_t run_s,
    int64_t *due_ms, int64_t *row_id, struct err *err)
{
	char run_id[EVENT_ID_MAX + 1];
	struct event ev = s->event;
	enum store_status status;
	struct buf options;

	*due_ms = run_s * 1000 +
		  recur_jitter_ms(&times->recur, (uint64_t)s->id, run_s);
	write_run_id(s, run_s * 1000, run_id);
	buf_init(&options, (size_t)2 * EVENT_OPTIONS_MAX);
	if (write_run_options(s, times, run_s, &options) == -1) {
		buf_free(&options);
		return sql_no_memory(err);
	}
	ev.app = s->app;
	ev.id = slice_from_string(run_id);
	ev.options = buf_slice(&options);
	ev.time = EVENT_OF_SCHEDULE;
	ev.expiry_ms = run_s * 1000;
	ev.look_ms = *due_ms;
	status = add_one(sql, &ev, shard, row_id, err);
	buf_free(&options);
	return status;
}

enum store_status
schedule_run_add(struct sql *sql, struct store_schedule *schedule,
    const struct schedule_times *times, unsigned shard, int64_t run_s,
    int64_t *due_ms, struct err *err)
{
	enum store_status status = STORE_OK;
	int64_t row_id = 0;
	bool some = true;

	for (int i = 0; row_id == 0 && some && i < TAKEN_MAX; i++) {
		if (i > 0)
			some = recur_next(&times->at, run_s, &run_s);
		if (some)
			status = add_run_of(sql, schedule, times, shard, run_s,
			    due_ms, &row_id, err);
		if (status != STORE_OK)
			return status;
	}
	/* Where too many are taken the mend goes on, at that time. */
	schedule->next_s = some ? run_s : 0;
	schedule->next_row = row_id;
	if (row_id == 0)
		*due_ms = INT64_MAX;
	return STORE_OK;
}

/* In whole seconds it would be one of its times. */
enum store_status
schedule_run_add_now(struct sql *sql, const struct store_schedule *schedule,
    unsigned shard, char run_id[EVENT_ID_MAX + 1], int64_t *due_ms,
    struct err *err)
{
	int64_t now_ms = clock_event_ms();
	struct event ev = schedule->event;
	enum store_status status = STORE_OK;
	int64_t row_id = 0;

	*due_ms = now_ms;
	ev.app = schedule->app;
	ev.expiry_ms = now_ms;
	for (int i = 0; status == STORE_OK && row_id == 0 && i < TAKEN_MAX;
	     i++) {
		now_ms += now_ms % 1000 == 0;
		write_run_id(schedule, now_ms++, run_id);
		ev.id = slice_from_string(run_id);
		status = add_one(sql, &ev, shard, &row_id, err);
	}
	return status;
}

/* Each run leaves an event: as adds, they leave the reserve to deletes and
 * results. */
enum store_status
schedule_run_has_room(struct sql *sql, const struct store_schedule *s,
    bool *room, struct err *err)
{
	*room = true;
	if (sql->driver->room == NULL)
		return STORE_OK;
	return sql->driver->room(sql,
	    (int64_t)store_event_bytes(&s->event) + ADD_DISK_BYTES, room, err);
}

enum store_status
schedule_run_drop(
    struct sql *sql, struct store_schedule *schedule, struct err *err)
{
	int64_t row_id = schedule->next_row;
	struct event_key key;
	struct found found;
	enum store_status status;
	bool there;

	if (schedule->next_s == 0)
		return STORE_OK;
	if (make_key(schedule, schedule->next_s, &key) == -1)
		return sql_no_memory(err);
	schedule->next_s = schedule->next_row = 0;
	status = found_lock(sql, &key, &found, &there, err);
	if (status == STORE_BROKEN && sql->connected)
		status = found_lock_damaged(sql, &key, &found, &there, err);
	/* It may be a client's event by now. */
	return status == STORE_OK && there && found.row_id == row_id &&
		       found.state == EVENT_PENDING
		   ? found_delete(sql, &found, err)
		   : status;
}

/* ---- claiming them ---- */

/* A run under its schedule's judgement. */
struct judged {
	const struct claim_request *request;
	const struct schedule_run *run;
	struct store_schedule *schedule;
	struct schedule_times times;
	int64_t now_s; /* less all that jitter may make late */
	int64_t *due_ms;
};

bool
schedule_run_read(struct store_claim *claim, struct schedule_run *run)
{
	static const struct slice mark = SLICE_INIT("\"schedule\"");
	const struct slice text = claim->event.options;
	struct event_options options;

	/* Few have it, and reading takes longer. */
	if (claim->attempt > 1 || text.len == 0 ||
	    memmem(text.p, text.len, mark.p, mark.len) == NULL ||
	    event_options_parse(text, &options, NULL) == -1 ||
	    options.schedule == 0)
		return false;
	*run = (struct schedule_run){
	    claim, options.schedule, options.run_s, options.exact};
	return true;
}

static enum store_status
leave_out(struct sql *sql, const struct judged *j, struct err *err)
{
	const struct found found = {.row_id = j->run->claim->row_id};

	return found_delete(sql, &found, err);
}

static enum store_status
put_off(
    struct sql *sql, const struct judged *j, int64_t wait_ms, struct err *err)
{
	const struct local_move move = {.row_id = j->run->claim->row_id,
	    .due_ms = j->request->now_ms + wait_ms,
	    .expiry_ms = j->run->claim->event.expiry_ms,
	    .labelled = label_count(j->run->claim->event.options) > 0};

	*j->due_ms = move.due_ms;
	return local_time_write(sql, &move, 1, err);
}

/*
 * As of an add: whoever claims this one looks where it is; what is due later
 * than everybody's next look goes anywhere, so that all hosts have their part
 * in what one of them was told.
 */
static unsigned
shard_of_run(const struct judged *j, int64_t run_s)
{
	uint8_t lot;

	return run_s * 1000 < j->request->soon_ms ||
		       getentropy(&lot, sizeof(lot)) == -1
		   ? j->run->claim->shard
		   : lot % EVENT_SHARDS;
}

/* Another run than that which waits; run_s is not read unless there is one. */
static enum store_status
add_another(struct sql *sql, const struct judged *j, bool some, int64_t run_s,
    struct err *err)
{
	struct store_schedule *s = j->schedule;
	enum store_status status = STORE_OK;

	s->next_s = s->next_row = 0;
	if (some)
		status = schedule_run_add(sql, s, &j->times,
		    shard_of_run(j, run_s), run_s, j->due_ms, err);
	return status == STORE_OK ? schedule_update(sql, s, err) : status;
}

/* The state of an event; one that is damaged is in none. */
static enum store_status
read_row_status(struct sql *sql, const struct event_key *key,
    int64_t *row_status, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT status FROM event WHERE k = ?", .columns = "i"};
	enum store_status status;

	*row_status = ROW_COMPLETED;
	sql_bytes(sql, store_key_slice(key->bytes));
	status = sql_select(sql, &text, 0, err);
	while (sql_next(sql, &status, err)) {
		int64_t value = sql_read_i64(sql);

		status = sql_row_check(sql, err);
		if (status == STORE_OK)
			*row_status = value;
		else if (status == STORE_BROKEN)
			status = STORE_OK;
	}
	return sql_done(sql, status, err);
}

/* Whether the one that was begun last, before that of run_s, has not ended. */
static enum store_status
is_under_way(struct sql *sql, const struct store_schedule *s, int64_t run_s,
    bool *under_way, struct err *err)
{
	int64_t row_status;
	struct event_key key;
	enum store_status status;

	*under_way = false;
	if (s->last_s == 0 || s->last_s == run_s)
		return STORE_OK;
	if (make_key(s, s->last_s, &key) == -1)
		return sql_no_memory(err);
	status = read_row_status(sql, &key, &row_status, err);
	*under_way = row_status == ROW_WAITING || row_status == ROW_PROCESSING;
	return status;
}

static enum store_status
skip_run(struct sql *sql, const struct judged *j, struct err *err)
{
	enum store_status status = leave_out(sql, j, err);
	int64_t after_s = j->run->run_s, next_s;
	bool some;

	if (j->now_s > after_s)
		after_s = j->now_s;
	j->schedule->skipped++;
	some = recur_next(&j->times.at, after_s, &next_s);
	return status == STORE_OK ? add_another(sql, j, some, next_s, err)
				  : status;
}

/* It was added when the one before was begun: so long that takes by now. */
static enum store_status
queue_run(struct sql *sql, const struct judged *j, struct err *err)
{
	int64_t made_ms = row_id_made_ms(j->run->claim->row_id);
	int64_t wait_ms = (j->request->now_ms - made_ms) / QUEUE_PART;

	if (wait_ms < QUEUE_MIN_MS)
		wait_ms = QUEUE_MIN_MS;
	return put_off(
	    sql, j, wait_ms < QUEUE_MAX_MS ? wait_ms : QUEUE_MAX_MS, err);
}

/* Of what is made up for each has its turn, whatever the next ones do. */
static bool
is_to_queue(const struct judged *j)
{
	const struct recur *recur = &j->times.recur;

	return recur->overlap == RECUR_QUEUE ||
	       (recur->catch_up == RECUR_ALL &&
		   recur_is_missed(&j->times.at, j->run->run_s, j->now_s));
}

static enum store_status
begin_run(struct sql *sql, const struct judged *j, struct err *err)
{
	const struct recur *recur = &j->times.recur;
	struct store_schedule *s = j->schedule;
	int64_t next_s = 0;
	bool some;

	s->last_s = j->run->run_s;
	s->runs++;
	some = (recur->count == 0 || s->runs < recur->count) &&
	       recur_next(&j->times.at, j->run->run_s, &next_s);
	return add_another(sql, j, some, next_s, err);
}

/* The run that waits, whose time has come. */
static enum store_status
judge_run(
    struct sql *sql, const struct judged *j, bool *begins, struct err *err)
{
	enum recur_overlap overlap = j->times.recur.overlap;
	bool under_way = false, some;
	enum store_status status = STORE_OK;
	int64_t wanted_s;

	some = recur_wanted(&j->times.at, j->run->run_s, j->now_s, &wanted_s);
	/* One that a client has moved is late by its own will. */
	if (j->run->claim->event.expiry_ms == j->run->run_s * 1000 &&
	    (!some || wanted_s != j->run->run_s)) {
		status = leave_out(sql, j, err);
		return status == STORE_OK
			   ? add_another(sql, j, some, wanted_s, err)
			   : status;
	}
	if (overlap != RECUR_ALLOW)
		status = is_under_way(
		    sql, j->schedule, j->run->run_s, &under_way, err);
	if (status != STORE_OK)
		return status;
	if (under_way)
		return is_to_queue(j) ? queue_run(sql, j, err)
				      : skip_run(sql, j, err);
	*begins = true;
	return begin_run(sql, j, err);
}

static enum store_status
judge_claim(struct sql *sql, struct judged *j, bool *begins, struct err *err)
{
	const struct store_schedule *s = j->schedule;
	enum store_status status;
	struct err reason;
	bool room;

	/* Not the one that waits: it was begun before, and given back. Who
	 * deletes or replaces a schedule deletes the one that waits. */
	if (s == NULL || j->run->run_s != s->next_s) {
		*begins = s == NULL || j->run->run_s <= s->last_s;
		return *begins ? STORE_OK : leave_out(sql, j, err);
	}
	status = schedule_run_has_room(sql, s, &room, err);
	if (status != STORE_OK || !room)
		return status == STORE_OK ? put_off(sql, j, PUT_OFF_MS, err)
					  : status;
	if (schedule_open(s, j->request->zones, &j->times, &reason) == -1) {
		log_warnx("schedule %" PRId64 ", its run waits: %s", s->id,
		    reason.text);
		return put_off(sql, j, PUT_OFF_MS, err);
	}
	j->now_s = (j->request->now_ms - j->times.recur.jitter_ms) / 1000;
	return judge_run(sql, j, begins, err);
}

enum store_status
schedule_run_begin(struct sql *sql, const struct claim_request *request,
    const struct schedule_run *run, bool *begins, int64_t *due_ms,
    struct err *err)
{
	struct judged j = {.request = request, .run = run, .due_ms = due_ms};
	enum store_status status =
	    schedule_lock(sql, run->schedule, &j.schedule, err);

	*begins = false;
	*due_ms = INT64_MAX;
	if (status == STORE_OK)
		status = judge_claim(sql, &j, begins, err);
	else if (status == STORE_DAMAGED) {
		/* Nobody else is to wait for its mending. */
		log_warnx("a run waits: %s", err->text);
		status = put_off(sql, &j, PUT_OFF_MS, err);
	}
	store_schedule_free(j.schedule);
	return status;
}

/* ---- why one waits ---- */

/* It was put off, for as long as the one before has not ended. */
static bool
is_queued(const struct store_schedule *s, const struct store_record *record,
    int64_t run_s)
{
	int64_t due_ms = record->event.expiry_ms;
	struct recur recur;
	struct err ignored;

	if (s->next_s != run_s || schedule_recur(s, &recur, &ignored) == -1 ||
	    (recur.overlap != RECUR_QUEUE && recur.catch_up != RECUR_ALL) ||
	    recur.overlap == RECUR_ALLOW)
		return false;
	if (due_ms == run_s * 1000)
		due_ms += recur_jitter_ms(&recur, (uint64_t)s->id, run_s);
	return record->due_ms > due_ms;
}

enum store_status
schedule_run_before(struct sql *sql, const struct store_record *record,
    const struct event_options *options, char run_id[EVENT_ID_MAX + 1],
    struct err *err)
{
	struct store_schedule *s;
	enum store_status status =
	    schedule_find(sql, options->schedule, &s, err);
	bool under_way = false;

	if (status == STORE_OK && s != NULL &&
	    is_queued(s, record, options->run_s))
		status = is_under_way(sql, s, options->run_s, &under_way, err);
	if (under_way)
		write_run_id(s, s->last_s * 1000, run_id);
	store_schedule_free(s);
	/* One that cannot be read has nothing to say. */
	return status == STORE_DAMAGED ? STORE_OK : status;
}
