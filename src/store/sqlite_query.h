/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SQLITE_QUERY_H
#define CASSATA_STORE_SQLITE_QUERY_H

#include "base/slice.h"
#include "store/sqlite_conn.h"

/*
 * Private to the SQLite backend: one execution of a prepared statement.
 * Parameters are bound and columns read from left to right. The first failure
 * of any of it is told by the next step.
 */
struct sqlite_query {
	struct sqlite_conn *conn;
	sqlite3_stmt *stmt;
	int rc;        /* first failure, or SQLITE_OK */
	int place;     /* parameter or column touched last */
	bool mistyped; /* rc is for a column that is not of its type */
};

/* The text is static: its address names the statement. */
struct sqlite_query sqlite_query_start(struct sqlite_conn *c, const char *text);

/* Bytes are borrowed until the query ended. */
void sqlite_bind_int(struct sqlite_query *q, int64_t value);
void sqlite_bind_bits(struct sqlite_query *q, uint64_t bits);
void sqlite_bind_bytes(struct sqlite_query *q, struct slice s);

/*
 * The next row; *row false when there is none, then the query has ended, as it
 * has after a failure.
 */
enum store_status sqlite_query_step(
    struct sqlite_query *q, bool *row, struct err *err);

/*
 * Of the present row, whose columns may be of any type: what is no integer, or
 * no BLOB or TEXT, is 0 or empty, and a failure. Bytes are valid until the next
 * step.
 */
int64_t sqlite_read_int(struct sqlite_query *q);
uint64_t sqlite_read_bits(struct sqlite_query *q);
struct slice sqlite_read_bytes(struct sqlite_query *q);

/* After a row that is not followed by a step; done tells the failures. */
void sqlite_query_end(struct sqlite_query *q);
enum store_status sqlite_query_done(struct sqlite_query *q, struct err *err);

/* For statements without rows; *changed is how many rows were written. */
enum store_status sqlite_query_run(
    struct sqlite_query *q, size_t *changed, struct err *err);

/* The same with one number as its only parameter. */
enum store_status sqlite_query_run_with(
    struct sqlite_conn *c, const char *text, int64_t value, struct err *err);

#endif
