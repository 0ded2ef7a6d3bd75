/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MOVE_ROWS_H
#define CASSATA_STORE_MOVE_ROWS_H

#include "base/buf.h"
#include "sql/sql.h"

/*
 * Rows of a table, whole and by primary key, from one datastore to another: so
 * many at a time as fit into little memory.
 */
enum {
	MOVE_COLUMNS_MAX = 32,
	MOVE_KEYS_MAX = 2,
	MOVE_ROWS_MAX = 8192,
};

/* The columns of its primary key come first, and are integers. */
struct move_table {
	const char *name;
	unsigned n_keys;
	const char *letters; /* of all columns, as of struct sql_text */
	struct sql_text count, last, read, insert;
};

enum { MOVE_TABLES = 6 };
extern const struct move_table move_tables[MOVE_TABLES];

/* A column of a row: a number, or where its bytes are in a chunk. */
struct move_cell {
	int64_t number;
	size_t at, len;
};

struct move_chunk {
	/* When it has so many, no further row is taken. */
	size_t rows_max, bytes_max;
	const struct move_table *table;
	size_t n_rows;
	struct move_cell *cells; /* row by row */
	struct buf bytes;
	size_t limit; /* rows of the next one, at most */
};

/* Where a table is read on: the key of the last row. */
struct move_key {
	int64_t part[MOVE_KEYS_MAX];
};

/* Before the first row. */
struct move_key move_key_begin(void);

/* 0, or -1 when memory is short. */
int move_chunk_init(struct move_chunk *chunk);
void move_chunk_fini(struct move_chunk *chunk);

/* So many as that target, connected, takes in a transaction. */
void move_chunk_suit(struct move_chunk *chunk, const struct sql *target);

/* Of a column of bytes. */
struct slice move_bytes(
    const struct move_chunk *chunk, const struct move_cell *cell);

/* How many rows there are. */
enum store_status move_count(struct sql *sql, const struct move_table *table,
    int64_t *n, struct err *err);

/* The key of the last row; key stays where there is none. */
enum store_status move_last(struct sql *sql, const struct move_table *table,
    struct move_key *key, struct err *err);

/* The rows behind key, which becomes that of the last of them; none at the end
 * of the table. */
enum store_status move_read(struct sql *sql, const struct move_table *table,
    struct move_key *key, struct move_chunk *chunk, struct err *err);

/* Adds them, all or none. */
enum store_status move_write(
    struct sql *sql, const struct move_chunk *chunk, struct err *err);

#endif
