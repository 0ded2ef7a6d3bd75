/* SPDX-License-Identifier: ISC */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sql/mysql_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysqld_error.h>

#include "base/check.h"
#include "base/clock.h"

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
	MYSQL_OFFLINE_MODE = 3032,
	MYSQL_NOT_IN_GROUP = 3100, /* replication's hook refuses the commit */
	MYSQL_CERTIFICATION_FAILED = 3101,
	MYSQL_IDLE_TIMEOUT = 4031,
	MARIADB_CLIENT_MIN = 5000,
	MARIADB_CLIENT_MAX = 5999,
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
	case MYSQL_OFFLINE_MODE:
	case MYSQL_NOT_IN_GROUP:
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

/* Galera: the transaction is more than wsrep_max_ws_size. */
static bool
is_too_large(unsigned code, const char *text)
{
	switch (code) {
	case ER_UNKNOWN_ERROR:
		return strstr(text, "writeset size exceeded") != NULL;
	case ER_ERROR_DURING_COMMIT: /* 90 is EMSGSIZE */
		return strstr(text, "error 90 ") != NULL;
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

/* Amid a call, and not just idle for too long: others come first for a while.
 */
void
mysql_conn_note_loss(struct mysql_conn *c)
{
	int64_t now_ms = clock_mono_ms();

	rotation_failed(&c->rotation, c->host, 0, now_ms);
	c->sql.elsewhere = rotation_has_good(&c->rotation, now_ms);
}

enum store_status
mysql_conn_fail(
    struct mysql_conn *c, unsigned code, const char *text, struct err *err)
{
	bool full = is_full(code, text), too_large = is_too_large(code, text);
	enum failure failure = classify(code);

	if (full)
		failure = FAILURE_PASSES;
	else if (too_large)
		failure = FAILURE_STAYS;
	/* Amid a commit a node has left its cluster, and takes no other. */
	else if (code == ER_ERROR_DURING_COMMIT &&
		 c->sql.cluster != SQL_NO_CLUSTER)
		failure = FAILURE_LOST;
	(void)err_set(err, "%s (error %u)%s", text, code, hint(code));
	c->sql.again = failure == FAILURE_AGAIN;
	c->sql.full |= full;
	c->sql.too_large |= too_large;
	if (failure == FAILURE_LOST && c->sql.connected)
		mysql_conn_note_loss(c);
	/* text may be inside; the database may exist at the next connect */
	if (failure == FAILURE_LOST || code == ER_NO_DB_ERROR)
		mysql_conn_close(c);
	return failure == FAILURE_STAYS ? STORE_BROKEN : STORE_UNAVAILABLE;
}

enum store_status
mysql_conn_failed(struct mysql_conn *c, struct err *err)
{
	return mysql_conn_fail(
	    c, mysql_errno(c->mysql), mysql_error(c->mysql), err);
}

enum store_status
mysql_conn_stmt_failed(struct mysql_conn *c, MYSQL_STMT *stmt, struct err *err)
{
	/* MariaDB's library keeps what ends a result with the connection. */
	if (mysql_stmt_errno(stmt) == 0)
		return mysql_conn_failed(c, err);
	return mysql_conn_fail(
	    c, mysql_stmt_errno(stmt), mysql_stmt_error(stmt), err);
}

/* ---- connection ---- */

struct mysql_conn *
mysql_conn_of(struct sql *sql)
{
	return (struct mysql_conn *)sql;
}

int
mysql_conn_socket(const struct mysql_conn *c)
{
#ifdef HAVE_MYSQL_GET_SOCKET
	return mysql_get_socket(c->mysql);
#else
	return c->mysql->net.fd;
#endif
}

const struct sql_host *
mysql_conn_server(const struct mysql_conn *c, unsigned i)
{
	return c->place.n_hosts == 0 ? NULL : &c->place.hosts[i];
}

/* The servers of the list, or that host only. */
void
mysql_conn_show(struct mysql_conn *c, const struct sql_host *host)
{
	const struct sql_place *place = &c->place;

	sql_host_show(host, c->sql.where);
	if (place->n_hosts > 1 && host != NULL)
		atomic_store(
		    &c->sql.server, (unsigned)(host - place->hosts) + 1);
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

void
mysql_conn_free_columns(struct mysql_conn *c)
{
	for (unsigned i = 0; i < MYSQL_COLUMNS_MAX; i++)
		free(c->column_bytes[i]);
}

void
mysql_conn_forget(struct mysql_conn *c, struct mysql_prepared *p)
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
	atomic_store(&c->sql.server, 0);
	c->active = NULL;
	c->null_read = 0;
	/* First: the statements then need no word to the server. */
	if (c->mysql != NULL)
		mysql_close(c->mysql);
	c->mysql = NULL;
	for (p = TAILQ_FIRST(&c->prepared); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		mysql_conn_forget(c, p);
	}
}

/* A result that was not read to its end is in the way of the next statement. */
void
mysql_conn_end_rows(struct mysql_conn *c)
{
	if (c->active != NULL)
		(void)mysql_stmt_free_result(c->active);
	c->active = NULL;
	c->null_read = 0;
}

enum store_status
mysql_conn_query(struct mysql_conn *c, const char *text, struct err *err)
{
	mysql_conn_end_rows(c);
	return mysql_query(c->mysql, text) == 0 ? STORE_OK
						: mysql_conn_failed(c, err);
}

void
mysql_conn_move(struct mysql_conn *from, struct mysql_conn *to)
{
	check(TAILQ_EMPTY(&from->prepared));
	mysql_conn_close(to);
	to->mysql = from->mysql;
	to->host = from->host;
	to->sql.statement_max = from->sql.statement_max;
	to->sql.no_database = from->sql.no_database;
	to->sql.cluster = from->sql.cluster;
	to->sql.transaction_max = from->sql.transaction_max;
	mysql_conn_show(to, mysql_conn_server(to, to->host));
	to->sql.connected = true;
	from->mysql = NULL;
	from->sql.connected = false;
}
