/* SPDX-License-Identifier: ISC */
#include "table.h"

#include <err.h>
#include <stdlib.h>

#include <sqlite3.h>

enum { TIMEOUT_MS = 10000 };

struct table {
	const struct table_params *params;
	sqlite3 *db;
	sqlite3_stmt *stmt; /* one row */
};

static void
exec(struct table *t, const char *sql)
{
	if (sqlite3_exec(t->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		errx(1, "%s: %s: %s", t->params->target, sql,
		    sqlite3_errmsg(t->db));
}

static struct table *
table_open(const struct table_params *params)
{
	static const char insert[] =
	    "INSERT INTO event (id, k, shard, status, due_ms, expiry_ms,"
	    " created_ms, fingerprint, app, event_id, method, url, headers,"
	    " body, body_is_text)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)";
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		err(1, NULL);
	t->params = params;
	if (sqlite3_open_v2(params->target, &t->db, SQLITE_OPEN_READWRITE,
		NULL) != SQLITE_OK)
		errx(1, "%s: %s", params->target, sqlite3_errmsg(t->db));
	(void)sqlite3_busy_timeout(t->db, TIMEOUT_MS);
	if (params->careless)
		exec(t, "PRAGMA locking_mode = EXCLUSIVE;"
			"PRAGMA journal_mode = OFF;"
			"PRAGMA synchronous = OFF;"
			"PRAGMA cache_size = -1000000"); /* KiB */
	else
		exec(t, "PRAGMA journal_mode = WAL;"
			"PRAGMA synchronous = FULL;"
			"PRAGMA wal_autocheckpoint = 4000");
	if (sqlite3_prepare_v2(t->db, insert, -1, &t->stmt, NULL) != SQLITE_OK)
		errx(1, "%s: %s", params->target, sqlite3_errmsg(t->db));
	return t;
}

static void
table_close(struct table *t)
{
	(void)sqlite3_finalize(t->stmt);
	(void)sqlite3_close(t->db);
	free(t);
}

static void
bind_bytes(struct table *t, int column, struct slice bytes)
{
	(void)sqlite3_bind_blob(
	    t->stmt, column, bytes.p, (int)bytes.len, SQLITE_STATIC);
}

static void
insert_row(struct table *t, const struct table_row *row)
{
	struct slice key =
	    slice_of((const char *)row->key.bytes, EVENT_KEY_BYTES);

	(void)sqlite3_bind_int64(t->stmt, 1, row->id);
	bind_bytes(t, 2, key);
	(void)sqlite3_bind_int64(t->stmt, 3, row->shard);
	(void)sqlite3_bind_int64(t->stmt, 4, row->status);
	(void)sqlite3_bind_int64(t->stmt, 5, row->due_ms);
	(void)sqlite3_bind_int64(t->stmt, 6, row->due_ms); /* expiry */
	(void)sqlite3_bind_int64(t->stmt, 7, t->params->created_ms);
	bind_bytes(t, 8, key); /* fingerprint: as random */
	bind_bytes(t, 9, TABLE_APP);
	bind_bytes(t, 10, row->event_id);
	bind_bytes(t, 11, TABLE_METHOD);
	bind_bytes(t, 12, TABLE_URL);
	bind_bytes(t, 13, TABLE_HEADERS);
	bind_bytes(t, 14, t->params->body);
	if (sqlite3_step(t->stmt) != SQLITE_DONE)
		errx(1, "%s: %s", t->params->target, sqlite3_errmsg(t->db));
	(void)sqlite3_reset(t->stmt);
}

static void
table_begin(struct table *t)
{
	if (write_lock_acquire(t->params->lock, TIMEOUT_MS) == -1)
		errx(1, "no turn to write in %d ms", TIMEOUT_MS);
	exec(t, "BEGIN IMMEDIATE");
}

static void
table_insert(struct table *t, const struct table_row *rows)
{
	for (size_t i = 0; i < t->params->rows; i++)
		insert_row(t, &rows[i]);
}

static void
table_commit(struct table *t)
{
	exec(t, "COMMIT");
	write_lock_release(t->params->lock);
}

const struct table_ops table_sqlite_ops = {
    .open = table_open,
    .close = table_close,
    .begin = table_begin,
    .insert = table_insert,
    .commit = table_commit,
};
