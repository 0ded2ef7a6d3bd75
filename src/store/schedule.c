/* SPDX-License-Identifier: ISC */
#include "store/schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "event/recur_read.h"
#include "store/record.h"
#include "store/row_id.h"
#include "store/schedule_times.h"

#define TIME_MAX_S (STORE_TIME_MAX_MS / 1000)

void
store_schedule_free(struct store_schedule *schedule)
{
	free(schedule);
}

/* ---- rows ---- */

static enum store_status
check_schedule(const struct store_schedule *s, int64_t paused, struct err *err)
{
	const struct {
		const char *what;
		int64_t value, max;
	} all[] = {
	    {"created_ms", s->created_ms, STORE_TIME_MAX_MS},
	    {"since_s", s->since_s, TIME_MAX_S},
	    {"paused", paused, 1},
	    {"next_s", s->next_s, TIME_MAX_S},
	    {"next_row", s->next_row, INT64_MAX},
	    {"last_s", s->last_s, TIME_MAX_S},
	    {"runs", s->runs, INT64_MAX - 1},
	    {"skipped", s->skipped, INT64_MAX - 1},
	    {"bytes of app", (int64_t)s->app.len, EVENT_APP_MAX},
	    {"bytes of name", (int64_t)s->name.len, SCHEDULE_ID_MAX},
	    {"bytes of spec", (int64_t)s->spec.len, RECUR_TEXT_MAX},
	    {"bytes of method", (int64_t)s->event.method.len, EVENT_METHOD_MAX},
	    {"bytes of url", (int64_t)s->event.url.len, EVENT_URL_MAX},
	    {"bytes of headers", (int64_t)s->event.headers.len,
		EVENT_HEADER_BYTES_MAX},
	    {"bytes of body", (int64_t)s->event.body.len, EVENT_BODY_MAX},
	    {"bytes of options", (int64_t)s->event.options.len,
		EVENT_OPTIONS_MAX},
	};
	struct recur recur;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (store_check_number(
			all[i].what, all[i].value, all[i].max, err) != STORE_OK)
			return STORE_BROKEN;
	/* It goes into answers as it is. */
	return schedule_recur(s, &recur, err) == 0 ? STORE_OK : STORE_BROKEN;
}

/* Who reads it is told which one it is. */
static enum store_status
check_read(struct sql *sql, const struct store_schedule *s, int64_t paused,
    struct err *err)
{
	struct err reason;
	enum store_status status = sql_row_check(sql, &reason);

	if (status == STORE_OK)
		status = check_schedule(s, paused, &reason);
	if (status != STORE_OK)
		(void)err_set(err, "schedule %.*s/%.*s is damaged: %s",
		    s->app.len < EVENT_APP_MAX ? (int)s->app.len
					       : EVENT_APP_MAX,
		    s->app.p,
		    s->name.len < EVENT_ID_MAX ? (int)s->name.len
					       : EVENT_ID_MAX,
		    s->name.p, reason.text);
	return store_damage(status);
}

static void
keep(char **at, struct slice *s)
{
	if (s->len > 0)
		memcpy(*at, s->p, s->len);
	s->p = *at;
	*at += s->len;
}

static enum store_status
copy_schedule(const struct store_schedule *s, struct store_schedule **copy,
    struct err *err)
{
	size_t bytes = sizeof(*s) + s->app.len + s->name.len + s->spec.len +
		       store_event_bytes(&s->event);
	struct store_schedule *c = malloc(bytes);
	char *at;

	if (c == NULL)
		return sql_no_memory(err);
	*c = *s;
	at = (char *)(c + 1);
	keep(&at, &c->app);
	keep(&at, &c->name);
	keep(&at, &c->spec);
	keep(&at, &c->event.method);
	keep(&at, &c->event.url);
	keep(&at, &c->event.headers);
	keep(&at, &c->event.body);
	keep(&at, &c->event.options);
	*copy = c;
	return STORE_OK;
}

enum store_status
schedule_read(struct sql *sql, bool whole, struct store_schedule **schedule,
    struct err *err)
{
	struct store_schedule s = {.id = sql_read_i64(sql)};
	struct slice fingerprint;
	enum store_status status;
	int64_t paused;

	s.created_ms = sql_read_i64(sql);
	s.since_s = sql_read_i64(sql);
	paused = sql_read_i64(sql);
	s.paused = paused != 0;
	s.next_s = sql_read_i64(sql);
	s.next_row = sql_read_i64(sql);
	s.last_s = sql_read_i64(sql);
	s.runs = sql_read_i64(sql);
	s.skipped = sql_read_i64(sql);
	s.app = sql_read_bytes(sql);
	s.name = sql_read_bytes(sql);
	fingerprint = sql_read_bytes(sql);
	if (fingerprint.len == EVENT_KEY_BYTES)
		memcpy(s.fingerprint, fingerprint.p, EVENT_KEY_BYTES);
	s.spec = sql_read_bytes(sql);
	s.event.method = sql_read_bytes(sql);
	s.event.url = sql_read_bytes(sql);
	if (whole) {
		s.event.headers = sql_read_bytes(sql);
		s.event.body_is_text = sql_read_i64(sql) != 0;
		s.event.body = sql_read_bytes(sql);
		s.event.options = sql_read_bytes(sql);
	}
	status = check_read(sql, &s, paused, err);
	return status == STORE_OK ? copy_schedule(&s, schedule, err) : status;
}

enum store_status
schedule_read_one(struct sql *sql, const struct sql_text *text,
    struct store_schedule **schedule, struct err *err)
{
	enum store_status status = sql_select(sql, text, 0, err);

	*schedule = NULL;
	if (sql_next(sql, &status, err))
		status = schedule_read(sql, true, schedule, err);
	status = sql_done(sql, status, err);
	if (status != STORE_OK) {
		store_schedule_free(*schedule);
		*schedule = NULL;
	}
	return status;
}

#define WHOLE_SCHEDULE "SELECT " SCHEDULE_NAMES " FROM schedule WHERE "

enum store_status
schedule_lock(struct sql *sql, int64_t id, struct store_schedule **schedule,
    struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = WHOLE_SCHEDULE "id = ? FOR UPDATE",
		.columns = SCHEDULE_LETTERS},
	    [SQL_SQLITE] = {.head = WHOLE_SCHEDULE "id = ?",
		.columns = SCHEDULE_LETTERS},
	};

	sql_i64(sql, id);
	return schedule_read_one(sql, sql_pick(sql, text), schedule, err);
}

enum store_status
schedule_find(struct sql *sql, int64_t id, struct store_schedule **schedule,
    struct err *err)
{
	static const struct sql_text text = {
	    .head = WHOLE_SCHEDULE "id = ?", .columns = SCHEDULE_LETTERS};

	sql_i64(sql, id);
	return schedule_read_one(sql, &text, schedule, err);
}

enum store_status
schedule_lock_named(struct sql *sql, struct slice app, struct slice name,
    struct store_schedule **schedule, struct err *err)
{
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head =
			       WHOLE_SCHEDULE "app = ? AND name = ? FOR UPDATE",
		.columns = SCHEDULE_LETTERS},
	    [SQL_SQLITE] = {.head = WHOLE_SCHEDULE "app = ? AND name = ?",
		.columns = SCHEDULE_LETTERS},
	};

	sql_bytes(sql, app);
	sql_bytes(sql, name);
	return schedule_read_one(sql, sql_pick(sql, text), schedule, err);
}

static int64_t
read_moment_s(struct sql *sql)
{
	int64_t s = sql_read_i64(sql);

	return s > 0 && s <= TIME_MAX_S ? s : 0;
}

enum store_status
schedule_lock_damaged(struct sql *sql, struct slice app, struct slice name,
    struct store_schedule **schedule, struct err *err)
{
#define LOCK                                                                   \
	"SELECT id, paused, next_s, next_row, last_s FROM schedule"            \
	" WHERE app = ? AND name = ?"
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = LOCK " FOR UPDATE", .columns = "iiiii"},
	    [SQL_SQLITE] = {.head = LOCK, .columns = "iiiii"},
	};
#undef LOCK
	struct store_schedule s = {.app = app, .name = name};
	enum store_status status;

	*schedule = NULL;
	sql_bytes(sql, app);
	sql_bytes(sql, name);
	status = sql_select(sql, sql_pick(sql, text), 0, err);
	if (sql_next(sql, &status, err)) {
		s.id = sql_read_i64(sql);
		s.created_ms = row_id_made_ms(s.id);
		s.paused = sql_read_i64(sql) == 1;
		s.next_s = read_moment_s(sql);
		s.next_row = sql_read_i64(sql);
		s.last_s = read_moment_s(sql);
		/* What is none is 0. */
		(void)sql_row_check(sql, NULL);
		status = copy_schedule(&s, schedule, err);
	}
	return sql_done(sql, status, err);
}

enum store_status
schedule_insert(
    struct sql *sql, const struct store_schedule *s, struct err *err)
{
#define INSERT                                                                 \
	"INSERT INTO schedule (" SCHEDULE_NAMES ") VALUES (" SCHEDULE_PLACES ")"
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = INSERT " ON DUPLICATE KEY UPDATE id = id"},
	    [SQL_SQLITE] = {.head = INSERT " ON CONFLICT DO NOTHING"},
	};
#undef INSERT
	enum store_status status;
	uint64_t affected = 0;

	sql_i64(sql, s->id);
	sql_i64(sql, s->created_ms);
	sql_i64(sql, s->since_s);
	sql_i64(sql, s->paused);
	sql_i64(sql, s->next_s);
	sql_i64(sql, s->next_row);
	sql_i64(sql, s->last_s);
	sql_i64(sql, s->runs);
	sql_i64(sql, s->skipped);
	sql_bytes(sql, s->app);
	sql_bytes(sql, s->name);
	sql_bytes(sql, store_key_slice(s->fingerprint));
	sql_bytes(sql, s->spec);
	sql_bytes(sql, s->event.method);
	sql_bytes(sql, s->event.url);
	sql_bytes(sql, s->event.headers);
	sql_i64(sql, s->event.body_is_text);
	sql_bytes(sql, s->event.body);
	sql_bytes(sql, s->event.options);
	status = sql_exec(sql, sql_pick(sql, text), 0, &affected, err);
	if (status != STORE_OK || affected == 1)
		return status;
	sql->again = true;
	(void)err_set(err, "%s: another schedule came first", sql->target);
	return STORE_UNAVAILABLE;
}

enum store_status
schedule_update(
    struct sql *sql, const struct store_schedule *s, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE schedule SET paused = ?, next_s = ?,"
		    " next_row = ?, last_s = ?, runs = ?, skipped = ? WHERE id "
		    "= ?"};

	sql_i64(sql, s->paused);
	sql_i64(sql, s->next_s);
	sql_i64(sql, s->next_row);
	sql_i64(sql, s->last_s);
	sql_i64(sql, s->runs);
	sql_i64(sql, s->skipped);
	sql_i64(sql, s->id);
	return sql_exec(sql, &text, 0, NULL, err);
}

enum store_status
schedule_delete(
    struct sql *sql, const struct store_schedule *s, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM schedule WHERE id = ?"};

	sql_i64(sql, s->id);
	return sql_exec(sql, &text, 0, NULL, err);
}
