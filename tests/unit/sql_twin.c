/* SPDX-License-Identifier: ISC */
#include "sql_twin.h"

struct twin twin;

static unsigned n_within; /* calls since the transaction began, that one too */
static bool has_met;      /* the last transaction */
static bool repeated;     /* so this one is its second try */

static int
twin_create(
    const struct store_params *params, struct sql **sql, struct err *err)
{
	if (sql_sqlite.create(params, sql, err) == -1)
		return -1;
	(*sql)->driver = &sql_twin;
	return 0;
}

/* Each transaction at another of its first calls. */
static bool
meets_now(void)
{
	enum { PLACES = 9 };

	if (!twin.meets || n_within == 0 || repeated || has_met ||
	    n_within != twin.n_met % PLACES + 2)
		return false;
	twin.n_met++;
	has_met = true;
	return true;
}

static enum twin_failure
next_failure(void)
{
	twin.n_calls++;
	if (n_within > 0)
		n_within++;
	if (twin.stall != NULL && twin.n_calls == twin.stalls_at)
		twin.stall();
	if (twin.n_calls == twin.fails_at)
		return twin.failure;
	return meets_now() ? TWIN_AGAIN : TWIN_NONE;
}

static enum store_status
fail_on_demand(struct sql *sql, enum twin_failure failure, struct err *err)
{
	(void)err_set(err, "on demand, at call %u", twin.n_calls);
	sql->again = failure == TWIN_AGAIN;
	sql->elsewhere = twin.elsewhere;
	if (failure == TWIN_BREAKS || failure == TWIN_LOST)
		sql_sqlite.close(sql);
	return STORE_UNAVAILABLE;
}

static enum store_status
twin_exec(struct sql *sql, const struct sql_text *text, unsigned arity,
    uint64_t *affected, struct err *err)
{
	enum twin_failure failure = next_failure();
	enum store_status status;

	if (failure != TWIN_NONE && failure != TWIN_LOST)
		return fail_on_demand(sql, failure, err);
	status = sql_sqlite.exec(sql, text, arity, affected, err);
	return failure == TWIN_NONE ? status
				    : fail_on_demand(sql, failure, err);
}

static enum store_status
twin_select(struct sql *sql, const struct sql_text *text, unsigned arity,
    struct err *err)
{
	enum twin_failure failure = next_failure();

	return failure == TWIN_NONE ? sql_sqlite.select(sql, text, arity, err)
				    : fail_on_demand(sql, failure, err);
}

static enum store_status
twin_begin(struct sql *sql, struct err *err)
{
	enum twin_failure failure;
	enum store_status status;

	repeated = has_met;
	has_met = false;
	failure = next_failure();
	if (failure != TWIN_NONE)
		return fail_on_demand(sql, failure, err);
	status = sql_sqlite.begin(sql, err);
	n_within = status == STORE_OK;
	return status;
}

static enum store_status
twin_end(struct sql *sql, enum store_status status, struct err *err)
{
	enum twin_failure failure =
	    status == STORE_OK ? next_failure() : TWIN_NONE;

	n_within = 0;
	if (failure == TWIN_LOST)
		(void)sql_sqlite.end(sql, STORE_OK, NULL);
	if (failure != TWIN_NONE)
		status = fail_on_demand(sql, failure, err);
	return failure == TWIN_LOST || !sql->connected
		   ? status
		   : sql_sqlite.end(sql, status, err);
}

static void
twin_destroy(struct sql *sql)
{
	sql_sqlite.destroy(sql);
}

static enum store_status
twin_open(struct sql *sql, struct err *err)
{
	enum store_status status = sql_sqlite.open(sql, err);

	/* Not a disk is tested here. */
	return status == STORE_OK
		   ? sql_sqlite.run(sql, "PRAGMA synchronous = OFF", err)
		   : status;
}

static void
twin_close(struct sql *sql)
{
	sql_sqlite.close(sql);
}

static bool
twin_alive(struct sql *sql)
{
	return sql_sqlite.alive(sql);
}

static enum store_status
twin_ping(struct sql *sql, struct err *err)
{
	return sql_sqlite.ping(sql, err);
}

static bool
twin_next(struct sql *sql, enum store_status *status, struct err *err)
{
	return sql_sqlite.next(sql, status, err);
}

static enum store_status
twin_done(struct sql *sql, struct err *err)
{
	return sql_sqlite.done(sql, err);
}

static void
twin_drop(struct sql *sql)
{
	if (sql->connected)
		sql_sqlite.drop(sql);
}

static enum store_status
twin_row_check(struct sql *sql, struct err *err)
{
	enum store_status status = sql_sqlite.row_check(sql, err);

	return twin.short_of_memory ? sql_no_memory(err) : status;
}

static int64_t
twin_read_i64(struct sql *sql, unsigned column)
{
	return sql_sqlite.read_i64(sql, column);
}

static struct slice
twin_read_bytes(struct sql *sql, unsigned column)
{
	return sql_sqlite.read_bytes(sql, column);
}

static enum store_status
twin_run(struct sql *sql, const char *text, struct err *err)
{
	return sql_sqlite.run(sql, text, err);
}

static enum store_status
twin_room(struct sql *sql, int64_t bytes, bool *room, struct err *err)
{
	return sql_sqlite.room(sql, bytes, room, err);
}

const struct sql_driver sql_twin = {
    .scheme = "sqlite",
    .kind = SQL_SQLITE,
    .rows_max = 1,
    .ids_max = 4, /* so that chunks are cut, too */
    .create = twin_create,
    .destroy = twin_destroy,
    .open = twin_open,
    .close = twin_close,
    .alive = twin_alive,
    .ping = twin_ping,
    .exec = twin_exec,
    .select = twin_select,
    .next = twin_next,
    .done = twin_done,
    .drop = twin_drop,
    .row_check = twin_row_check,
    .read_i64 = twin_read_i64,
    .read_bytes = twin_read_bytes,
    .run = twin_run,
    .begin = twin_begin,
    .end = twin_end,
    .room = twin_room,
};
