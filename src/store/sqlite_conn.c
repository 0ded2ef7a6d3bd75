/* SPDX-License-Identifier: ISC */
#include "store/sqlite_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/write_lock.h"

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

enum store_status
sqlite_conn_fail(struct sqlite_conn *c, struct err *err)
{
	const char *text = sqlite3_errmsg(c->db);
	int error = sqlite3_system_errno(c->db);
	int code = sqlite3_errcode(c->db) & 0xff;

	c->base.full |=
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
		c->base.connected = false;
		return STORE_UNAVAILABLE;
	case SQLITE_CANTOPEN:
		c->base.connected = false;
		return status_of_errno(error);
	default:
		c->base.connected = false;
		return STORE_BROKEN;
	}
}

enum store_status
sqlite_conn_no_memory(const struct sqlite_conn *c, struct err *err)
{
	(void)err_set(err, "%s: out of memory", c->path);
	return STORE_UNAVAILABLE;
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
	    {SQLITE_LIMIT_LENGTH, EVENT_BODY_MAX + 1024 * 1024},
	    {SQLITE_LIMIT_SQL_LENGTH, 64 * 1024},
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

/*
 * Of several who open a new file one makes it a WAL file, and SQLite tells the
 * others at once that it is locked, without its busy handler: their wait would
 * be a deadlock of two readers that both want to write.
 */
static enum store_status
use_wal(struct sqlite_conn *c, struct err *err)
{
	int64_t end_ms = clock_mono_ms() + c->timeout_ms;
	enum store_status status;

	for (;;) {
		status = sqlite_conn_exec(c, "PRAGMA journal_mode = WAL", err);
		if (sqlite3_errcode(c->db) != SQLITE_BUSY ||
		    clock_mono_ms() >= end_ms)
			return status;
		(void)sqlite3_sleep(BUSY_PAUSE_MS);
	}
}

static enum store_status
open_file(struct sqlite_conn *c, struct err *err)
{
	enum store_status status;
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(c->path, &c->db, flags, NULL) != SQLITE_OK)
		return c->db == NULL ? sqlite_conn_no_memory(c, err)
				     : sqlite_conn_fail(c, err);
	distrust(c->db);
	/* Without the right to write SQLite opens it for reading. */
	if (sqlite3_db_readonly(c->db, "main") != 0) {
		(void)err_set(err, "%s: no right to write", c->path);
		return STORE_BROKEN;
	}
	if (sqlite3_busy_timeout(c->db, (int)c->timeout_ms) != SQLITE_OK)
		return sqlite_conn_fail(c, err);
	if (c->checkpoint == NULL)
		c->checkpoint = sqlite_checkpoint_create(c->path);
	if (c->checkpoint == NULL)
		return sqlite_conn_no_memory(c, err);
	sqlite_checkpoint_watch(c->checkpoint, c->db);
	status = use_wal(c, err);
	if (status != STORE_OK)
		return status;
	return sqlite_conn_exec(c,
	    "PRAGMA cell_size_check = ON;"
	    /* The checks of the schema are for others who write. What we bind
	     * has its type, and what we read is looked at in any case. */
	    "PRAGMA ignore_check_constraints = ON;"
	    "PRAGMA mmap_size = 0;" /* a file that shrinks would be a crash */
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA journal_size_limit = 16777216", /* after a large add */
	    err);
}

struct sqlite_conn *
sqlite_conn_of(struct store_backend *backend)
{
	return (struct sqlite_conn *)backend;
}

enum store_status
sqlite_conn_open(struct sqlite_conn *c, struct err *err)
{
	enum store_status status;

	sqlite_conn_close(c);
	status = create_file(c->path, err);
	if (status == STORE_OK)
		status = open_file(c, err);
	if (status != STORE_OK)
		sqlite_conn_close(c);
	c->base.connected = status == STORE_OK;
	return status;
}

void
sqlite_conn_close(struct sqlite_conn *c)
{
	while (c->n_prepared > 0)
		(void)sqlite3_finalize(c->prepared[--c->n_prepared].stmt);
	(void)sqlite3_close(c->db);
	c->db = NULL;
	sqlite_checkpoint_free(&c->checkpoint);
	c->base.connected = false;
}

enum store_status
sqlite_conn_exec(struct sqlite_conn *c, const char *text, struct err *err)
{
	if (sqlite3_exec(c->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_conn_fail(c, err);
	return STORE_OK;
}

/* Without the turn, too, in the time that is left: somebody may keep it. */
static void
await_turn(struct sqlite_conn *c)
{
	int64_t begin_ms = clock_mono_ms();

	c->has_turn = write_lock_acquire(c->write_lock, c->timeout_ms / 2) == 0;
	/* With a valid connection it cannot fail. */
	(void)sqlite3_busy_timeout(
	    c->db, (int)(c->timeout_ms - (clock_mono_ms() - begin_ms)));
}

static void
give_turn(struct sqlite_conn *c)
{
	if (c->has_turn)
		write_lock_release(c->write_lock);
	c->has_turn = false;
}

enum store_status
sqlite_conn_begin(struct sqlite_conn *c, struct err *err)
{
	enum store_status status;

	c->base.full = false;
	if (c->write_lock != NULL)
		await_turn(c);
	status = sqlite_conn_exec(c, "BEGIN IMMEDIATE", err);
	if (status != STORE_OK)
		give_turn(c);
	return status;
}

enum store_status
sqlite_conn_end(
    struct sqlite_conn *c, enum store_status status, struct err *err)
{
	if (status == STORE_OK) {
		status = sqlite_conn_exec(c, "COMMIT", err);
		if (status == STORE_OK)
			sqlite_checkpoint_committed(c->checkpoint, c->db);
	}
	/* Some errors have rolled back by themselves. */
	if (sqlite3_get_autocommit(c->db) == 0 &&
	    sqlite_conn_exec(c, "ROLLBACK", NULL) != STORE_OK)
		c->base.connected = false;
	/* The log cannot grow: let the next begin at its start. */
	if (c->base.full)
		(void)sqlite3_wal_checkpoint_v2(
		    c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	give_turn(c);
	return status;
}
