/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MYSQL_CONN_H
#define CASSATA_STORE_MYSQL_CONN_H

#include <sys/queue.h>

#include <mysql.h>

#include "store/mysql_trust.h"
#include "store/store_backend.h"

/*
 * Private to the MySQL backend: its connection, prepared statements and errors.
 */

enum {
	MYSQL_ROWS_MAX = 64, /* of a multi-row statement */
	MYSQL_IDS_MAX = 512, /* of an IN list */
	MYSQL_ARGS_MAX = 1024,
	MYSQL_PREPARED_MAX = 64, /* of a connection; a server has 16382 */
	MYSQL_COLUMNS_MAX = 20,
	MYSQL_ROW_BYTES = 512, /* numbers, lengths and types of an event's row */
	MYSQL_RESULT_ROWS_MAX = 1024 * 1024,
};

/*
 * The text of a statement: head, then item as many times as the arity says with
 * sep in between, then tail. columns has a letter per column of the result: i
 * int64_t, u uint64_t, b bytes. The address is the key of the cache.
 */
struct mysql_sql {
	const char *head;
	const char *item; /* NULL: none */
	const char *sep;
	const char *tail;
	const char *columns; /* NULL: no result */
};

/* The database's clock, which leases go by. */
#define MYSQL_NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"

struct mysql_prepared;

/* my_bool of MariaDB's library, bool of MySQL's. */
typedef __typeof__(*((MYSQL_BIND *)NULL)->is_null) mysql_flag;

struct mysql_conn {
	struct store_backend base; /* first */
	struct sql_place place;
	struct mysql_trust trust;
	char *password; /* replaces that of url, or NULL */
	unsigned connect_timeout_s;
	unsigned timeout_s;
	size_t max_event_bytes; /* that an add may bring; 0: unknown */

	MYSQL *mysql;      /* NULL: not connected */
	bool no_database;  /* the server has none of that name */
	bool again;        /* the last failure: repeat the transaction */
	size_t max_packet; /* bytes the server accepts in one statement */
	uint64_t lease_owner; /* had a lease turn on this connection; 0: none */
	TAILQ_HEAD(mysql_prepared_list, mysql_prepared) prepared; /* by use */
	unsigned n_prepared;

	unsigned n_args;
	int64_t arg_values[MYSQL_ARGS_MAX];
	MYSQL_BIND args[MYSQL_ARGS_MAX];

	MYSQL_STMT *active; /* its result is being read */
	bool columns_moved; /* to be bound again for the next row */
	size_t n_rows;	    /* of active, so far */
	unsigned n_columns;
	MYSQL_BIND columns[MYSQL_COLUMNS_MAX];
	mysql_flag column_null[MYSQL_COLUMNS_MAX];
	int64_t column_values[MYSQL_COLUMNS_MAX];
	unsigned long column_len[MYSQL_COLUMNS_MAX];
	char *column_bytes[MYSQL_COLUMNS_MAX]; /* owned, grow to the need */
	size_t column_size[MYSQL_COLUMNS_MAX]; /* of column_bytes */
};

/* What every operation starts with, on whatever thread it runs. */
struct mysql_conn *mysql_conn_of(struct store_backend *backend);

/* Connects, sets the session up; not a word about the schema. */
enum store_status mysql_conn_open(struct mysql_conn *c, struct err *err);
void mysql_conn_close(struct mysql_conn *c);
void mysql_conn_fini(struct mysql_conn *c); /* closes, frees what it owns */

/*
 * Whether the server has not ended the connection: between two statements
 * nothing but the end of it can be there to be read.
 */
bool mysql_conn_alive(const struct mysql_conn *c);

/* One statement without arguments and result. */
enum store_status mysql_conn_query(
    struct mysql_conn *c, const char *text, struct err *err);

/* The next argument of the statement to come; bytes are borrowed until then. */
void mysql_conn_i64(struct mysql_conn *c, int64_t value);
void mysql_conn_u64(struct mysql_conn *c, uint64_t value);
void mysql_conn_bytes(struct mysql_conn *c, struct slice bytes);

/*
 * Repeats the last of n integers until a power of two of them is there, so that
 * few arities are ever prepared. Returns the arity.
 */
unsigned mysql_conn_pad(struct mysql_conn *c, size_t n);

/* Runs a statement with the arguments given; affected may be NULL. */
enum store_status mysql_conn_exec(struct mysql_conn *c,
    const struct mysql_sql *sql, unsigned arity, uint64_t *affected,
    struct err *err);

/*
 * A query and its rows: mysql_conn_next is false at the end and after a
 * failure, which *status tells apart; it does nothing unless *status is
 * STORE_OK. Columns are valid until the next row or statement.
 */
enum store_status mysql_conn_select(struct mysql_conn *c,
    const struct mysql_sql *sql, unsigned arity, struct err *err);
bool mysql_conn_next(
    struct mysql_conn *c, enum store_status *status, struct err *err);
int64_t mysql_conn_col_i64(const struct mysql_conn *c, unsigned column);
uint64_t mysql_conn_col_u64(const struct mysql_conn *c, unsigned column);
struct slice mysql_conn_col_bytes(const struct mysql_conn *c, unsigned column);

/* The one integer that a query without rows of its own returns. */
enum store_status mysql_conn_value(struct mysql_conn *c,
    const struct mysql_sql *sql, int64_t *value, struct err *err);

/* STORE_UNAVAILABLE with the reason in err. */
enum store_status mysql_conn_no_memory(struct err *err);

/*
 * For an answer that no server of ours gives: STORE_UNAVAILABLE, and the
 * connection is closed, since what else would come over it?
 */
enum store_status mysql_conn_nonsense(
    struct mysql_conn *c, const char *what, struct err *err);

/*
 * Runs body in a transaction, or as it is when it is one statement, and again
 * after a deadlock, a lock wait that took too long, or a failed certification.
 */
typedef enum store_status (*mysql_conn_body)(
    struct mysql_conn *c, void *arg, struct err *err);
enum store_status mysql_conn_transact(
    struct mysql_conn *c, mysql_conn_body body, void *arg, struct err *err);
enum store_status mysql_conn_repeat(
    struct mysql_conn *c, mysql_conn_body body, void *arg, struct err *err);

#endif
