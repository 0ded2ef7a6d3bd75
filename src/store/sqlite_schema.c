/* SPDX-License-Identifier: ISC */
#include "store/sqlite_schema.h"

#include <stdio.h>

#include "store/sqlite_query.h"

static enum store_status
count_tables(
    struct sqlite_conn *c, int64_t *all, int64_t *meta, struct err *err)
{
	static const char sql[] =
	    "SELECT count(*), coalesce(sum(name = 'meta'), 0)"
	    " FROM sqlite_master WHERE type = 'table'";
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	bool row;

	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	*all = sqlite_read_int(&q);
	*meta = sqlite_read_int(&q);
	return sqlite_query_done(&q, err);
}

/* What our tables are called may be something that runs code: a view, or a
 * module's table, which has no page of its own. */
static enum store_status
check_tables(struct sqlite_conn *c, struct err *err)
{
	static const char sql[] =
	    "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
	    " AND rootpage > 0 AND name IN"
	    " ('meta', 'event', 'attempt', 'lease', 'instance')";
	enum { N_TABLES = 5 };
	struct sqlite_query q = sqlite_query_start(c, sql);
	enum store_status status;
	int64_t n;
	bool row;

	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	n = sqlite_read_int(&q);
	status = sqlite_query_done(&q, err);
	if (status != STORE_OK || n == N_TABLES)
		return status;
	(void)err_set(
	    err, "%s: does not have the tables that we made", c->path);
	return STORE_BROKEN;
}

/* 0 for an empty file. */
static enum store_status
read_version(struct sqlite_conn *c, int64_t *version, struct err *err)
{
	static const char sql[] =
	    "SELECT value FROM meta WHERE name = 'schema_version'";
	struct sqlite_query q;
	enum store_status status;
	int64_t n_tables = 0, n_meta = 0;
	bool row;

	*version = 0;
	status = count_tables(c, &n_tables, &n_meta, err);
	if (status != STORE_OK || n_tables == 0)
		return status;
	if (n_meta == 1) {
		q = sqlite_query_start(c, sql);
		status = sqlite_query_step(&q, &row, err);
		if (status != STORE_OK)
			return status;
		if (row) {
			*version = sqlite_read_int(&q);
			status = sqlite_query_done(&q, err);
			if (status != STORE_OK)
				return status;
		}
	}
	if (*version > 0)
		return STORE_OK;
	(void)err_set(err, "%s: holds the tables of another program", c->path);
	return STORE_BROKEN;
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
migrate_from(struct sqlite_conn *c, int64_t version, struct err *err)
{
	const struct store_migration *m;
	enum store_status status = STORE_OK;
	char set_version[80];

	for (m = sqlite_migrations; m->version != 0; m++) {
		if (m->version <= version)
			continue;
		(void)snprintf(set_version, sizeof(set_version),
		    "REPLACE INTO meta VALUES ('schema_version', %d)",
		    m->version);
		status = sqlite_conn_exec(c, m->text, err);
		if (status == STORE_OK)
			status = sqlite_conn_exec(c, set_version, err);
		if (status != STORE_OK) {
			say_which(m->version, err);
			break;
		}
	}
	return status;
}

/* A migration holds all rows against the checks that it brings. */
static enum store_status
mind_checks(struct sqlite_conn *c, bool mind, struct err *err)
{
	return sqlite_conn_exec(c,
	    mind ? "PRAGMA ignore_check_constraints = OFF"
		 : "PRAGMA ignore_check_constraints = ON",
	    err);
}

static enum store_status
migrate(struct sqlite_conn *c, struct err *err)
{
	enum store_status status = sqlite_conn_begin(c, err);
	int64_t version;

	if (status != STORE_OK)
		return status;
	status = mind_checks(c, true, err);
	/* Again: another process may have been first. */
	if (status == STORE_OK)
		status = read_version(c, &version, err);
	if (status == STORE_OK)
		status = migrate_from(c, version, err);
	status = sqlite_conn_end(c, status, err);
	return status == STORE_OK ? mind_checks(c, false, err) : status;
}

enum store_status
sqlite_schema_check(struct sqlite_conn *c, struct err *err)
{
	enum store_status status;
	int64_t version;

	status = read_version(c, &version, err);
	if (status == STORE_OK && version < STORE_SCHEMA_VERSION)
		status = migrate(c, err);
	if (status == STORE_OK && version <= STORE_SCHEMA_VERSION)
		status = check_tables(c, err);
	if (status != STORE_OK || version <= STORE_SCHEMA_VERSION)
		return status;
	(void)err_set(err, "%s: has schema version %lld, this program knows %d",
	    c->path, (long long)version, STORE_SCHEMA_VERSION);
	return STORE_BROKEN;
}
