/* SPDX-License-Identifier: ISC */
#include "table.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include <mysql.h>

#include "base/buf.h"
#include "sql/sql_url.h"

enum { COLUMNS = 15, SQL_MAX_BYTES = 1 << 20 };

struct table {
	const struct table_params *params;
	MYSQL *mysql;
	MYSQL_STMT *stmt;
	MYSQL_BIND *binds; /* COLUMNS for each row, one after the other */
	MYSQL_BIND *next;
};

static void
query(struct table *t, const char *sql)
{
	if (mysql_query(t->mysql, sql) != 0)
		errx(1, "%s: %s", sql, mysql_error(t->mysql));
}

static void
connect_to(struct table *t, const char *target)
{
	unsigned tcp = MYSQL_PROTOCOL_TCP;
	struct sql_place place;
	struct err reason;

	if (sql_describe(target, NULL, &place, &reason) == -1)
		errx(2, "%s", reason.text);
	t->mysql = mysql_init(NULL);
	if (t->mysql == NULL)
		errx(1, "out of memory");
	if (place.n_hosts > 0)
		(void)mysql_options(t->mysql, MYSQL_OPT_PROTOCOL, &tcp);
	if (mysql_real_connect(t->mysql, place.hosts[0].name, place.user,
		place.password, place.name, place.hosts[0].port, place.socket,
		0) == NULL)
		errx(1, "%s", mysql_error(t->mysql));
	sql_place_free(&place);
}

static void
prepare(struct table *t)
{
	struct buf sql;

	buf_init(&sql, SQL_MAX_BYTES);
	buf_append_string(&sql,
	    "INSERT INTO event (id, k, shard, status, attempts, owner, due_ms,"
	    " expiry_ms, created_ms, fingerprint, app, event_id, method, url,"
	    " headers, body, body_is_text, last_code, last_error) VALUES ");
	for (size_t i = 0; i < t->params->rows; i++)
		buf_printf(&sql,
		    "%s(?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0,"
		    " '')",
		    i == 0 ? "" : ", ");
	if (sql.failed)
		errx(
		    1, "a statement for %zu rows is too long", t->params->rows);
	t->stmt = mysql_stmt_init(t->mysql);
	if (t->stmt == NULL || mysql_stmt_prepare(t->stmt, sql.p, sql.len) != 0)
		errx(1, "%s", mysql_error(t->mysql));
	buf_free(&sql);
}

static struct table *
table_open(const struct table_params *params)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		err(1, NULL);
	t->params = params;
	t->binds = calloc(params->rows * COLUMNS, sizeof(*t->binds));
	if (t->binds == NULL)
		err(1, NULL);
	connect_to(t, params->target);
	prepare(t);
	return t;
}

static void
table_close(struct table *t)
{
	(void)mysql_stmt_close(t->stmt);
	mysql_close(t->mysql);
	free(t->binds);
	free(t);
}

/* A parameter is only read, though the library's type does not say so. */
static void
put(struct table *t, enum enum_field_types type, const void *value, size_t len)
{
	const union {
		const void *value;
		void *buffer;
	} borrowed = {.value = value};

	*t->next++ = (MYSQL_BIND){
	    .buffer_type = type,
	    .buffer = borrowed.buffer,
	    .buffer_length = len,
	};
}

static void
put_i64(struct table *t, const int64_t *value)
{
	put(t, MYSQL_TYPE_LONGLONG, value, sizeof(*value));
}

static void
put_int(struct table *t, const int *value)
{
	put(t, MYSQL_TYPE_LONG, value, sizeof(*value));
}

static void
put_bytes(struct table *t, struct slice bytes)
{
	put(t, MYSQL_TYPE_BLOB, bytes.p, bytes.len);
}

static void
put_row(struct table *t, const struct table_row *row)
{
	static const int yes = 1;
	struct slice key =
	    slice_of((const char *)row->key.bytes, EVENT_KEY_BYTES);

	put_i64(t, &row->id);
	put_bytes(t, key);
	put_int(t, &row->shard);
	put_int(t, &row->status);
	put_i64(t, &row->due_ms);
	put_i64(t, &row->due_ms); /* expiry */
	put_i64(t, &t->params->created_ms);
	put_bytes(t, key); /* fingerprint: as random */
	put_bytes(t, TABLE_APP);
	put_bytes(t, row->event_id);
	put_bytes(t, TABLE_METHOD);
	put_bytes(t, TABLE_URL);
	put_bytes(t, TABLE_HEADERS);
	put_bytes(t, t->params->body);
	put_int(t, &yes);
}

static void
table_begin(struct table *t)
{
	query(t, "BEGIN");
}

/* Outside of a transaction the statement commits itself. */
static void
table_insert(struct table *t, const struct table_row *rows)
{
	t->next = t->binds;
	for (size_t i = 0; i < t->params->rows; i++)
		put_row(t, &rows[i]);
	if (mysql_stmt_bind_param(t->stmt, t->binds) != 0 ||
	    mysql_stmt_execute(t->stmt) != 0)
		errx(1, "%s", mysql_stmt_error(t->stmt));
}

static void
table_commit(struct table *t)
{
	query(t, "COMMIT");
}

const struct table_ops table_mysql_ops = {
    .open = table_open,
    .close = table_close,
    .begin = table_begin,
    .insert = table_insert,
    .commit = table_commit,
};
