/* SPDX-License-Identifier: ISC */
#include "sql/sql.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

enum { PAUSE_STEP_MS = 5 };

enum store_status
sql_no_memory(struct err *err)
{
	(void)err_set(err, "out of memory");
	return STORE_UNAVAILABLE;
}

enum store_status
sql_nonsense(struct sql *sql, const char *what, struct err *err)
{
	if (!sql->driver->remote) {
		(void)err_set(err, "%s: damaged: %s", sql->target, what);
		return STORE_BROKEN;
	}
	(void)err_set(err, "the database server answers nonsense: %s", what);
	sql->again = false;
	sql->driver->close(sql);
	return STORE_UNAVAILABLE;
}

const char *
sql_where(const struct sql *sql)
{
	return sql->where;
}

/* ---- arguments ---- */

static struct sql_arg *
add_arg(struct sql *sql)
{
	check(sql->n_args < SQL_ARGS_MAX);
	return &sql->args[sql->n_args++];
}

void
sql_i64(struct sql *sql, int64_t value)
{
	struct sql_arg *arg = add_arg(sql);

	arg->type = SQL_I64;
	arg->number = value;
}

void
sql_u64(struct sql *sql, uint64_t value)
{
	struct sql_arg *arg = add_arg(sql);

	arg->type = SQL_U64;
	memcpy(&arg->number, &value, sizeof(value));
}

void
sql_bytes(struct sql *sql, struct slice bytes)
{
	struct sql_arg *arg = add_arg(sql);

	arg->type = SQL_BYTES;
	/* Without an address it would be a NULL. */
	arg->bytes = bytes.len == 0 ? SLICE_LITERAL("") : bytes;
}

unsigned
sql_pad(struct sql *sql, size_t n)
{
	unsigned arity = 1;

	check(n > 0 && n <= sql->n_args);
	while (arity < n)
		arity *= 2;
	for (size_t i = n; i < arity; i++)
		sql_i64(sql, sql->args[sql->n_args - 1].number);
	return arity;
}

int
sql_write_text(const struct sql_text *text, unsigned arity, struct buf *out)
{
	(void)buf_append_string(out, text->head);
	for (unsigned i = 0; i < arity && text->item != NULL; i++) {
		if (i > 0)
			(void)buf_append_string(out, text->sep);
		(void)buf_append_string(out, text->item);
	}
	if (text->tail != NULL)
		(void)buf_append_string(out, text->tail);
	return out->failed ? -1 : 0;
}

/* ---- statements and rows ---- */

enum store_status
sql_exec(struct sql *sql, const struct sql_text *text, unsigned arity,
    uint64_t *affected, struct err *err)
{
	enum store_status status =
	    sql->driver->exec(sql, text, arity, affected, err);

	sql->n_args = 0;
	return status;
}

enum store_status
sql_select(struct sql *sql, const struct sql_text *text, unsigned arity,
    struct err *err)
{
	enum store_status status = sql->driver->select(sql, text, arity, err);

	sql->n_args = 0;
	return status;
}

bool
sql_next(struct sql *sql, enum store_status *status, struct err *err)
{
	sql->column = 0;
	return *status == STORE_OK && sql->driver->next(sql, status, err);
}

enum store_status
sql_done(struct sql *sql, enum store_status status, struct err *err)
{
	if (status == STORE_OK)
		return sql->driver->done(sql, err);
	sql->driver->drop(sql);
	return status;
}

enum store_status
sql_row_check(struct sql *sql, struct err *err)
{
	return sql->driver->row_check(sql, err);
}

int64_t
sql_read_i64(struct sql *sql)
{
	return sql->driver->read_i64(sql, sql->column++);
}

uint64_t
sql_read_u64(struct sql *sql)
{
	int64_t value = sql_read_i64(sql);
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

struct slice
sql_read_bytes(struct sql *sql)
{
	return sql->driver->read_bytes(sql, sql->column++);
}

enum store_status
sql_value(struct sql *sql, const struct sql_text *text, int64_t *value,
    struct err *err)
{
	enum store_status status = sql_select(sql, text, 0, err);

	while (sql_next(sql, &status, err))
		*value = sql_read_i64(sql);
	return status;
}

/* ---- clusters ---- */

enum store_status
sql_catch_up(struct sql *sql, struct err *err)
{
	if (sql->cluster == SQL_NO_CLUSTER)
		return STORE_OK;
	return sql->driver->catch_up(sql, err);
}

enum store_status
sql_be_current(struct sql *sql, struct err *err)
{
	if (sql->cluster == SQL_NO_CLUSTER || sql->caught_up)
		return STORE_OK;
	sql->behind = true;
	(void)err_set(err, "%s: is behind the others", sql->target);
	return STORE_UNAVAILABLE;
}

/* ---- transactions ---- */

static enum store_status
try_once(struct sql *sql, sql_body body, void *arg, bool whole, struct err *err)
{
	enum store_status status = STORE_OK;

	sql->again = sql->full = false;
	sql->behind = sql->too_large = false;
	sql->n_args = 0;
	if (whole)
		status = sql->driver->begin(sql, err);
	if (status != STORE_OK)
		return status;
	status = body(sql, arg, err);
	return whole ? sql->driver->end(sql, status, err) : status;
}

/* Two that met once should not meet again. */
static void
pause_before(unsigned try)
{
	uint8_t random = 0;

	(void)!getentropy(&random, sizeof(random));
	(void)poll(NULL, 0, 1 + random % (PAUSE_STEP_MS * (int)try));
}

static enum store_status
try_often(
    struct sql *sql, sql_body body, void *arg, bool whole, struct err *err)
{
	int64_t end_ms = clock_mono_ms() + sql->timeout_ms;
	enum store_status status;

	sql->caught_up = false;
	for (unsigned try = 1;; try++) {
		status = try_once(sql, body, arg, whole, err);
		if (sql->behind && sql->connected) {
			status = sql_catch_up(sql, err);
			sql->caught_up = status == STORE_OK;
			if (sql->caught_up)
				continue;
		}
		if (status == STORE_OK || !sql->again || try >= SQL_TRIES_MAX ||
		    clock_mono_ms() >= end_ms)
			return status;
		pause_before(try);
	}
}

enum store_status
sql_transact(struct sql *sql, sql_body body, void *arg, struct err *err)
{
	return try_often(sql, body, arg, true, err);
}

enum store_status
sql_repeat(struct sql *sql, sql_body body, void *arg, struct err *err)
{
	return try_often(sql, body, arg, !sql->driver->remote, err);
}
