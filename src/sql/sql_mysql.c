/* SPDX-License-Identifier: ISC */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sql/sql_mysql.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <errmsg.h>
#include <mysqld_error.h>

#include "base/buf.h"
#include "base/check.h"

/* Of the server's file functions, which have no header for clients. */
enum {
	SERVER_WRITE_FAILED = 3,
	SERVER_DISK_FULL = 20,
};

/* Known to one of MySQL and MariaDB only, so not in the header of the other. */
enum {
	MARIADB_CONNECTION_KILLED = 1927,
	DISK_FULL = 1021,
	MARIADB_STATEMENT_TIMEOUT = 1969,
	MYSQL_STATEMENT_TIMEOUT = 3024,
	MYSQL_CERTIFICATION_FAILED = 3101,
	MYSQL_IDLE_TIMEOUT = 4031,
	MARIADB_CLIENT_MIN = 5000,
	MARIADB_CLIENT_MAX = 5999,
};

enum {
	COLUMN_MIN_BYTES = 256,
	IDLE_MIN_S = 60,
	/* Of a packet, either way: a row with the largest body. */
	PACKET_MAX_BYTES = SQL_BYTES_MAX + 1024 * 1024,
};

struct mysql_prepared {
	const struct sql_text *sql;
	unsigned arity;
	MYSQL_STMT *stmt;
	TAILQ_ENTRY(mysql_prepared) entry;
};

enum failure {
	FAILURE_AGAIN,  /* the transaction lost against another one */
	FAILURE_PASSES, /* resources, interruption */
	FAILURE_LOST,   /* this connection is of no use any more */
	FAILURE_STAYS,
};

/* Of the client library: the connection or what was said on it is broken. */
static bool
is_client_error(unsigned code)
{
	return code == 0 || (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) ||
	       (code >= MARIADB_CLIENT_MIN && code <= MARIADB_CLIENT_MAX);
}

static enum failure
classify(unsigned code)
{
	switch (code) {
	case ER_LOCK_DEADLOCK: /* also Galera's failed certification */
	case ER_LOCK_WAIT_TIMEOUT:
	case ER_CHECKREAD:
	case ER_TABLE_DEF_CHANGED:
	case ER_NEED_REPREPARE:
	case MYSQL_CERTIFICATION_FAILED:
		return FAILURE_AGAIN;
	case DISK_FULL:
	case ER_OUTOFMEMORY:
	case ER_OUT_OF_RESOURCES:
	case ER_RECORD_FILE_FULL:
	case ER_ERROR_DURING_COMMIT:
	case ER_LOCK_TABLE_FULL:
	case ER_QUERY_INTERRUPTED:
	case MARIADB_STATEMENT_TIMEOUT:
	case MYSQL_STATEMENT_TIMEOUT:
		return FAILURE_PASSES;
	case ER_CON_COUNT_ERROR:
	case ER_TOO_MANY_USER_CONNECTIONS:
	case ER_USER_LIMIT_REACHED:
	case ER_UNKNOWN_COM_ERROR: /* Galera: this node is not in the cluster */
	case ER_SERVER_SHUTDOWN:
	case ER_NEW_ABORTING_CONNECTION:
	case ER_NET_PACKETS_OUT_OF_ORDER:
	case ER_NET_READ_ERROR:
	case ER_NET_READ_INTERRUPTED:
	case ER_NET_ERROR_ON_WRITE:
	case ER_NET_WRITE_INTERRUPTED:
	case ER_UNKNOWN_STMT_HANDLER:
	case ER_MAX_PREPARED_STMT_COUNT_REACHED:
	case MARIADB_CONNECTION_KILLED:
	case MYSQL_IDLE_TIMEOUT:
	/* Read-only: after a fail-over the name leads to another server. */
	case ER_OPTION_PREVENTS_STATEMENT:
	case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
	case ER_READ_ONLY_MODE:
		return FAILURE_LOST;
	case CR_AUTH_PLUGIN_CANNOT_LOAD:
	case CR_AUTH_PLUGIN_ERR:
		return FAILURE_STAYS;
	default:
		return is_client_error(code) ? FAILURE_LOST : FAILURE_STAYS;
	}
}

/* Want of room on the server's disk. */
static bool
is_full(unsigned code, const char *text)
{
	switch (code) {
	case DISK_FULL:
	case ER_RECORD_FILE_FULL:
	case ER_ERROR_ON_WRITE:
	case SERVER_WRITE_FAILED:
	case SERVER_DISK_FULL:
		return true;
	case ER_GET_ERRNO: /* of a storage engine; 28 is ENOSPC */
		return strstr(text, "error 28 ") != NULL;
	default:
		return false;
	}
}

static const char *
hint(unsigned code)
{
	switch (code) {
	case ER_NO_DB_ERROR:
	case ER_BAD_DB_ERROR:
	case ER_NO_SUCH_TABLE:
	case ER_BAD_FIELD_ERROR:
		return "; run cassatactl init-db";
	default:
		return "";
	}
}

static enum store_status
mysql_fail(
    struct mysql_conn *c, unsigned code, const char *text, struct err *err)
{
	bool full = is_full(code, text);
	enum failure failure = full ? FAILURE_PASSES : classify(code);

	(void)err_set(err, "%s (error %u)%s", text, code, hint(code));
	c->sql.again = failure == FAILURE_AGAIN;
	c->sql.full |= full;
	/* text may be inside; the database may exist at the next connect */
	if (failure == FAILURE_LOST || code == ER_NO_DB_ERROR)
		mysql_conn_close(c);
	return failure == FAILURE_STAYS ? STORE_BROKEN : STORE_UNAVAILABLE;
}

static enum store_status
fail_conn(struct mysql_conn *c, struct err *err)
{
	return mysql_fail(c, mysql_errno(c->mysql), mysql_error(c->mysql), err);
}

static enum store_status
fail_stmt(struct mysql_conn *c, MYSQL_STMT *stmt, struct err *err)
{
	/* MariaDB's library keeps what ends a result with the connection. */
	if (mysql_stmt_errno(stmt) == 0)
		return fail_conn(c, err);
	return mysql_fail(
	    c, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), err);
}

/* ---- connection ---- */

struct mysql_conn *
mysql_conn_of(struct sql *sql)
{
	return (struct mysql_conn *)sql;
}

static void
set_options(struct mysql_conn *c)
{
	/* Longer than the server waits for a lock, to hear its answer. */
	unsigned io_timeout_s = c->timeout_s + 1;
	unsigned no_local_files = 0;
	unsigned long max_bytes = PACKET_MAX_BYTES;
	unsigned protocol =
	    c->place.n_hosts == 0 ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
	const struct {
		enum mysql_option option;
		const void *value;
	} options[] = {
	    {MYSQL_OPT_CONNECT_TIMEOUT, &c->connect_timeout_s},
	    {MYSQL_OPT_READ_TIMEOUT, &io_timeout_s},
	    {MYSQL_OPT_WRITE_TIMEOUT, &io_timeout_s},
	    {MYSQL_OPT_LOCAL_INFILE, &no_local_files},
	    {MYSQL_OPT_MAX_ALLOWED_PACKET, &max_bytes},
	    /* The name "localhost" would silently mean a Unix socket. */
	    {MYSQL_OPT_PROTOCOL, &protocol},
	    {MYSQL_SET_CHARSET_NAME, "utf8mb4"},
	};

	/* It fails for an option it does not know; these are as old as 5.7. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)mysql_options(
		    c->mysql, options[i].option, options[i].value);
}

/* Only there with sanitizers. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
extern void __lsan_ignore_object(const void *object) __attribute__((weak));

/*
 * Of a server whose first packet reports progress, MariaDB's library asks
 * whether it is a MariaDB, by a version that it has not told yet: a NULL. The
 * library frees what we lend unless the server tells one; then these few bytes
 * are lost, once per connection, for nothing tells which of both it was.
 */
static void
lend_version(MYSQL *mysql)
{
#ifdef LIBMARIADB
	mysql->server_version = strdup("");
	if (__lsan_ignore_object != NULL && mysql->server_version != NULL)
		__lsan_ignore_object(mysql->server_version);
#else
	(void)mysql;
#endif
}

/* A handle that failed to connect forgets its options: each try has its own. */
static enum store_status
try_connect(struct mysql_conn *c, const struct sql_host *host,
    const char *database, struct err *err)
{
	const char *password =
	    c->password == NULL ? c->place.password : c->password;
	struct err reason;
	unsigned code;

	mysql_conn_close(c);
	c->mysql = mysql_init(NULL);
	if (c->mysql == NULL)
		return sql_no_memory(err);
	set_options(c);
	lend_version(c->mysql);
	if (mysql_trust_ask(&c->trust, host, c->mysql, err) == -1)
		return STORE_BROKEN;
	if (mysql_real_connect(c->mysql, host == NULL ? NULL : host->name,
		c->place.user, password, database,
		host == NULL ? 0 : host->port, c->place.socket, 0) != NULL)
		return mysql_trust_check(&c->trust, host, c->mysql, err) == 0
			   ? STORE_OK
			   : STORE_UNAVAILABLE;
	code = mysql_errno(c->mysql);
	c->sql.no_database = code == ER_BAD_DB_ERROR;
	mysql_trust_explain(
	    &c->trust, host, code, mysql_error(c->mysql), &reason);
	return mysql_fail(c, code, reason.text, err);
}

/* A result that was not read to its end is in the way of the next statement. */
static void
mysql_end_rows(struct mysql_conn *c)
{
	if (c->active != NULL)
		(void)mysql_stmt_free_result(c->active);
	c->active = NULL;
}

static enum store_status
mysql_query_text(struct mysql_conn *c, const char *text, struct err *err)
{
	mysql_end_rows(c);
	return mysql_query(c->mysql, text) == 0 ? STORE_OK : fail_conn(c, err);
}

static enum store_status
set_up_session(struct mysql_conn *c, struct err *err)
{
	static const struct sql_text max_packet = {
	    .head = "SELECT @@max_allowed_packet", .columns = "i"};
	char text[512];
	int64_t bytes = 0;
	enum store_status status;

	/*
	 * Who is stopped amid a transaction keeps its locks until the server
	 * ends it. MySQL can end idle connections only: not so soon that one
	 * with little to do would be made anew for each request.
	 */
	(void)snprintf(text, sizeof(text),
	    "SET SESSION autocommit = 1, time_zone = '+00:00', "
	    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
	    "innodb_lock_wait_timeout = %u, lock_wait_timeout = %u"
	    " /*M!100300 , idle_transaction_timeout = %u */"
	    " /*!50700 , wait_timeout = %u */", /* unseen by MariaDB */
	    c->timeout_s, c->timeout_s, c->timeout_s,
	    c->timeout_s < IDLE_MIN_S ? IDLE_MIN_S : c->timeout_s);
	status = mysql_query_text(c, text, err);
	if (status == STORE_OK)
		status = mysql_query_text(c,
		    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		    err);
	if (status == STORE_OK)
		status = sql_value(&c->sql, &max_packet, &bytes, err);
	if (status != STORE_OK)
		return status;
	if (bytes < 0)
		return sql_nonsense(&c->sql, "max_allowed_packet", err);
	c->sql.statement_max =
	    bytes < PACKET_MAX_BYTES ? (size_t)bytes : PACKET_MAX_BYTES;
	return STORE_OK;
}

static void
forget_statement(struct mysql_conn *c, struct mysql_prepared *p)
{
	TAILQ_REMOVE(&c->prepared, p, entry);
	c->n_prepared--;
	(void)mysql_stmt_close(p->stmt);
	free(p);
}

void
mysql_conn_close(struct mysql_conn *c)
{
	struct mysql_prepared *p, *next;

	c->sql.connected = false;
	c->active = NULL;
	c->sql.lease_owner = 0;
	/* First: the statements then need no word to the server. */
	if (c->mysql != NULL)
		mysql_close(c->mysql);
	c->mysql = NULL;
	for (p = TAILQ_FIRST(&c->prepared); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		forget_statement(c, p);
	}
}

static void
mysql_conn_fini(struct mysql_conn *c)
{
	mysql_conn_close(c);
	for (unsigned i = 0; i < MYSQL_COLUMNS_MAX; i++)
		free(c->column_bytes[i]);
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
	bind->is_unsigned = arg->type == SQL_U64;
}

static struct mysql_prepared *
prepare_mysql(struct mysql_conn *c, const struct sql_text *sql, unsigned arity,
    enum store_status *status, struct err *err)
{
	struct mysql_prepared *p = calloc(1, sizeof(*p));
	struct buf text;

	if (c->n_prepared == MYSQL_PREPARED_MAX)
		forget_statement(
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
		*status = fail_stmt(c, p->stmt, err);
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

	mysql_end_rows(c);
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
		return fail_stmt(c, p->stmt, err);
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
		return fail_stmt(c, stmt, err);
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

		if (c->column_null[i] != 0)
			return sql_nonsense(
			    &c->sql, "NULL in a column that has none", err);
		if (column->buffer_type != MYSQL_TYPE_BLOB ||
		    c->column_len[i] <= column->buffer_length)
			continue;
		if (c->column_len[i] > SQL_BYTES_MAX)
			return sql_nonsense(
			    &c->sql, "a column longer than any", err);
		if (grow_column(c, i, c->column_len[i]) == -1)
			return sql_no_memory(err);
		if (mysql_stmt_fetch_column(c->active, column, i, 0) != 0)
			return fail_stmt(c, c->active, err);
		c->columns_moved = true;
	}
	return STORE_OK;
}

static bool
mysql_next_row(struct sql *sql, enum store_status *status, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);

	/* Not earlier: some libraries set the lengths to zero here. */
	if (c->columns_moved &&
	    mysql_stmt_bind_result(c->active, c->columns) != 0) {
		*status = fail_stmt(c, c->active, err);
		return false;
	}
	c->columns_moved = false;
	switch (mysql_stmt_fetch(c->active)) {
	case 0:
	case MYSQL_DATA_TRUNCATED:
		*status = take_row(c, err);
		return *status == STORE_OK;
	case MYSQL_NO_DATA:
		mysql_end_rows(c);
		return false;
	default:
		*status = fail_stmt(c, c->active, err);
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
	mysql_end_rows(mysql_conn_of(sql));
}

static int64_t
mysql_read_i64(struct sql *sql, unsigned column)
{
	return mysql_conn_of(sql)->column_values[column];
}

static struct slice
mysql_read_bytes(struct sql *sql, unsigned column)
{
	const struct mysql_conn *c = mysql_conn_of(sql);

	return slice_of(c->column_bytes[column], c->column_len[column]);
}

static enum store_status
mysql_run_text(struct sql *sql, const char *text, struct err *err)
{
	return mysql_query_text(mysql_conn_of(sql), text, err);
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
		status = mysql_query_text(c, "COMMIT", err);
	if (status == STORE_OK || !sql->connected)
		return status;
	again = sql->again;
	if (mysql_query_text(c, "ROLLBACK", NULL) != STORE_OK)
		mysql_conn_close(c);
	sql->again = again && sql->connected;
	return status;
}

/* ---- life ---- */

static bool
mysql_alive(struct sql *sql)
{
	const struct mysql_conn *c = mysql_conn_of(sql);
#ifdef HAVE_MYSQL_GET_SOCKET
	struct pollfd socket = {.fd = mysql_get_socket(c->mysql)};
#else
	struct pollfd socket = {.fd = c->mysql->net.fd};
#endif

	/* On whatever thread it runs. Does nothing the second time; fails
	 * without memory only. */
	(void)mysql_thread_init();
	socket.events = POLLIN;
	return poll(&socket, 1, 0) == 0;
}

static enum store_status
open_host(struct mysql_conn *c, const struct sql_host *host, struct err *err)
{
	enum store_status status;

	c->sql.no_database = false;
	status = try_connect(c, host, c->place.name, err);
	if (c->sql.no_database) /* connect without, so that it can be created */
		status = try_connect(c, host, NULL, err);
	if (status == STORE_OK)
		status = set_up_session(c, err);
	if (status == STORE_OK)
		c->sql.connected = true;
	else
		mysql_conn_close(c);
	return status;
}

/* The servers of the list, or that host only. */
static void
show_target(struct mysql_conn *c, const struct sql_host *host)
{
	const struct sql_place *place = &c->place;

	sql_host_show(host, c->sql.where);
	if (place->n_hosts == 0)
		(void)snprintf(c->sql.target, sizeof(c->sql.target),
		    "mysql:%s/%s",
		    place->socket == NULL ? "localhost" : place->socket,
		    place->name);
	else if (host == NULL)
		(void)snprintf(
		    c->sql.target, sizeof(c->sql.target), "%s", place->shown);
	else
		(void)snprintf(c->sql.target, sizeof(c->sql.target),
		    "mysql://%s/%s", c->sql.where, place->name);
}

static enum store_status
mysql_open(struct sql *sql, struct err *err)
{
	struct mysql_conn *c = mysql_conn_of(sql);
	enum store_status status = STORE_UNAVAILABLE;

	(void)mysql_thread_init();
	if (c->place.n_hosts == 0)
		return open_host(c, NULL, err);
	for (unsigned i = 0; i < c->place.n_hosts && status != STORE_OK; i++) {
		status = open_host(c, &c->place.hosts[i], err);
		if (status == STORE_OK)
			show_target(c, &c->place.hosts[i]);
	}
	return status;
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
	c->connect_timeout_s = seconds(params->connect_timeout_ms);
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
	show_target(c, c->place.n_hosts == 1 ? &c->place.hosts[0] : NULL);
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
    .exec = mysql_exec,
    .select = mysql_select,
    .next = mysql_next_row,
    .done = mysql_done,
    .drop = mysql_drop,
    .read_i64 = mysql_read_i64,
    .read_bytes = mysql_read_bytes,
    .run = mysql_run_text,
    .begin = mysql_begin,
    .end = mysql_end,
};
