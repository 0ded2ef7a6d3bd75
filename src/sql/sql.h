/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQL_H
#define CASSATA_SQL_SQL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "sql/datastore.h"
#include "sql/sql_url.h"

/*
 * A database by its statements: arguments, rows, transactions. What differs
 * between databases is in the texts, which are there once per kind where they
 * do, and in the driver. Every call that can fail returns STORE_UNAVAILABLE for
 * what may pass and STORE_BROKEN for what will not, with the reason in err.
 */

enum {
	SQL_KINDS = SQL_SQLITE + 1,
	SQL_ROWS_MAX =
	    64, /* of a driver's rows_max, so that arrays have room */
	SQL_IDS_MAX = 512, /* the same of ids_max */
	SQL_ARGS_MAX = 2048,
	SQL_TEXT_MAX = 64 * 1024,          /* bytes of a statement */
	SQL_BYTES_MAX = 256 * 1024 * 1024, /* of a column; more is nonsense */
	SQL_RESULT_ROWS_MAX = 1024 * 1024, /* the same of rows */
	SQL_TRIES_MAX = 10, /* of a transaction that meets others */
};

/*
 * The text of a statement: head, then item as many times as the arity says with
 * sep in between, then tail. columns has a letter per column of the result: i
 * int64_t, u uint64_t, b bytes. The address names the statement.
 */
struct sql_text {
	const char *head;
	const char *item; /* NULL: none */
	const char *sep;
	const char *tail;
	const char *columns; /* NULL: no result */
};

struct sql_arg {
	enum { SQL_I64, SQL_U64, SQL_BYTES } type;
	int64_t number;
	struct slice bytes; /* borrowed until the statement has run */
};

struct sql_driver;

/* Of which one the server is, which has the same tables as others. */
enum sql_cluster { SQL_NO_CLUSTER, SQL_GALERA, SQL_GROUP_REPLICATION };

/* One connection, or none; a driver puts it first into its own struct. */
struct sql {
	const struct sql_driver *driver;
	char target[512];            /* where, without secrets */
	char where[SQL_WHERE_BYTES]; /* see sql_where */
	size_t statement_max;        /* bytes that one statement may bring */
	enum sql_cluster cluster;
	size_t transaction_max; /* bytes that it may write; SIZE_MAX: any */
	int64_t timeout_ms;          /* of a transaction with all its repeats */

	const char *database; /* its name at the server, or NULL */
	/* Of several of the URL, from 1, the one that it is connected to; else
	 * 0. Any thread may read it. */
	_Atomic unsigned server;

	bool connected;
	bool no_database; /* the server has none of that name */
	bool again;       /* the last failure: repeat the transaction */
	bool full;        /* the last transaction wanted room */
	bool elsewhere; /* after a failure: another server may do it at once */
	bool caught_up;   /* the present one comes after sql_catch_up */
	bool behind;      /* it wants to */
	bool too_large;   /* it wrote more than transaction_max */

	unsigned n_args;
	struct sql_arg args[SQL_ARGS_MAX];
	unsigned column; /* to be read next */
};

struct sql_driver {
	const char *scheme;
	enum sql_kind kind; /* which of the texts */
	/* How much goes into one statement. */
	unsigned rows_max, ids_max;
	/* Others are on other hosts, and a round trip away: a statement by
	 * itself is a transaction, and locks are not held across a round trip
	 * without need. */
	bool remote;

	/* Copies the parameters; 0 or -1. */
	int (*create)(const struct store_params *params, struct sql **sql,
	    struct err *err);
	void (*destroy)(struct sql *sql);
	/* Connects; not a word about the schema. Also anew. */
	enum store_status (*open)(struct sql *sql, struct err *err);
	/* It is of no use as it is: it answers nonsense, or had no database. */
	void (*close)(struct sql *sql);
	/* Whether the connection still is one, as far as can be seen without a
	 * round trip: servers end those that were idle for long. Between two
	 * transactions, where a connection to a better server takes its place.
	 */
	bool (*alive)(struct sql *sql);
	enum store_status (*ping)(struct sql *sql, struct err *err);
	/* Only called in a cluster. NULL: there is none. */
	enum store_status (*catch_up)(struct sql *sql, struct err *err);

	/* The arguments are those of sql; affected may be NULL. */
	enum store_status (*exec)(struct sql *sql, const struct sql_text *text,
	    unsigned arity, uint64_t *affected, struct err *err);
	enum store_status (*select)(struct sql *sql,
	    const struct sql_text *text, unsigned arity, struct err *err);
	bool (*next)(
	    struct sql *sql, enum store_status *status, struct err *err);
	/* Reads the rest; drop does not look at it. */
	enum store_status (*done)(struct sql *sql, struct err *err);
	void (*drop)(struct sql *sql);
	enum store_status (*row_check)(struct sql *sql, struct err *err);
	int64_t (*read_i64)(struct sql *sql, unsigned column);
	struct slice (*read_bytes)(struct sql *sql, unsigned column);
	/* One statement as it stands, without arguments and result. */
	enum store_status (*run)(
	    struct sql *sql, const char *text, struct err *err);

	/* When begin was STORE_OK, end must follow: it commits when status is
	 * STORE_OK, else it rolls back; it returns what came of the whole. */
	enum store_status (*begin)(struct sql *sql, struct err *err);
	enum store_status (*end)(
	    struct sql *sql, enum store_status status, struct err *err);
	/* Within a transaction, whether so many bytes more may be stored; when
	 * not, err tells the figures. NULL: only the failure tells. */
	enum store_status (*room)(
	    struct sql *sql, int64_t bytes, bool *room, struct err *err);
};

extern const struct sql_driver sql_mysql, sql_sqlite;

/* The one of the texts that are there per kind. */
#define sql_pick(sql, texts) (&(texts)[(sql)->driver->kind])

/*
 * HOST:PORT of the server of the present connection, as the URL has it; without
 * one that of the last. "" where there is none: a file, a Unix socket. For who
 * uses sql; it may be another one after the next call.
 */
const char *sql_where(const struct sql *sql);

/* The next argument of the statement to come; bytes are borrowed until then. */
void sql_i64(struct sql *sql, int64_t value);
void sql_u64(struct sql *sql, uint64_t value);
void sql_bytes(struct sql *sql, struct slice bytes);

/*
 * Repeats the last of n integers until a power of two of them is there, so that
 * few arities are ever prepared. Returns the arity.
 */
unsigned sql_pad(struct sql *sql, size_t n);

/* Runs a statement with the arguments given; affected may be NULL. */
enum store_status sql_exec(struct sql *sql, const struct sql_text *text,
    unsigned arity, uint64_t *affected, struct err *err);

/*
 * A query and its rows: sql_next is false at the end and after a failure, which
 * *status tells apart; it does nothing unless *status is STORE_OK. One result
 * is read at a time. Who does not read to the end calls sql_done, which tells
 * what was wrong with the columns that were read.
 */
enum store_status sql_select(struct sql *sql, const struct sql_text *text,
    unsigned arity, struct err *err);
bool sql_next(struct sql *sql, enum store_status *status, struct err *err);
enum store_status sql_done(
    struct sql *sql, enum store_status status, struct err *err);

/*
 * What was wrong with the columns of the present row that were read: then it is
 * not what its table has, and the result goes on with the next one.
 */
enum store_status sql_row_check(struct sql *sql, struct err *err);

/* The columns of the present row from left to right, valid until the next. */
int64_t sql_read_i64(struct sql *sql);
uint64_t sql_read_u64(struct sql *sql);
struct slice sql_read_bytes(struct sql *sql);

/* The one integer of a query; *value stays where it has no row. */
enum store_status sql_value(struct sql *sql, const struct sql_text *text,
    int64_t *value, struct err *err);

/*
 * Runs body in a transaction, or as it is where it is one statement that needs
 * none, and again after a deadlock, a lock wait that took too long, or a failed
 * certification.
 */
typedef enum store_status (*sql_body)(
    struct sql *sql, void *arg, struct err *err);
enum store_status sql_transact(
    struct sql *sql, sql_body body, void *arg, struct err *err);
enum store_status sql_repeat(
    struct sql *sql, sql_body body, void *arg, struct err *err);

/*
 * Waits until all that others have committed up to now is seen here: what a
 * client was told by one server of a cluster must be true at the next one. Not
 * within a transaction. Nothing to do where there is no cluster.
 */
enum store_status sql_catch_up(struct sql *sql, struct err *err);

/*
 * Within a body, before it believes what it reads and does not write: STORE_OK
 * when that is no older than the body's first run; else to be returned, and the
 * body runs again after sql_catch_up. So who writes need not wait.
 */
enum store_status sql_be_current(struct sql *sql, struct err *err);

/* For drivers: the statement whole. -1 when memory is short. */
int sql_write_text(
    const struct sql_text *text, unsigned arity, struct buf *out);

/*
 * For an answer that no database of ours gives. Of a server it is
 * STORE_UNAVAILABLE, and the connection is closed, since what else would come
 * over it? A file is damaged.
 */
enum store_status sql_nonsense(
    struct sql *sql, const char *what, struct err *err);

/* STORE_UNAVAILABLE with the reason in err. */
enum store_status sql_no_memory(struct err *err);

#endif
