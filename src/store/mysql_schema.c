/* SPDX-License-Identifier: ISC */
#include "store/store_mysql.h"

#include <string.h>

#include "base/buf.h"

enum { STATEMENT_MAX_BYTES = 64 * 1024 };

/* 0 for a database without tables. */
static enum store_status
read_version(struct mysql_conn *c, int64_t *version, struct err *err)
{
	static const struct mysql_sql meta_exists = {
	    .head = "SELECT COUNT(*) FROM information_schema.tables"
		    " WHERE table_schema = DATABASE() AND table_name = 'meta'",
	    .columns = "i"};
	static const struct mysql_sql max_version = {
	    .head = "SELECT COALESCE(MAX(version), 0) FROM meta",
	    .columns = "i"};
	enum store_status status;

	status = mysql_conn_value(c, &meta_exists, version, err);
	if (status == STORE_OK && *version > 0)
		status = mysql_conn_value(c, &max_version, version, err);
	return status;
}

/* Statements end with ";" at the end of a line. */
static enum store_status
run_text(struct mysql_conn *c, const char *text, struct err *err)
{
	static const char end[] = ";\n";
	struct buf statement;
	enum store_status status = STORE_OK;

	buf_init(&statement, STATEMENT_MAX_BYTES);
	while (status == STORE_OK && *text != '\0') {
		const char *stop = strstr(text, end);
		size_t len =
		    stop == NULL ? strlen(text) : (size_t)(stop - text);

		buf_reset(&statement);
		(void)buf_append(&statement, text, len);
		if (buf_append_char(&statement, '\0') == -1)
			status = mysql_conn_no_memory(err);
		else
			status = mysql_conn_query(c, statement.p, err);
		text += stop == NULL ? len : len + strlen(end);
	}
	buf_free(&statement);
	return status;
}

static enum store_status
migrate(struct mysql_conn *c, int64_t version, struct err *err)
{
	static const struct mysql_sql record = {
	    .head = "INSERT IGNORE INTO meta (version) VALUES (?)"};
	enum store_status status = STORE_OK;
	const struct store_migration *m;

	for (m = mysql_migrations; status == STORE_OK && m->version > 0; m++) {
		if (m->version <= version)
			continue;
		status = run_text(c, m->text, err);
		if (status != STORE_OK)
			break;
		mysql_conn_i64(c, m->version);
		status = mysql_conn_exec(c, &record, 0, NULL, err);
	}
	return status;
}

/* One host at a time: the lock belongs to the server and to this connection. */
static enum store_status
migrate_locked(struct mysql_conn *c, int64_t *version, struct err *err)
{
	static const struct mysql_sql lock = {
	    .head = "SELECT COALESCE(GET_LOCK("
		    "CONCAT('cassata.', MD5(DATABASE())), ?), 0)",
	    .columns = "i"};
	static const struct mysql_sql unlock = {
	    .head = "DO RELEASE_LOCK(CONCAT('cassata.', MD5(DATABASE())))"};
	int64_t locked;
	enum store_status status;

	mysql_conn_i64(c, c->timeout_s);
	status = mysql_conn_value(c, &lock, &locked, err);
	if (status != STORE_OK)
		return status;
	if (locked == 0) {
		(void)err_set(err, "another host migrates this database");
		return STORE_UNAVAILABLE;
	}
	status = read_version(c, version, err);
	if (status == STORE_OK)
		status = migrate(c, *version, err);
	if (status == STORE_OK)
		status = read_version(c, version, err);
	if (c->base.connected)
		(void)mysql_conn_exec(c, &unlock, 0, NULL, NULL);
	return status;
}

static enum store_status
create_database(struct mysql_conn *c, struct err *err)
{
	struct buf text;
	enum store_status status;

	buf_init(&text, STATEMENT_MAX_BYTES);
	(void)buf_append_string(&text, "CREATE DATABASE IF NOT EXISTS `");
	for (const char *p = c->place.name; *p != '\0'; p++) {
		if (*p == '`')
			(void)buf_append_char(&text, '`');
		(void)buf_append_char(&text, *p);
	}
	(void)buf_append_char(&text, '`');
	if (buf_append_char(&text, '\0') == -1)
		status = mysql_conn_no_memory(err);
	else
		status = mysql_conn_query(c, text.p, err);
	buf_free(&text);
	/* Anew, this time with the database. */
	return status == STORE_OK ? mysql_conn_open(c, err) : status;
}

static enum store_status
check_packet(const struct mysql_conn *c, struct err *err)
{
	size_t least = c->max_event_bytes + MYSQL_ROW_BYTES;

	if (c->max_event_bytes == 0 || c->max_packet >= least)
		return STORE_OK;
	(void)err_set(err,
	    "max_allowed_packet = %zu of the database server is too small for "
	    "maxBodyBytes: at least %zu",
	    c->max_packet, least);
	return STORE_BROKEN;
}

enum store_status
mysql_check(struct store_backend *backend, bool create, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(backend);
	int64_t version = 0;
	enum store_status status;

	status = check_packet(c, err);
	if (status == STORE_OK && c->no_database && create)
		status = create_database(c, err);
	if (status == STORE_OK && !c->no_database)
		status = read_version(c, &version, err);
	if (status == STORE_OK && create && version < STORE_SCHEMA_VERSION)
		status = migrate_locked(c, &version, err);
	if (status != STORE_OK || version == STORE_SCHEMA_VERSION)
		return status;
	if (c->no_database)
		(void)err_set(err,
		    "there is no database %s; run cassatactl init-db",
		    c->place.name);
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
		    "the schema has version %d, made by a newer program than "
		    "this one, which needs %d",
		    (int)version, STORE_SCHEMA_VERSION);
	return STORE_BROKEN;
}
