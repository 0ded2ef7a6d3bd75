/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQL_SQLITE_H
#define CASSATA_SQL_SQL_SQLITE_H

#include <sqlite3.h>

#include "sql/sql.h"
#include "sql/sqlite_checkpoint.h"

/*
 * The driver for SQLite; the struct is for it, and for tests. Its write
 * transactions begin IMMEDIATE and under the write lock, so that writers queue
 * instead of polling. A statement is for one row, for which SQLite asks no
 * round trip.
 */

enum { SQLITE_PREPARED_MAX = 512 };

struct sqlite_conn {
	struct sql sql; /* first */
	char *path;
	int64_t min_free_bytes;        /* that adds leave; 0: none */
	struct write_lock *write_lock; /* borrowed, or NULL */
	bool has_turn;                 /* of it */
	sqlite3 *db;                   /* NULL: closed */
	struct sqlite_checkpoint *checkpoint;

	/* Each statement is prepared once. */
	size_t n_prepared;
	struct {
		const struct sql_text *text;
		unsigned arity;
		sqlite3_stmt *stmt;
	} prepared[SQLITE_PREPARED_MAX];

	sqlite3_stmt *active; /* its rows are being read, or NULL */
	int refused;          /* what was wrong with a column of it */
	unsigned refused_column;
};

/* The connection that this is the first member of. */
struct sqlite_conn *sqlite_conn_of(struct sql *sql);

#endif
