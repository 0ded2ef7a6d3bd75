/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_MYSQL_CONN_H
#define CASSATA_SQL_MYSQL_CONN_H

#include <sys/queue.h>

#include <mysql.h>

#include "sql/mysql_trust.h"
#include "sql/rotation.h"
#include "sql/sql.h"

/*
 * Private to the MySQL driver: a connection, or none, and what becomes of it
 * when a call fails.
 */

enum {
	MYSQL_PREPARED_MAX = 64, /* of a connection; a server has 16382 */
	MYSQL_COLUMNS_MAX = 32,
};

struct mysql_prepared {
	const struct sql_text *sql;
	unsigned arity;
	MYSQL_STMT *stmt;
	TAILQ_ENTRY(mysql_prepared) entry;
};

/* my_bool of MariaDB's library, bool of MySQL's. */
typedef __typeof__(*((MYSQL_BIND *)NULL)->is_null) mysql_flag;

struct mysql_conn {
	struct sql sql; /* first */
	struct sql_place place;
	struct mysql_trust trust;
	char *password; /* replaces that of url, or NULL */
	struct rotation rotation;
	unsigned host; /* of the list: where the connection is, or last was */
	int64_t return_after_ms; /* to one before that; 0: never */
	int64_t return_at_ms;
	struct mysql_beside *beside; /* on the way back, or NULL */
	int64_t connect_timeout_ms;
	unsigned connect_timeout_s; /* of one server */
	unsigned timeout_s;

	MYSQL *mysql;     /* NULL: not connected */
	TAILQ_HEAD(mysql_prepared_list, mysql_prepared) prepared; /* by use */
	unsigned n_prepared;

	MYSQL_BIND args[SQL_ARGS_MAX];

	MYSQL_STMT *active; /* its result is being read */
	bool columns_moved; /* to be bound again for the next row */
	size_t n_rows;	    /* of active, so far */
	unsigned n_columns;
	MYSQL_BIND columns[MYSQL_COLUMNS_MAX];
	mysql_flag column_null[MYSQL_COLUMNS_MAX];
	unsigned null_read; /* of the row, a column that was read; from 1 */
	int64_t column_values[MYSQL_COLUMNS_MAX];
	unsigned long column_len[MYSQL_COLUMNS_MAX];
	char *column_bytes[MYSQL_COLUMNS_MAX]; /* owned, grow to the need */
	size_t column_size[MYSQL_COLUMNS_MAX]; /* of column_bytes */
};

/* The connection that this is the first member of. */
struct mysql_conn *mysql_conn_of(struct sql *sql);
/* The descriptor of one that is connected; it stays the library's. */
int mysql_conn_socket(const struct mysql_conn *c);
/* With its statements, if it is connected; it may be opened again. */
void mysql_conn_close(struct mysql_conn *c);
/* Its server was lost amid a call, and not just idle for too long: others come
 * first for a while. */
void mysql_conn_note_loss(struct mysql_conn *c);
void mysql_conn_free_columns(struct mysql_conn *c);
/* The connection of another one, which has no statements, in place of its own.
 */
void mysql_conn_move(struct mysql_conn *from, struct mysql_conn *to);

/* Of the list; NULL for a Unix socket. */
const struct sql_host *mysql_conn_server(
    const struct mysql_conn *c, unsigned i);
/* Says where it is: there, or for NULL somewhere in the list. */
void mysql_conn_show(struct mysql_conn *c, const struct sql_host *host);
/* Closes and frees one of its statements. */
void mysql_conn_forget(struct mysql_conn *c, struct mysql_prepared *p);

/*
 * What an error comes to: closes a connection that is of no use any more, notes
 * whether the transaction is to be repeated, writes text and code to err.
 * Returns STORE_UNAVAILABLE, or STORE_BROKEN for one that will stay.
 */
enum store_status mysql_conn_fail(
    struct mysql_conn *c, unsigned code, const char *text, struct err *err);
/* The same with the last error of the connection; of a statement of it. */
enum store_status mysql_conn_failed(struct mysql_conn *c, struct err *err);
enum store_status mysql_conn_stmt_failed(
    struct mysql_conn *c, MYSQL_STMT *stmt, struct err *err);

/* A result that was not read to its end is in the way of the next statement. */
void mysql_conn_end_rows(struct mysql_conn *c);
/* One statement without a result. */
enum store_status mysql_conn_query(
    struct mysql_conn *c, const char *text, struct err *err);

#endif
