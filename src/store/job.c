/* SPDX-License-Identifier: ISC */
#include "store/job.h"

#include "base/buf.h"
#include "event/job_json.h"
#include "store/job_row.h"
#include "store/list.h"
#include "store/shard_text.h"

/* ---- a new one ---- */

struct making {
	const struct job_new *new;
	struct slice spec; /* its text */
	enum job_outcome outcome;
};

/* Two that are made at a time take the same number, and one of them has to
 * begin anew: then it sees the other. */
static enum store_status
next_job_id(struct sql *sql, int64_t *id, struct err *err)
{
	/* Of one that is damaged nobody is the next. */
#define NUMBER                                                                 \
	"SELECT COALESCE(MAX(id), 0) + 1 FROM job WHERE id < 1125899906842624"
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = NUMBER " FOR UPDATE", .columns = "i"},
	    [SQL_SQLITE] = {.head = NUMBER, .columns = "i"},
	};
#undef NUMBER

	return sql_value(sql, sql_pick(sql, text), id, err);
}

static enum store_status
count_active(struct sql *sql, struct slice app, int64_t *n, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT COUNT(*) FROM job WHERE app = ?"
		    " AND state IN (0, 1)",
	    .columns = "i"};

	sql_bytes(sql, app);
	return sql_value(sql, &text, n, err);
}

/* Those that ended first, above what is kept. */
static enum store_status
forget_oldest(struct sql *sql, struct slice app, struct err *err)
{
	static const struct sql_text newest = {
	    .head = "SELECT id FROM job WHERE app = ? AND state >= 2"
		    " ORDER BY id DESC LIMIT 1 OFFSET ?",
	    .columns = "i"};
	static const struct sql_text forget = {
	    .head = "DELETE FROM job WHERE app = ? AND state >= 2"
		    " AND id <= ?"};
	int64_t id = 0;
	enum store_status status;

	sql_bytes(sql, app);
	sql_i64(sql, JOB_KEPT_MAX - 1);
	status = sql_value(sql, &newest, &id, err);
	if (status != STORE_OK || id == 0)
		return status;
	sql_bytes(sql, app);
	sql_i64(sql, id);
	return sql_exec(sql, &forget, 0, NULL, err);
}

static enum store_status
insert_job(struct sql *sql, const struct making *m, int64_t id,
    int64_t before_id, struct err *err)
{
#define INSERT                                                                 \
	"INSERT INTO job (" JOB_ROW_NAMES ") VALUES"                           \
	" (?, ?, ?, ?, 0, 0, ?, 0, 0, 0, ?, 0, 0, 0, 0, 0, 0, ?)"
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = {.head = INSERT " ON DUPLICATE KEY UPDATE id = id"},
	    [SQL_SQLITE] = {.head = INSERT " ON CONFLICT DO NOTHING"},
	};
#undef INSERT
	enum store_status status;
	uint64_t affected;

	sql_i64(sql, id);
	sql_bytes(sql, job_id_slice(&m->new->id));
	sql_bytes(sql, m->new->app);
	sql_bytes(sql, m->spec);
	sql_i64(sql, m->new->now_ms);
	sql_i64(sql, before_id);
	sql_bytes(sql, SLICE_LITERAL(""));
	status = sql_exec(sql, sql_pick(sql, text), 0, &affected, err);
	if (status != STORE_OK || affected == 1)
		return status;
	sql->again = true;
	(void)err_set(err, "%s: others make jobs, too", sql->target);
	return STORE_UNAVAILABLE;
}

static enum store_status
make_body(struct sql *sql, void *arg, struct err *err)
{
	static const struct sql_text last_event = {
	    .head = "SELECT COALESCE(MAX(id), 0) FROM event", .columns = "i"};
	struct making *m = arg;
	int64_t id = 0, n = 0, before_id = 0;
	enum store_status status = next_job_id(sql, &id, err);

	m->outcome = JOB_TOO_MANY;
	if (status == STORE_OK)
		status = count_active(sql, m->new->app, &n, err);
	if (status == STORE_OK && n >= (int64_t)m->new->max_active)
		return sql_be_current(sql, err);
	m->outcome = JOB_MADE;
	if (status == STORE_OK)
		status = forget_oldest(sql, m->new->app, err);
	if (status == STORE_OK)
		status = sql_value(sql, &last_event, &before_id, err);
	if (status == STORE_OK)
		status = insert_job(sql, m, id, before_id, err);
	return status;
}

enum store_status
job_make(struct sql *sql, const struct job_new *new, enum job_outcome *outcome,
    struct err *err)
{
	struct making m = {.new = new};
	struct json_writer w;
	enum store_status status;
	struct buf spec;

	buf_init(&spec, JOB_JSON_MAX);
	w = (struct json_writer){.out = &spec};
	json_object(&w, NULL);
	job_json_write(&w, new->spec);
	json_end_object(&w);
	m.spec = buf_slice(&spec);
	/* An event whose add was answered elsewhere is one of before. */
	status = spec.failed ? sql_no_memory(err) : sql_catch_up(sql, err);
	if (status == STORE_OK)
		status = sql_transact(sql, make_body, &m, err);
	buf_free(&spec);
	*outcome = m.outcome;
	return status;
}

/* ---- orders ---- */

struct ordering {
	struct slice app;
	const struct job_id *id;
	enum job_order order;
	int64_t now_ms;
	struct job_row row;
	enum job_outcome outcome;
};

static enum job_outcome
obey(struct ordering *o)
{
	struct job_record *record = &o->row.record;
	bool ended = record->state >= JOB_DONE;

	switch (o->order) {
	case JOB_PAUSE:
	case JOB_RESUME:
		record->paused = o->order == JOB_PAUSE;
		return ended ? JOB_OVER : JOB_MADE;
	case JOB_CANCEL:
		if (ended)
			return record->state == JOB_CANCELLED ? JOB_MADE
							      : JOB_OVER;
		break;
	case JOB_REMOVE:
		if (ended)
			return JOB_MADE;
		break;
	}
	record->state = JOB_CANCELLED;
	record->ended_ms = o->now_ms;
	return JOB_MADE;
}

static enum store_status
write_order(struct sql *sql, const struct ordering *o, struct err *err)
{
	static const struct sql_text text = {
	    .head = "UPDATE job SET state = ?, paused = ?, ended_ms = ?"
		    " WHERE id = ?"};

	sql_i64(sql, o->row.record.state);
	sql_i64(sql, o->row.record.paused);
	sql_i64(sql, o->row.record.ended_ms);
	sql_i64(sql, o->row.id);
	return sql_exec(sql, &text, 0, NULL, err);
}

static enum store_status
remove_job(struct sql *sql, int64_t id, struct err *err)
{
	static const struct sql_text text = {
	    .head = "DELETE FROM job WHERE id = ?"};

	sql_i64(sql, id);
	return sql_exec(sql, &text, 0, NULL, err);
}

static enum store_status
order_body(struct sql *sql, void *arg, struct err *err)
{
	struct ordering *o = arg;
	bool there, ended;
	enum store_status status =
	    job_row_find(sql, o->id, true, &o->row, &there, err);

	o->outcome = JOB_UNKNOWN;
	if (status != STORE_OK)
		return status;
	if (!there || !slice_eq(o->row.record.app, o->app))
		return sql_be_current(sql, err);
	ended = o->row.record.state >= JOB_DONE;
	o->outcome = obey(o);
	if (o->outcome != JOB_MADE)
		return sql_be_current(sql, err);
	return ended && o->order == JOB_REMOVE ? remove_job(sql, o->row.id, err)
					       : write_order(sql, o, err);
}

enum store_status
job_order(struct sql *sql, struct slice app, const struct job_id *id,
    enum job_order order, int64_t now_ms, job_taker take, void *arg,
    enum job_outcome *outcome, struct err *err)
{
	struct ordering o = {
	    .app = app, .id = id, .order = order, .now_ms = now_ms};
	enum store_status status = sql_transact(sql, order_body, &o, err);

	*outcome = o.outcome;
	if (status == STORE_OK && o.outcome != JOB_UNKNOWN)
		(void)take(arg, &o.row.record);
	return status;
}

/* ---- who asks ---- */

static enum store_status
list_all(struct sql *sql, const struct jobs_query *query, struct err *err)
{
	static const struct sql_text text = {
	    .head = "SELECT " JOB_ROW_NAMES
		    " FROM job WHERE app = ? AND id < ?"
		    " ORDER BY id DESC LIMIT ?",
	    .columns = JOB_ROW_LETTERS};
	enum store_status status;
	struct job_row row;
	bool more = true;

	sql_bytes(sql, query->app);
	sql_i64(sql, query->before);
	sql_i64(sql, (int64_t)query->max);
	status = sql_select(sql, &text, 0, err);
	while (more && sql_next(sql, &status, err)) {
		status = job_row_read(sql, &row, err);
		if (status == STORE_OK)
			more = query->take(query->arg, &row.record);
	}
	return sql_done(sql, status, err);
}

enum store_status
job_list(struct sql *sql, const struct jobs_query *query, struct err *err)
{
	enum store_status status = sql_catch_up(sql, err);
	struct job_row row;
	bool there;

	if (status != STORE_OK)
		return status;
	if (query->id == NULL)
		return list_all(sql, query, err);
	status = job_row_find(sql, query->id, false, &row, &there, err);
	if (status == STORE_OK && there && slice_eq(row.record.app, query->app))
		(void)query->take(query->arg, &row.record);
	return status;
}

/* ---- who works ---- */

static enum store_status
forget_ended(struct sql *sql, int64_t before_ms, struct err *err)
{
	static const struct sql_text find = {
	    .head = "SELECT id FROM job WHERE state IN (2, 3, 4)"
		    " AND ended_ms < ? ORDER BY ended_ms LIMIT ?",
	    .columns = "i"};
	static const struct sql_text forget = {
	    .head = DELETE_FROM("job") " WHERE id IN (",
	    .item = "?",
	    .sep = ", ",
	    .tail = ")",
	};
	size_t max = sql->driver->ids_max, n = 0, len;
	int64_t ids[SQL_IDS_MAX];
	enum store_status status;

	sql_i64(sql, before_ms);
	sql_i64(sql, SQL_IDS_MAX);
	status = sql_select(sql, &find, 0, err);
	while (n < SQL_IDS_MAX && sql_next(sql, &status, err))
		ids[n++] = sql_read_i64(sql);
	status = sql_done(sql, status, err);
	for (size_t at = 0; at < n && status == STORE_OK; at += len) {
		len = n - at < max ? n - at : max;
		status = sql_exec(
		    sql, &forget, id_args(sql, ids + at, len), NULL, err);
	}
	return status;
}

static enum store_status
forget_body(struct sql *sql, void *arg, struct err *err)
{
	const int64_t *before_ms = arg;

	return forget_ended(sql, *before_ms, err);
}

enum store_status
jobs_due(struct sql *sql, int64_t forget_ms, struct job_id *list, size_t *n,
    struct err *err)
{
#define DUE(INDEX)                                                             \
	{                                                                      \
		.head =                                                        \
		    "SELECT uuid FROM (SELECT uuid, id, ROW_NUMBER() OVER"     \
		    " (PARTITION BY app ORDER BY id) AS turn FROM job " INDEX  \
		    " WHERE state IN (0, 1) AND paused = 0) AS active"         \
		    " ORDER BY turn, id LIMIT ?",                              \
		.columns = "b"                                                 \
	}
	static const struct sql_text text[] = {
	    [SQL_MYSQL] = DUE("FORCE INDEX (state)"),
	    [SQL_SQLITE] = DUE("INDEXED BY job_state"),
	};
#undef DUE
	enum store_status status = STORE_OK;

	*n = 0;
	if (forget_ms > 0)
		status = sql_transact(sql, forget_body, &forget_ms, err);
	if (status != STORE_OK)
		return status;
	sql_i64(sql, JOBS_DUE_MAX);
	status = sql_select(sql, sql_pick(sql, text), 0, err);
	while (*n < JOBS_DUE_MAX && sql_next(sql, &status, err)) {
		struct slice id = sql_read_bytes(sql);

		if (sql_row_check(sql, err) != STORE_OK ||
		    id.len != UUID_TEXT_BYTES - 1)
			continue;
		memcpy(list[*n].text, id.p, id.len);
		list[(*n)++].text[id.len] = '\0';
	}
	return sql_done(sql, status, err);
}
