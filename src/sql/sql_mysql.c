/* SPDX-License-Identifier: ISC */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sql/sql_mysql.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "sql/mysql_beside.h"
#include "sql/mysql_cluster.h"
#include "sql/mysql_open.h"

enum {
	COLUMN_MIN_BYTES = 256,
};

static void
mysql_conn_fini(struct mysql_conn *c)
{
	mysql_beside_free(&c->beside);
	mysql_conn_close(c);
	mysql_conn_free_columns(c);
	if (c->password != NULL)
		explicit_bzero(c->password, strlen(c->password));
	free(c->password);
	mysql_trust_fini(&c->trust);
	sql_place_free(&c->place);
}

/* ---- statements ---- */

static void
bind_arg(struct sql_arg *arg, MYSQL_BIND *bind)
{
	/* The library only reads. */
	const union {
		const char *p;
		void *buffer;
	} borrowed = {.p = arg->bytes.p};

	*bind = (MYSQL_BIND){0};
	if (arg->type == SQL_BYTES) {
		bind->buffer_type = MYSQL_TYPE_BLOB;
		bind->buffer = borrowed.buffer;
		bind->buffer_length = arg->bytes.len;
		return;
	}
	bind->buffer_type = MYSQL_TYPE_LONGLONG;
	bind->buffer = &arg->number;
	bind->is_unsigned = (mysql_flag)(arg->type == SQL_U64);
}

static struct mysql_prepared *
prepare_mysql(struct mysql_conn *c, const struct sql_text *sql, unsigned arity,
    enum store_status *status, struct err *err)
{
	struct mysql_prepared *p = calloc(1, sizeof(*p));
	struct buf text;

	if (c->n_prepared == MYSQL_PREPARED_MAX)
		mysql_conn_forget(
		    c, TAILQ_LAST(&c->prepared, mysql_prepared_list));
	buf_init(&text, SQL_TEXT_MAX);
	(void)sql_write_text(sql, arity, &text);
	if (p != NULL)
		p->stmt = mysql_stmt_init(c->mysql);
	if (p == NULL || p->stmt == NULL || text.failed) {
		*status = sql_no_memory(err);
		goto fail;
	}
	if (mysql_stmt_prepare(p->stmt, text.p, text.len) != 0) {
		*status = mysql_conn_stmt_failed(c, p->stmt, err);
		goto fail;
	}
	buf_free(&text);
	p->sql = sql;
	p->arity = arity;
	TAILQ_INSERT_HEAD(&c->prepared, p, entry);
	c->n_prepared++;
	return p;
fail:
	if (p != NULL && p->stmt != NULL)
		(void)mysql_stmt_close(p->stmt);
	free(p);
	buf_free(&text);
	return NULL;
}

/* Finds or makes the statement, binds the arguments, runs it. */
static enum store_status
execute(struct mysql_conn *c, const struct sql_text *sql, unsigned arity,
    MYSQL_STMT **stmt, struct err *err)
{
	enum store_status status = STORE_OK;
	struct mysql_prepared *p;
	unsigned n_args = c->sql.n_args;

	mysql_conn_end_rows(c);
	TAILQ_FOREACH(p, &c->prepared, entry)
		if (p->sql == sql && p->arity == arity)
			break;
	if (p == NULL)
		p = prepare_mysql(c, sql, arity, &status, err);
	if (p == NULL)
		return status;
	TAILQ_REMOVE(&c->prepared, p, entry);
	TAILQ_INSERT_HEAD(&c->prepared, p, entry);
	if (mysql_stmt_param_count(p->stmt) != n_args)
		return sql_nonsense(
		    &c->sql, "another number of parameters", err);
	for (unsigned i = 0; i < n_args; i++)
		bind_arg(&c->sql.args[i], &c->args[i]);
	if ((n_args > 0 && mysql_stmt_bind_param(p->stmt, c->args) != 0) ||
	    mysql_stmt_execute(p->stmt) != 0)
		return mysql_conn_stmt_failed(c, p->stmt, err);
	*stmt = p->stmt;
	return STORE_OK;
}

static enum store_status
mysql_exec(struct sql *sql, const struct sql_text *text, unsigned arity,
    uint64_t *affected, struct err *err)
{
	MYSQL_STMT *stmt = NULL;
	enum store_status status =
	    execute(mysql_conn_of(sql), text, arity, &stmt, err);

	if (status == STORE_OK && affected != NULL)
		*affected = mysql_stmt_affected_rows(stmt);
	return status;
}

/* ---- rows ---- */

static int
grow_column(struct mysql_conn *c, unsigned i, size_t len)
{
	size_t size = COLUMN_MIN_BYTES;
	char *bytes;

	while (size < len)
		size *= 2;
	bytes = realloc(c->column_bytes[i], size);
	if (bytes == NULL)
		return -1;
	c->column_bytes[i] = bytes;
	c->column_size[i] = size;
	c->columns[i].buffer = bytes;
	c->columns[i].buffer_length = size;
	return 0;
}

static int
describe_columns(struct mysql_conn *c, const char *columns)
{
	c->n_columns = (unsigned)strlen(columns);
	check(c->n_columns <= MYSQL_COLUMNS_MAX);
	for (unsigned i = 0; i < c->n_columns; i++) {
		MYSQL_BIND *column = &c->columns[i];

		*column = (MYSQL_BIND){0};
		column->is_null = &c->column_null[i];
		if (columns[i] != 'b') {
			column->buffer_type = MYSQL_TYPE_LONGLONG;
			column->buffer = &c->column_values[i];
			if (columns[i] == 'u')
				column->is_unsigned = 1;
			continue;
		}
		column->buffer_type = MYSQL_TYPE_BLOB;
		column->length = &c->column_len[i];
		column->buffer = c->column_bytes[i];
		column->buffer_length = c->column_size[i];
		if (column->buffer == NULL &&
		    grow_column(c, i, COLUMN_MIN_BYTES) == -1)
			return -1;
	}
	return 0;
}

static enum store_status
mysql_select(struct sql *sql, const struct sql_text *text, unsigned arity,
    struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	MYSQL_STMT *stmt = NULL;
	enum store_status status = execute(c, text, arity, &stmt, err);

	if (status != STORE_OK)
		return status;
	c->active = stmt;
	c->n_rows = 0;
	c->columns_moved = false;
	if (describe_columns(c, text->columns) == -1)
		return sql_no_memory(err);
	/* As many are bound, whatever the array holds. */
	if (mysql_stmt_field_count(stmt) != c->n_columns)
		return sql_nonsense(&c->sql, "another number of columns", err);
	if (mysql_stmt_bind_result(stmt, c->columns) != 0)
		return mysql_conn_stmt_failed(c, stmt, err);
	return STORE_OK;
}

/* Checks the row; reads the columns that their buffers were too small for. */
static enum store_status
take_row(struct mysql_conn *c, struct err *err)
{
	if (++c->n_rows > SQL_RESULT_ROWS_MAX)
		return sql_nonsense(&c->sql, "a result without an end", err);
	for (unsigned i = 0; i < c->n_columns; i++) {
		MYSQL_BIND *column = &c->columns[i];

		if (c->column_null[i] != 0 ||
		    column->buffer_type != MYSQL_TYPE_BLOB ||
		    c->column_len[i] <= column->buffer_length)
			continue;
		if (c->column_len[i] > SQL_BYTES_MAX)
			return sql_nonsense(
			    &c->sql, "a column longer than any", err);
		if (grow_column(c, i, c->column_len[i]) == -1)
			return sql_no_memory(err);
		if (mysql_stmt_fetch_column(c->active, column, i, 0) != 0)
			return mysql_conn_stmt_failed(c, c->active, err);
		c->columns_moved = true;
	}
	return STORE_OK;
}

/* Whether none of what was read of the row was NULL. */
static enum store_status
check_nulls(struct mysql_conn *c, struct err *err)
{
	MYSQL_RES *columns;

	if (c->null_read == 0)
		return STORE_OK;
	columns = mysql_stmt_result_metadata(c->active);
	(void)err_set(err, "%s is NULL",
	    columns == NULL
		? "a column"
		: mysql_fetch_field_direct(columns, c->null_read - 1)->name);
	mysql_free_result(columns);
	return STORE_BROKEN;
}

static enum store_status
mysql_row_check(struct sql *sql, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	enum store_status status = check_nulls(c, err);

	c->null_read = 0;
	return status;
}

static bool
mysql_next_row(struct sql *sql, enum store_status *status, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	struct err reason;

	*status = check_nulls(c, &reason);
	if (*status != STORE_OK) {
		(void)err_set(
		    err, "%s: a row is damaged: %s", sql->target, reason.text);
		mysql_conn_end_rows(c);
		return false;
	}
	/* Not earlier: some libraries set the lengths to zero here. */
	if (c->columns_moved &&
	    mysql_stmt_bind_result(c->active, c->columns) != 0) {
		*status = mysql_conn_stmt_failed(c, c->active, err);
		return false;
	}
	c->columns_moved = false;
	switch (mysql_stmt_fetch(c->active)) {
	case 0:
	case MYSQL_DATA_TRUNCATED:
		*status = take_row(c, err);
		return *status == STORE_OK;
	case MYSQL_NO_DATA:
		mysql_conn_end_rows(c);
		return false;
	default:
		*status = mysql_conn_stmt_failed(c, c->active, err);
		return false;
	}
}

/* What stays unread looks like the end of the connection. */
static enum store_status
mysql_done(struct sql *sql, struct err *err)
{
	enum store_status status = STORE_OK;

	while (mysql_conn_of(sql)->active != NULL &&
	       mysql_next_row(sql, &status, err))
		;
	return status;
}

static void
mysql_drop(struct sql *sql)
{
	mysql_conn_end_rows(mysql_conn_of(sql));
}

/* No column of ours has NULL: where one does after all it is 0 or empty. */
static bool
reads_null(struct mysql_conn *c, unsigned column)
{
	if (c->column_null[column] == 0)
		return false;
	if (c->null_read == 0)
		c->null_read = column + 1;
	return true;
}

static int64_t
mysql_read_i64(struct sql *sql, unsigned column)
{
	struct mysql_conn *c = mysql_conn_of(sql);

	return reads_null(c, column) ? 0 : c->column_values[column];
}

static struct slice
mysql_read_bytes(struct sql *sql, unsigned column)
{
	struct mysql_conn *c = mysql_conn_of(sql);

	return reads_null(c, column) ? SLICE_LITERAL("")
				  : slice_of(c->column_bytes[column],
					c->column_len[column]);
}

static enum store_status
mysql_run_text(struct sql *sql, const char *text, struct err *err)
{
	return mysql_conn_query(mysql_conn_of(sql), text, err);
}

static enum store_status
mysql_ping_server(struct sql *sql, struct err *err)
{
	return mysql_run_text(sql, "DO 1", err);
}

/* ---- transactions ---- */

static enum store_status
mysql_begin(struct sql *sql, struct err *err)
{
	return mysql_run_text(sql, "START TRANSACTION", err);
}

static enum store_status
mysql_end(struct sql *sql, enum store_status status, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	bool again;

	if (status == STORE_OK)
		status = mysql_conn_query(c, "COMMIT", err);
	if (status == STORE_OK || !sql->connected)
		return status;
	again = sql->again;
	/* A cluster may have taken it back already, and says so of this. */
	if (mysql_conn_query(c, "ROLLBACK", NULL) != STORE_OK && !sql->again)
		mysql_conn_close(c);
	/* The limit is not what it was. */
	if (sql->too_large && sql->connected)
		(void)mysql_cluster_ask(sql, NULL);
	sql->again = again && sql->connected;
	return status;
}

/* ---- life ---- */

/* Not all processes at once, nor all of them soon. */
static void
plan_return(struct mysql_conn *c, int64_t now_ms)
{
	uint32_t random = 0;

	(void)!getentropy(&random, sizeof(random));
	c->return_at_ms =
	    now_ms + c->return_after_ms + random % (c->return_after_ms + 1);
}

/* Between two transactions: to a server that is to be preferred. */
static void
go_back(struct mysql_conn *c)
{
	int64_t now_ms;

	if (c->beside != NULL) {
		if (mysql_beside_end(&c->beside, c))
			plan_return(c, clock_mono_ms());
		return;
	}
	if (c->host == 0 || c->return_after_ms == 0)
		return;
	now_ms = clock_mono_ms();
	if (now_ms < c->return_at_ms)
		return;
	plan_return(c, now_ms);
	c->beside = mysql_beside_start(c);
}

static bool
mysql_alive(struct sql *sql)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	struct pollfd socket = {.events = POLLIN};

	/* On whatever thread it runs. Does nothing the second time; fails
	 * without memory only. */
	(void)mysql_thread_init();
	go_back(c);
	socket.fd = mysql_conn_socket(c);
	return poll(&socket, 1, 0) == 0;
}

static void
append_reason(struct err *all, const char *text)
{
	size_t len = strlen(all->text);
	size_t n = strnlen(text, sizeof(all->text) - 1 - len);

	memcpy(all->text + len, text, n);
	all->text[len + n] = '\0';
}

/* Behind those of the servers before it. */
static void
add_reason(const struct mysql_conn *c, unsigned i, const struct err *reason,
    struct err *all)
{
	char where[SQL_WHERE_BYTES];

	if (c->rotation.n > 1) {
		sql_host_show(mysql_conn_server(c, i), where);
		append_reason(all, all->text[0] == '\0' ? "" : "; ");
		append_reason(all, where);
		append_reason(all, ": ");
	}
	append_reason(all, reason->text);
}

/*
 * A round of the servers. One that takes too long for this call is gone on with
 * by the next, at once.
 */
static enum store_status
mysql_open(struct sql *sql, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	int64_t now_ms = clock_mono_ms();
	int64_t end_ms = now_ms + c->connect_timeout_ms;
	unsigned tried = 0, n_tried = 0, n_broken = 0;
	struct err reason, all = {""};
	int i;

	(void)mysql_thread_init();
	while ((i = rotation_next(&c->rotation, tried, now_ms)) != -1 &&
	       (tried == 0 || now_ms < end_ms)) {
		enum store_status status =
		    mysql_open_one(c, (unsigned)i, &reason);

		if (status == STORE_OK) {
			plan_return(c, clock_mono_ms());
			return STORE_OK;
		}
		add_reason(c, (unsigned)i, &reason, &all);
		tried |= 1U << i;
		n_tried++;
		n_broken += status == STORE_BROKEN;
		now_ms = clock_mono_ms();
	}
	(void)err_set(err, "%s", all.text);
	sql->elsewhere = rotation_has_good(&c->rotation, now_ms);
	return n_broken == n_tried && n_broken == c->rotation.n
		   ? STORE_BROKEN
		   : STORE_UNAVAILABLE;
}

static unsigned
seconds(int64_t ms)
{
	return ms <= 1000 ? 1 : (unsigned)((ms + 999) / 1000);
}

static void
mysql_destroy(struct sql *sql)
{
	(void)mysql_thread_init();
	mysql_conn_fini(mysql_conn_of(sql));
	free(sql);
	mysql_thread_end();
}

static int
mysql_create(
    const struct store_params *params, struct sql **sql, struct err *err)
{
	struct mysql_conn *c;

	if (mysql_library_init(0, NULL, NULL) != 0)
		return err_set(err, "cannot start the MySQL client library");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_errno(err, "cannot make the store");
	TAILQ_INIT(&c->prepared);
	c->timeout_s = seconds(params->timeout_ms);
	c->sql.driver = &sql_mysql;
	c->sql.timeout_ms = (int64_t)c->timeout_s * 1000;
	if (sql_describe(params->url, NULL, &c->place, err) == -1 ||
	    mysql_trust_init(&c->trust, params, &c->place, err) == -1)
		goto fail;
	if (params->password != NULL) {
		c->password = strdup(params->password);
		if (c->password == NULL) {
			(void)err_errno(err, "cannot make the store");
			goto fail;
		}
	}
	c->rotation.n = c->place.n_hosts == 0 ? 1 : c->place.n_hosts;
	/* So that there is time for the next one. */
	c->connect_timeout_ms = params->connect_timeout_ms;
	c->return_after_ms = params->return_after_ms;
	c->connect_timeout_s =
	    seconds(c->connect_timeout_ms / (c->rotation.n > 1 ? 2 : 1));
	mysql_conn_show(c, c->place.n_hosts == 1 ? &c->place.hosts[0] : NULL);
	c->sql.database = c->place.name;
	*sql = &c->sql;
	return 0;
fail:
	mysql_conn_fini(c);
	free(c);
	return -1;
}

static void
mysql_close_conn(struct sql *sql)
{
	/* One without a database has just made it. */
	if (sql->connected && !sql->no_database)
		mysql_conn_note_loss(mysql_conn_of(sql));
	mysql_conn_close(mysql_conn_of(sql));
}

const struct sql_driver sql_mysql = {
    .scheme = "mysql",
    .kind = SQL_MYSQL,
    .rows_max = SQL_ROWS_MAX,
    .ids_max = SQL_IDS_MAX,
    .remote = true,
    .create = mysql_create,
    .destroy = mysql_destroy,
    .open = mysql_open,
    .close = mysql_close_conn,
    .alive = mysql_alive,
    .ping = mysql_ping_server,
    .catch_up = mysql_cluster_catch_up,
    .exec = mysql_exec,
    .select = mysql_select,
    .next = mysql_next_row,
    .done = mysql_done,
    .drop = mysql_drop,
    .row_check = mysql_row_check,
    .read_i64 = mysql_read_i64,
    .read_bytes = mysql_read_bytes,
    .run = mysql_run_text,
    .begin = mysql_begin,
    .end = mysql_end,
};
