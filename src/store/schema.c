/* SPDX-License-Identifier: ISC */
#include "store/schema.h"

#include <string.h>

#include "store/add.h"

/* ---- the version ---- */

/*
 * Ours, and all that no other program may have: a file is for one, a database
 * of a server is not. In one look, since another process may just make them.
 */
static const struct sql_text count_tables[] = {
    [SQL_MYSQL] = {.head = "SELECT COUNT(*), 0 FROM information_schema.tables"
			   " WHERE table_schema = DATABASE()"
			   " AND table_name = 'meta'",
	.columns = "ii"},
    [SQL_SQLITE] = {.head = "SELECT coalesce(sum(name = 'meta'), 0), count(*)"
			    " FROM sqlite_master WHERE type = 'table'",
	.columns = "ii"},
};

static const struct sql_text read_meta[] = {
    [SQL_MYSQL] = {.head = "SELECT COALESCE(MAX(version), 0) FROM meta",
	.columns = "i"},
    [SQL_SQLITE] = {.head = "SELECT value FROM meta"
			    " WHERE name = 'schema_version'",
	.columns = "i"},
};

/* 0 for a database without tables. */
static enum store_status
read_version(struct sql *sql, int64_t *version, struct err *err)
{
	int64_t n_meta = 0, n_tables = 0;
	enum store_status status;

	*version = 0;
	status = sql_select(sql, sql_pick(sql, count_tables), 0, err);
	while (sql_next(sql, &status, err)) {
		n_meta = sql_read_i64(sql);
		n_tables = sql_read_i64(sql);
	}
	if (status == STORE_OK && n_meta > 0)
		status = sql_value(sql, sql_pick(sql, read_meta), version, err);
	if (status != STORE_OK || *version > 0 || n_tables == 0)
		return status;
	(void)err_set(
	    err, "%s: holds the tables of another program", sql->target);
	return STORE_BROKEN;
}

/* What our tables are called may be something that runs code: a view, or a
 * module's table, which has no page of its own. */
static enum store_status
check_tables(struct sql *sql, struct err *err)
{
	enum { N_TABLES = 9 };
	static const struct sql_text text = {
	    .head = "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
		    " AND rootpage > 0 AND name IN"
		    " ('meta', 'event', 'attempt', 'lease', 'instance', 'job',"
		    " 'schedule', 'pause', 'label')",
	    .columns = "i"};
	int64_t n = N_TABLES;
	enum store_status status = STORE_OK;

	if (sql->driver->kind == SQL_SQLITE)
		status = sql_value(sql, &text, &n, err);
	if (status != STORE_OK || n == N_TABLES)
		return status;
	(void)err_set(
	    err, "%s: does not have the tables that we made", sql->target);
	return STORE_BROKEN;
}

/* ---- migrations ---- */

/* Statements end with ";" at the end of a line. */
static enum store_status
run_script(struct sql *sql, const char *text, struct err *err)
{
	static const char end[] = ";\n";
	struct buf statement;
	enum store_status status = STORE_OK;

	buf_init(&statement, SQL_TEXT_MAX);
	while (status == STORE_OK && *text != '\0') {
		const char *stop = strstr(text, end);
		size_t len =
		    stop == NULL ? strlen(text) : (size_t)(stop - text);

		buf_reset(&statement);
		(void)buf_append(&statement, text, len);
		if (buf_append_char(&statement, '\0') == -1)
			status = sql_no_memory(err);
		else
			status = sql->driver->run(sql, statement.p, err);
		text += stop == NULL ? len : len + strlen(end);
	}
	buf_free(&statement);
	return status;
}

static void
say_which(int version, struct err *err)
{
	struct err reason;

	if (err == NULL)
		return;
	reason = *err;
	(void)err_set(err, "%s (migration %d)", reason.text, version);
}

static enum store_status
run_migration(struct sql *sql, const struct store_migration *m, struct err *err)
{
	static const struct sql_text record[] = {
	    [SQL_MYSQL] = {.head = "INSERT IGNORE INTO meta (version)"
				   " VALUES (?)"},
	    [SQL_SQLITE] = {.head = "REPLACE INTO meta (name, value)"
				    " VALUES ('schema_version', ?)"},
	};
	enum store_status status = run_script(sql, m->text, err);

	if (status == STORE_OK) {
		sql_i64(sql, m->version);
		status = sql_exec(sql, sql_pick(sql, record), 0, NULL, err);
	}
	if (status != STORE_OK)
		say_which(m->version, err);
	return status;
}

/* Again: another process may have been first. */
static enum store_status
migrate(struct sql *sql, int64_t *version, struct err *err)
{
	const struct store_migration *m = sql->driver->kind == SQL_SQLITE
					      ? sqlite_migrations
					      : mysql_migrations;
	enum store_status status = read_version(sql, version, err);

	for (; status == STORE_OK && m->version > 0; m++)
		if (m->version > *version)
			status = run_migration(sql, m, err);
	return status == STORE_OK ? read_version(sql, version, err) : status;
}

/* What it met may be another host at another server of the cluster: each
 * statement may be run again. */
static enum store_status
migrate_again(struct sql *sql, void *arg, struct err *err)
{
	enum store_status status = migrate(sql, arg, err);

	if (status != STORE_OK && sql->cluster != SQL_NO_CLUSTER)
		sql->again = sql->connected;
	return status;
}

/* One host at a time: the lock belongs to the server and to this connection. */
static enum store_status
migrate_server(struct sql *sql, int64_t *version, struct err *err)
{
	static const struct sql_text lock = {
	    .head = "SELECT COALESCE(GET_LOCK("
		    "CONCAT('cassata.', MD5(DATABASE())), ?), 0)",
	    .columns = "i"};
	static const struct sql_text unlock = {
	    .head = "DO RELEASE_LOCK(CONCAT('cassata.', MD5(DATABASE())))"};
	int64_t locked = 0;
	enum store_status status;

	sql_i64(sql, sql->timeout_ms / 1000);
	status = sql_value(sql, &lock, &locked, err);
	if (status != STORE_OK)
		return status;
	if (locked == 0) {
		(void)err_set(err, "another host migrates this database");
		return STORE_UNAVAILABLE;
	}
	status = sql_repeat(sql, migrate_again, version, err);
	if (sql->connected)
		(void)sql_exec(sql, &unlock, 0, NULL, NULL);
	return status;
}

/* A migration holds all rows against the checks that it brings. */
static enum store_status
migrate_file_body(struct sql *sql, void *arg, struct err *err)
{
	enum store_status status =
	    sql->driver->run(sql, "PRAGMA ignore_check_constraints = OFF", err);

	return status == STORE_OK ? migrate(sql, arg, err) : status;
}

static enum store_status
migrate_file(struct sql *sql, int64_t *version, struct err *err)
{
	static const char off[] = "PRAGMA ignore_check_constraints = ON";
	enum store_status status =
	    sql_transact(sql, migrate_file_body, version, err);

	if (status == STORE_OK)
		return sql->driver->run(sql, off, err);
	/* The failure is to be told, not what comes of this. */
	if (sql->connected && sql->driver->run(sql, off, NULL) != STORE_OK)
		sql->driver->close(sql);
	return status;
}

/* ---- a database of a server ---- */

static enum store_status
create_database(struct sql *sql, struct err *err)
{
	struct buf text;
	enum store_status status;

	buf_init(&text, SQL_TEXT_MAX);
	(void)buf_append_string(&text, "CREATE DATABASE IF NOT EXISTS `");
	for (const char *p = sql->database; *p != '\0'; p++) {
		if (*p == '`')
			(void)buf_append_char(&text, '`');
		(void)buf_append_char(&text, *p);
	}
	(void)buf_append_char(&text, '`');
	if (buf_append_char(&text, '\0') == -1)
		status = sql_no_memory(err);
	else
		status = sql->driver->run(sql, text.p, err);
	buf_free(&text);
	/* Anew, this time with the database. */
	return status == STORE_OK ? sql->driver->open(sql, err) : status;
}

static enum store_status
check_packet(const struct sql *sql, size_t max_event_bytes, struct err *err)
{
	size_t least = max_event_bytes + ADD_ROW_BYTES;

	if (max_event_bytes == 0 || sql->statement_max >= least)
		return STORE_OK;
	(void)err_set(err,
	    "max_allowed_packet = %zu of the database server is too small for "
	    "maxBodyBytes: at least %zu",
	    sql->statement_max, least);
	return STORE_BROKEN;
}

/* ---- the check ---- */

static enum store_status
refuse_version(const struct sql *sql, int64_t version, struct err *err)
{
	if (sql->no_database)
		(void)err_set(err,
		    "there is no database %s; run cassatactl init-db",
		    sql->database);
	else if (version == 0)
		(void)err_set(
		    err, "the database has no tables; run cassatactl init-db");
	else if (version < STORE_SCHEMA_VERSION)
		(void)err_set(err,
		    "the schema has version %d, this program needs %d; "
		    "run cassatactl init-db",
		    (int)version, STORE_SCHEMA_VERSION);
	else
		(void)err_set(err,
		    "%s: has schema version %d, made by a newer program than "
		    "this one, which needs %d",
		    sql->target, (int)version, STORE_SCHEMA_VERSION);
	return STORE_BROKEN;
}

enum store_status
schema_check(
    struct sql *sql, bool create, size_t max_event_bytes, struct err *err)
{
	bool remote = sql->driver->remote;
	int64_t version = 0;
	enum store_status status;

	status = check_packet(sql, max_event_bytes, err);
	if (status == STORE_OK && sql->no_database && create)
		status = create_database(sql, err);
	if (status == STORE_OK && !sql->no_database)
		status = read_version(sql, &version, err);
	if (status == STORE_OK && (create || !remote) &&
	    version < STORE_SCHEMA_VERSION)
		status = remote ? migrate_server(sql, &version, err)
				: migrate_file(sql, &version, err);
	if (status != STORE_OK)
		return status;
	return version == STORE_SCHEMA_VERSION && !sql->no_database
		   ? check_tables(sql, err)
		   : refuse_version(sql, version, err);
}

enum store_status
schema_look(struct sql *sql, struct err *err)
{
	int64_t version = 0;
	enum store_status status = STORE_OK;

	if (!sql->no_database)
		status = read_version(sql, &version, err);
	if (status != STORE_OK)
		return status;
	return version == STORE_SCHEMA_VERSION && !sql->no_database
		   ? check_tables(sql, err)
		   : refuse_version(sql, version, err);
}
