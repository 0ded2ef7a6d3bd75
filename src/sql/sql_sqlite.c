/* SPDX-License-Identifier: ISC */
#include "sql/sql_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sql/sqlite_room.h"
#include "sql/write_lock.h"

#define BUSY_PAUSE_MS 5

static enum store_status
status_of_errno(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EINTR:
		return STORE_UNAVAILABLE;
	default:
		return STORE_BROKEN;
	}
}

static enum store_status
sqlite_fail(struct sqlite_conn *c, struct err *err)
{
	const char *text = sqlite3_errmsg(c->db);
	int error = sqlite3_system_errno(c->db);
	int code = sqlite3_errcode(c->db) & 0xff;

	c->sql.full |=
	    code == SQLITE_FULL ||
	    (code == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT));
	if ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && error != 0)
		(void)err_set(
		    err, "%s: %s: %s", c->path, text, strerror(error));
	else
		(void)err_set(err, "%s: %s", c->path, text);
	switch (code) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
	case SQLITE_NOMEM:
	case SQLITE_FULL:
		return STORE_UNAVAILABLE;
	case SQLITE_IOERR:
		c->sql.connected = false;
		return STORE_UNAVAILABLE;
	case SQLITE_CANTOPEN:
		c->sql.connected = false;
		return status_of_errno(error);
	default:
		c->sql.connected = false;
		return STORE_BROKEN;
	}
}

/*
 * Makes an empty file of mode 0600, whatever the umask; SQLite gives its other
 * files the same mode. A file that exists is not opened here: closing it would
 * drop the locks that this process has on it.
 */
static enum store_status
create_file(const char *path, struct err *err)
{
	enum store_status status = STORE_OK;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd == -1 && errno == EEXIST)
		return STORE_OK;
	if (fd == -1 && errno == ENOENT) {
		(void)err_set(err, "cannot create %s: no such directory", path);
		return STORE_BROKEN;
	}
	if (fd == -1 || fchmod(fd, 0600) == -1) {
		status = status_of_errno(errno);
		(void)err_errno(err, "cannot create %s", path);
	}
	if (fd != -1)
		(void)close(fd);
	return status;
}

/*
 * The file may be another's work: it is data, and nothing in it is run. Not
 * known to an older library is no failure, as for a part that was left out of
 * it.
 */
static void
distrust(sqlite3 *db)
{
	const struct {
		int option, value;
	} options[] = {
	    {SQLITE_DBCONFIG_DEFENSIVE, 1},
	    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
	    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
	    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
	    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
	    {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
	    {SQLITE_DBCONFIG_DQS_DDL, 0},
	    /* To its own ALTER TABLE "text" is a text in 3.37. */
	    {SQLITE_DBCONFIG_DQS_DML, sqlite3_libversion_number() < 3040000},
	};
	static const struct {
		int limit, value;
	} limits[] = {
	    {SQLITE_LIMIT_LENGTH, SQL_BYTES_MAX + 1024 * 1024},
	    {SQLITE_LIMIT_SQL_LENGTH, SQL_TEXT_MAX},
	    {SQLITE_LIMIT_ATTACHED, 0},
	    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
	    {SQLITE_LIMIT_WORKER_THREADS, 0},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)sqlite3_db_config(
		    db, options[i].option, options[i].value, NULL);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		(void)sqlite3_limit(db, limits[i].limit, limits[i].value);
}

struct sqlite_conn *
sqlite_conn_of(struct sql *sql)
{
	return (struct sqlite_conn *)sql;
}

static enum store_status
sqlite_run_script(struct sqlite_conn *c, const char *text, struct err *err)
{
	if (sqlite3_exec(c->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_fail(c, err);
	return STORE_OK;
}

/*
 * Of several who open a new file one makes it a WAL file, and SQLite tells the
 * others at once that it is locked, without its busy handler: their wait would
 * be a deadlock of two readers that both want to write.
 */
static enum store_status
use_wal(struct sqlite_conn *c, struct err *err)
{
	int64_t end_ms = clock_mono_ms() + c->sql.timeout_ms;
	enum store_status status;

	for (;;) {
		status = sqlite_run_script(c, "PRAGMA journal_mode = WAL", err);
		if (sqlite3_errcode(c->db) != SQLITE_BUSY ||
		    clock_mono_ms() >= end_ms)
			return status;
		(void)sqlite3_sleep(BUSY_PAUSE_MS);
	}
}

static enum store_status
open_database(struct sqlite_conn *c, struct err *err)
{
	enum store_status status;
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(c->path, &c->db, flags, NULL) != SQLITE_OK)
		return c->db == NULL ? sql_no_memory(err) : sqlite_fail(c, err);
	distrust(c->db);
	/* Without the right to write SQLite opens it for reading. */
	if (sqlite3_db_readonly(c->db, "main") != 0) {
		(void)err_set(err, "%s: no right to write", c->path);
		return STORE_BROKEN;
	}
	if (sqlite3_busy_timeout(c->db, (int)c->sql.timeout_ms) != SQLITE_OK)
		return sqlite_fail(c, err);
	if (c->checkpoint == NULL)
		c->checkpoint = sqlite_checkpoint_create(c->path);
	if (c->checkpoint == NULL)
		return sql_no_memory(err);
	sqlite_checkpoint_watch(c->checkpoint, c->db);
	status = use_wal(c, err);
	if (status != STORE_OK)
		return status;
	return sqlite_run_script(c,
	    "PRAGMA cell_size_check = ON;"
	    /* The checks of the schema are for others who write. What we bind
	     * has its type, and what we read is looked at in any case. */
	    "PRAGMA ignore_check_constraints = ON;"
	    "PRAGMA mmap_size = 0;" /* a file that shrinks would be a crash */
	    "PRAGMA synchronous = FULL;"
	    /* After a large add, or many deletes: less than half of minFree,
	     * which adds want beside the log. */
	    "PRAGMA journal_size_limit = 31457280",
	    err);
}

static void
sqlite_close_conn(struct sqlite_conn *c)
{
	c->active = NULL;
	while (c->n_prepared > 0)
		(void)sqlite3_finalize(c->prepared[--c->n_prepared].stmt);
	(void)sqlite3_close(c->db);
	c->db = NULL;
	sqlite_checkpoint_free(&c->checkpoint);
	c->sql.connected = false;
}

static enum store_status
sqlite_open(struct sql *sql, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	enum store_status status;

	sqlite_close_conn(c);
	status = create_file(c->path, err);
	if (status == STORE_OK)
		status = open_database(c, err);
	if (status != STORE_OK)
		sqlite_close_conn(c);
	c->sql.connected = status == STORE_OK;
	return status;
}

static bool
sqlite_alive(struct sql *sql)
{
	(void)sql;
	return true;
}

/* ---- statements ---- */

/* A result that was not read to its end; repeats the error of the last step. */
static void
sqlite_end_rows(struct sqlite_conn *c)
{
	if (c->active != NULL)
		(void)sqlite3_reset(c->active);
	c->active = NULL;
	c->refused = SQLITE_OK;
}

static enum store_status
prepare_sqlite(struct sqlite_conn *c, const struct sql_text *text,
    unsigned arity, sqlite3_stmt **stmt, struct err *err)
{
	struct buf whole;
	int rc;

	check(c->n_prepared < SQLITE_PREPARED_MAX);
	buf_init(&whole, SQL_TEXT_MAX);
	if (sql_write_text(text, arity, &whole) == -1) {
		buf_free(&whole);
		return sql_no_memory(err);
	}
	rc = sqlite3_prepare_v3(c->db, whole.p, (int)whole.len,
	    SQLITE_PREPARE_PERSISTENT, stmt, NULL);
	buf_free(&whole);
	if (rc != SQLITE_OK)
		return sqlite_fail(c, err);
	check((size_t)sqlite3_column_count(*stmt) ==
	      (text->columns == NULL ? 0 : strlen(text->columns)));
	c->prepared[c->n_prepared].text = text;
	c->prepared[c->n_prepared].arity = arity;
	c->prepared[c->n_prepared++].stmt = *stmt;
	return STORE_OK;
}

static enum store_status
find_prepared(struct sqlite_conn *c, const struct sql_text *text,
    unsigned arity, sqlite3_stmt **stmt, struct err *err)
{
	for (size_t i = 0; i < c->n_prepared; i++)
		if (c->prepared[i].text == text &&
		    c->prepared[i].arity == arity) {
			*stmt = c->prepared[i].stmt;
			return STORE_OK;
		}
	return prepare_sqlite(c, text, arity, stmt, err);
}

/* SQLite has no unsigned numbers. */
static int
bind_to(sqlite3_stmt *stmt, int place, const struct sql_arg *arg)
{
	if (arg->type == SQL_BYTES)
		return sqlite3_bind_blob64(
		    stmt, place, arg->bytes.p, arg->bytes.len, SQLITE_STATIC);
	return sqlite3_bind_int64(stmt, place, arg->number);
}

/* Finds or makes the statement and binds the arguments. */
static enum store_status
sqlite_start(struct sqlite_conn *c, const struct sql_text *text, unsigned arity,
    struct err *err)
{
	enum store_status status;

	sqlite_end_rows(c);
	status = find_prepared(c, text, arity, &c->active, err);
	if (status != STORE_OK) {
		c->active = NULL;
		return status;
	}
	check(
	    (unsigned)sqlite3_bind_parameter_count(c->active) == c->sql.n_args);
	for (unsigned i = 0; i < c->sql.n_args; i++)
		if (bind_to(c->active, (int)i + 1, &c->sql.args[i]) !=
		    SQLITE_OK) {
			status = sqlite_fail(c, err);
			sqlite_end_rows(c);
			return status;
		}
	return STORE_OK;
}

static enum store_status
sqlite_exec_text(struct sql *sql, const struct sql_text *text, unsigned arity,
    uint64_t *affected, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	enum store_status status = sqlite_start(c, text, arity, err);

	if (status != STORE_OK)
		return status;
	if (sqlite3_step(c->active) != SQLITE_DONE)
		status = sqlite_fail(c, err);
	else if (affected != NULL)
		*affected = (uint64_t)sqlite3_changes(c->db);
	sqlite_end_rows(c);
	return status;
}

static enum store_status
sqlite_select(struct sql *sql, const struct sql_text *text, unsigned arity,
    struct err *err)
{
	return sqlite_start(sqlite_conn_of(sql), text, arity, err);
}

/* Whether what was read of the row was of its type. */
static enum store_status
check_types(struct sqlite_conn *c, struct err *err)
{
	if (c->refused == SQLITE_OK)
		return STORE_OK;
	if (c->refused == SQLITE_NOMEM)
		return sql_no_memory(err);
	(void)err_set(err, "%s is not of its type",
	    sqlite3_column_name(c->active, (int)c->refused_column));
	return STORE_BROKEN;
}

static enum store_status
check_columns(struct sqlite_conn *c, struct err *err)
{
	struct err reason;
	enum store_status status = check_types(c, &reason);

	if (status != STORE_OK)
		(void)err_set(err, "%s: damaged: %s", c->path, reason.text);
	return status;
}

static enum store_status
sqlite_row_check(struct sql *sql, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	enum store_status status = check_types(c, err);

	c->refused = SQLITE_OK;
	return status;
}

static bool
sqlite_next(struct sql *sql, enum store_status *status, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	int rc;

	*status = check_columns(c, err);
	if (*status == STORE_OK) {
		rc = sqlite3_step(c->active);
		if (rc == SQLITE_ROW)
			return true;
		if (rc != SQLITE_DONE)
			*status = sqlite_fail(c, err);
	}
	sqlite_end_rows(c);
	return false;
}

static enum store_status
sqlite_done(struct sql *sql, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	enum store_status status = check_columns(c, err);

	sqlite_end_rows(c);
	return status;
}

static void
sqlite_drop(struct sql *sql)
{
	sqlite_end_rows(sqlite_conn_of(sql));
}

static void
refuse_column(struct sqlite_conn *c, unsigned column, int rc)
{
	if (c->refused != SQLITE_OK)
		return;
	c->refused = rc;
	c->refused_column = column;
}

/* Columns may be of any type; what is not of its own is 0 or empty. */
static int64_t
sqlite_read_i64(struct sql *sql, unsigned column)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);

	if (sqlite3_column_type(c->active, (int)column) == SQLITE_INTEGER)
		return sqlite3_column_int64(c->active, (int)column);
	refuse_column(c, column, SQLITE_MISMATCH);
	return 0;
}

static struct slice
sqlite_read_bytes(struct sql *sql, unsigned column)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	int type = sqlite3_column_type(c->active, (int)column), len;
	const char *p;

	if (type != SQLITE_BLOB && type != SQLITE_TEXT) {
		refuse_column(c, column, SQLITE_MISMATCH);
		return SLICE_LITERAL("");
	}
	/* In this order: the length is then that of what p points to. */
	p = sqlite3_column_blob(c->active, (int)column);
	len = sqlite3_column_bytes(c->active, (int)column);
	if (p == NULL && len > 0)
		refuse_column(c, column, SQLITE_NOMEM);
	return p == NULL ? SLICE_LITERAL("") : slice_of(p, (size_t)len);
}

static enum store_status
sqlite_run(struct sql *sql, const char *text, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);

	sqlite_end_rows(c);
	return sqlite_run_script(c, text, err);
}

/* ---- transactions ---- */

/* Without the turn, too, in the time that is left: somebody may keep it. */
static void
await_turn(struct sqlite_conn *c)
{
	int64_t begin_ms = clock_mono_ms();

	c->has_turn =
	    write_lock_acquire(c->write_lock, c->sql.timeout_ms / 2) == 0;
	/* With a valid connection it cannot fail. */
	(void)sqlite3_busy_timeout(
	    c->db, (int)(c->sql.timeout_ms - (clock_mono_ms() - begin_ms)));
}

static void
give_turn(struct sqlite_conn *c)
{
	if (c->has_turn)
		write_lock_release(c->write_lock);
	c->has_turn = false;
}

static enum store_status
sqlite_begin(struct sql *sql, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);
	enum store_status status;

	sqlite_end_rows(c);
	if (c->write_lock != NULL)
		await_turn(c);
	status = sqlite_run_script(c, "BEGIN IMMEDIATE", err);
	if (status != STORE_OK)
		give_turn(c);
	return status;
}

static enum store_status
sqlite_end(struct sql *sql, enum store_status status, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);

	sqlite_end_rows(c);
	if (status == STORE_OK) {
		status = sqlite_run_script(c, "COMMIT", err);
		if (status == STORE_OK)
			sqlite_checkpoint_committed(c->checkpoint, c->db);
	}
	/* Some errors have rolled back by themselves. */
	if (sqlite3_get_autocommit(c->db) == 0 &&
	    sqlite_run_script(c, "ROLLBACK", NULL) != STORE_OK)
		c->sql.connected = false;
	/* The log cannot grow: let the next begin at its start. */
	if (c->sql.full)
		(void)sqlite3_wal_checkpoint_v2(
		    c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	give_turn(c);
	return status;
}

/* Reading is possible where an add is not; this costs no write. */
static enum store_status
sqlite_ping(struct sql *sql, struct err *err)
{
	enum store_status status = sqlite_begin(sql, err);

	return status == STORE_OK ? sqlite_end(sql, status, err) : status;
}

static enum store_status
sqlite_room(struct sql *sql, int64_t bytes, bool *room, struct err *err)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);

	*room = true;
	return c->min_free_bytes == 0
		   ? STORE_OK
		   : sqlite_room_for(
			 sql, c->path, c->min_free_bytes, bytes, room, err);
}

/* ---- life ---- */

static void
sqlite_destroy(struct sql *sql)
{
	struct sqlite_conn *c = sqlite_conn_of(sql);

	sqlite_close_conn(c);
	free(c->path);
	free(c);
}

static void
sqlite_close(struct sql *sql)
{
	sqlite_close_conn(sqlite_conn_of(sql));
}

static int
sqlite_create(
    const struct store_params *params, struct sql **sql, struct err *err)
{
	struct sql_place place;
	struct sqlite_conn *c;

	if (sql_describe(params->url, params->state_dir, &place, err) == -1)
		return -1;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)err_errno(err, "%s", params->url);
		sql_place_free(&place);
		return -1;
	}
	c->path = place.file;
	place.file = NULL;
	c->sql.driver = &sql_sqlite;
	c->sql.statement_max = SIZE_MAX;
	c->sql.transaction_max = SIZE_MAX;
	c->sql.timeout_ms =
	    params->timeout_ms < INT_MAX ? params->timeout_ms : INT_MAX;
	c->min_free_bytes = params->min_free_bytes;
	c->write_lock = params->write_lock;
	(void)snprintf(c->sql.target, sizeof(c->sql.target), "%s", place.shown);
	sql_place_free(&place);
	*sql = &c->sql;
	return 0;
}

const struct sql_driver sql_sqlite = {
    .scheme = "sqlite",
    .kind = SQL_SQLITE,
    .rows_max = 1,
    .ids_max = 1,
    .create = sqlite_create,
    .destroy = sqlite_destroy,
    .open = sqlite_open,
    .close = sqlite_close,
    .alive = sqlite_alive,
    .ping = sqlite_ping,
    .exec = sqlite_exec_text,
    .select = sqlite_select,
    .next = sqlite_next,
    .done = sqlite_done,
    .drop = sqlite_drop,
    .row_check = sqlite_row_check,
    .read_i64 = sqlite_read_i64,
    .read_bytes = sqlite_read_bytes,
    .run = sqlite_run,
    .begin = sqlite_begin,
    .end = sqlite_end,
    .room = sqlite_room,
};
