/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SQLITE_CONN_H
#define CASSATA_STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "store/sqlite_checkpoint.h"
#include "store/store_backend.h"

/*
 * Private to the SQLite backend: the file, its connection, its errors and its
 * write transactions, which begin IMMEDIATE and under the write lock, so that
 * writers queue instead of polling.
 */

enum { SQLITE_PREPARED_MAX = 40 };

struct sqlite_conn {
	struct store_backend base; /* first */
	char *path;
	int64_t timeout_ms;
	int64_t min_free_bytes;        /* that adds leave; 0: none */
	struct write_lock *write_lock; /* borrowed, or NULL */
	bool has_turn;                 /* of it */
	sqlite3 *db;                   /* NULL: closed */
	struct sqlite_checkpoint *checkpoint;

	/* Each statement is prepared once; the address of its text is the key.
	 */
	size_t n_prepared;
	struct {
		const char *text;
		sqlite3_stmt *stmt;
	} prepared[SQLITE_PREPARED_MAX];
};

struct sqlite_conn *sqlite_conn_of(struct store_backend *backend);

/* Makes the file when there is none; not a word about the schema. */
enum store_status sqlite_conn_open(struct sqlite_conn *c, struct err *err);
void sqlite_conn_close(struct sqlite_conn *c);

/* Statements without parameters and rows. */
enum store_status sqlite_conn_exec(
    struct sqlite_conn *c, const char *text, struct err *err);

/*
 * When begin was STORE_OK, end must follow: it commits when status is STORE_OK,
 * else it rolls back; it returns what came of the whole.
 */
enum store_status sqlite_conn_begin(struct sqlite_conn *c, struct err *err);
enum store_status sqlite_conn_end(
    struct sqlite_conn *c, enum store_status status, struct err *err);

/* Tells what the last call of the library met. */
enum store_status sqlite_conn_fail(struct sqlite_conn *c, struct err *err);
enum store_status sqlite_conn_no_memory(
    const struct sqlite_conn *c, struct err *err);

#endif
