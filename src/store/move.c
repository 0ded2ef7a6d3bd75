/* SPDX-License-Identifier: ISC */
#include "store/move.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/move_mark.h"
#include "store/schema.h"

enum { NAME_BYTES = 1024 };

struct move {
	struct move_params params;
	struct sql *source, *target;
	struct move_chunk chunk;
	bool passes; /* the last failure may */
	/* With all hosts of a cluster, whichever is connected. */
	char from[NAME_BYTES], to[NAME_BYTES];
};

/* ---- life ---- */

static int
open_end(const struct store_params *params, struct sql **sql,
    char name[NAME_BYTES], struct err *err)
{
	struct sql_place place;
	const struct sql_driver *driver;

	if (sql_describe(params->url, params->state_dir, &place, err) == -1)
		return -1;
	driver = place.kind == SQL_SQLITE ? &sql_sqlite : &sql_mysql;
	(void)snprintf(name, NAME_BYTES, "%s", place.shown);
	sql_place_free(&place);
	return driver->create(params, sql, err);
}

int
move_open(const struct move_params *params, struct move **move, struct err *err)
{
	struct move *m = calloc(1, sizeof(*m));

	*move = m;
	if (m == NULL)
		return err_errno(err, "cannot move events");
	m->params = *params;
	if (move_chunk_init(&m->chunk) == -1)
		(void)err_set(err, "out of memory");
	else if (open_end(params->source, &m->source, m->from, err) == 0 &&
		 open_end(params->target, &m->target, m->to, err) == 0)
		return 0;
	move_close(move);
	return -1;
}

static void
close_end(struct sql **sql)
{
	if (*sql != NULL)
		(*sql)->driver->destroy(*sql);
	*sql = NULL;
}

void
move_close(struct move **move)
{
	struct move *m = *move;

	if (m == NULL)
		return;
	/* What locks it has changed nothing. */
	close_end(&m->source);
	close_end(&m->target);
	move_chunk_fini(&m->chunk);
	free(m);
	*move = NULL;
}

const char *
move_source(const struct move *move)
{
	return move->from;
}

const char *
move_target(const struct move *move)
{
	return move->to;
}

static int
result_of(struct move *m, enum store_status status)
{
	m->passes = status == STORE_UNAVAILABLE;
	return status == STORE_OK ? 0 : -1;
}

bool
move_may_go_on(const struct move *move)
{
	return move->passes;
}

/* ---- may it begin? ---- */

/* Of what was not moved there, nothing may be there. */
static enum store_status
refuse_events(struct sql *sql, struct err *err)
{
	for (size_t i = 0; i < MOVE_TABLES; i++) {
		int64_t n;
		enum store_status status =
		    move_count(sql, &move_tables[i], &n, err);

		if (status != STORE_OK)
			return status;
		if (n == 0)
			continue;
		(void)err_set(err,
		    "%s: has %" PRId64 " rows in its table %s: events move "
		    "into an empty datastore only",
		    sql->target, n, move_tables[i].name);
		return STORE_BROKEN;
	}
	return STORE_OK;
}

/*
 * A daemon that nobody knows of cannot write behind our back: all of a file,
 * and of a server its other clients. It may not let us; of a cluster it is one
 * node alone. What was changed after all, the comparison finds.
 */
static enum store_status
lock_source(struct sql *sql, struct err *err)
{
	enum store_status status;
	struct err ignored;

	if (!sql->driver->remote)
		return sql->driver->begin(sql, err);
	/* What the node has yet to hear of would wait for the lock, and be
	 * missed by the comparison as well. */
	status = sql_catch_up(sql, err);
	if (status != STORE_OK)
		return status;
	status = sql->driver->run(sql,
	    "LOCK TABLES event READ, attempt READ, job READ, schedule READ,"
	    " pause READ, label READ",
	    &ignored);
	return status == STORE_OK || sql->connected
		   ? STORE_OK
		   : sql->driver->open(sql, err);
}

static enum store_status
refuse_living(const struct move *m, struct sql *sql, struct err *err)
{
	return move_refuse_living(sql, m->params.on_wait, m->params.arg, err);
}

static enum store_status
look_at_source(struct move *m, struct err *err)
{
	struct sql *sql = m->source;
	enum store_status status = sql->driver->open(sql, err);

	if (status == STORE_OK)
		status = sql_catch_up(sql, err);
	if (status == STORE_OK)
		status = schema_look(sql, err);
	if (status == STORE_OK)
		status = move_mark_refuse(sql, err);
	if (status == STORE_OK)
		status = refuse_living(m, sql, err);
	return status == STORE_OK ? lock_source(sql, err) : status;
}

/* A mark without a name is one that was not finished. */
static enum store_status
judge_mark(const struct move *m, struct slice from, struct err *err)
{
	if (from.len == 0 || slice_eq(from, slice_from_string(m->from)))
		return STORE_OK;
	(void)err_set(err,
	    "%s: %.*s is being moved to it: go on with that, or empty it",
	    m->target->target, from.len < 300 ? (int)from.len : 300, from.p);
	return STORE_BROKEN;
}

/* Another one may set its own at the same moment: neither knows of the other
 * until both are there. Or it has come and gone while we waited: its rows
 * tell. */
static enum store_status
take_target(struct move *m, bool resumed, struct buf *from, struct err *err)
{
	struct slice ours = slice_from_string(m->from);
	enum store_status status = move_mark_set(m->target, ours, err);
	struct err ignored;
	bool there;

	if (status == STORE_OK)
		status = move_mark_read(m->target, &there, from, err);
	if (status == STORE_OK)
		status = judge_mark(m, buf_slice(from), err);
	if (status == STORE_OK && !resumed)
		status = refuse_events(m->target, err);
	if (status == STORE_BROKEN)
		(void)move_mark_take_back(m->target, ours, &ignored);
	return status;
}

static enum store_status
prepare_target(struct move *m, struct err *err)
{
	struct sql *sql = m->target;

	move_chunk_suit(&m->chunk, sql);
	/* Its indices are filled at random: more of them stays in memory. */
	return sql->driver->kind == SQL_SQLITE
		   ? sql->driver->run(sql, "PRAGMA cache_size = -65536", err)
		   : STORE_OK;
}

static enum store_status
look_at_target(struct move *m, bool *resumed, struct buf *from, struct err *err)
{
	struct sql *sql = m->target;
	enum store_status status = sql->driver->open(sql, err);

	*resumed = false;
	if (status == STORE_OK)
		status = sql_catch_up(sql, err);
	if (status == STORE_OK)
		status = schema_check(
		    sql, true, m->params.target->max_event_bytes, err);
	if (status == STORE_OK)
		status = move_mark_read(sql, resumed, from, err);
	if (status == STORE_OK && *resumed)
		status = judge_mark(m, buf_slice(from), err);
	if (status == STORE_OK && !*resumed)
		status = refuse_events(sql, err);
	if (status == STORE_OK)
		status = refuse_living(m, sql, err);
	if (status == STORE_OK)
		status = take_target(m, *resumed, from, err);
	return status == STORE_OK ? prepare_target(m, err) : status;
}

int
move_begin(struct move *m, bool *resumed, struct err *err)
{
	enum store_status status;
	struct buf from;

	buf_init(&from, sizeof(m->from));
	status = look_at_source(m, err);
	if (status == STORE_OK)
		status = look_at_target(m, resumed, &from, err);
	buf_free(&from);
	return result_of(m, status);
}

/* ---- the rows ---- */

static void
tell_progress(const struct move *m, const char *what, int64_t done, int64_t all)
{
	const struct move_progress progress = {what, done, all};

	m->params.progress(m->params.arg, &progress);
}

static enum store_status
copy_table(struct move *m, const struct move_table *table, struct err *err)
{
	struct move_key key = move_key_begin();
	int64_t done = 0, all;
	enum store_status status = move_count(m->source, table, &all, err);

	if (status == STORE_OK)
		status = move_count(m->target, table, &done, err);
	if (status == STORE_OK)
		status = move_last(m->target, table, &key, err);
	while (status == STORE_OK) {
		tell_progress(m, table->name, done, all);
		status = move_read(m->source, table, &key, &m->chunk, err);
		if (status != STORE_OK || m->chunk.n_rows == 0)
			break;
		status = move_write(m->target, &m->chunk, err);
		done += (int64_t)m->chunk.n_rows;
	}
	return status;
}

int
move_copy(struct move *m, struct err *err)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; status == STORE_OK && i < MOVE_TABLES; i++)
		status = copy_table(m, &move_tables[i], err);
	return result_of(m, status);
}

/* ---- the comparison ---- */

static enum store_status
sum_rows(struct move *m, struct sql *sql, const struct move_table *table,
    struct move_sum *sum, struct err *err)
{
	struct move_key key = move_key_begin();
	char what[64];
	int64_t all;
	enum store_status status = move_count(sql, table, &all, err);

	(void)snprintf(what, sizeof(what), "%s, checksum of the %s",
	    table->name, sql == m->source ? "source" : "target");
	while (status == STORE_OK) {
		tell_progress(m, what, sum->n_rows, all);
		status = move_read(sql, table, &key, &m->chunk, err);
		if (status != STORE_OK || m->chunk.n_rows == 0)
			break;
		if (move_sum_add(sum, &m->chunk) == -1)
			status = sql_no_memory(err);
	}
	return status;
}

static enum store_status
sum_table(struct move *m, struct sql *sql, const struct move_table *table,
    int64_t *n_rows, char text[MOVE_SUM_TEXT], struct err *err)
{
	enum store_status status;
	struct move_sum sum;

	if (move_sum_init(&sum) == -1)
		return sql_no_memory(err);
	status = sum_rows(m, sql, table, &sum, err);
	if (status == STORE_OK && move_sum_end(&sum, text) == -1)
		status = sql_no_memory(err);
	*n_rows = sum.n_rows;
	move_sum_fini(&sum);
	return status;
}

int
move_compare(struct move *m, struct move_result results[MOVE_TABLES],
    bool *same, struct err *err)
{
	enum store_status status = STORE_OK;

	*same = true;
	for (size_t i = 0; status == STORE_OK && i < MOVE_TABLES; i++) {
		const struct move_table *table = &move_tables[i];
		struct move_result *r = &results[i];

		*r = (struct move_result){.table = table->name};
		status = sum_table(
		    m, m->source, table, &r->n_source, r->source, err);
		if (status == STORE_OK)
			status = sum_table(
			    m, m->target, table, &r->n_target, r->target, err);
		*same = *same && strcmp(r->source, r->target) == 0;
	}
	return result_of(m, status);
}

int
move_end(struct move *m, struct err *err)
{
	struct sql *sql = m->target;
	enum store_status status = STORE_OK;

	if (!sql->connected)
		status = sql->driver->open(sql, err);
	if (status == STORE_OK)
		status = move_mark_remove(sql, err);
	return result_of(m, status);
}
