/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_TABLE_H
#define CASSATA_BENCH_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "sql/write_lock.h"

/* One row of the table "event"; what is not here is the same in all rows. */
struct table_row {
	int64_t id;
	struct event_key key;
	int shard;
	int status; /* 0 waiting, 2 completed */
	int64_t due_ms;
	struct slice event_id;
};

/* What is the same in all rows of a program run. */
struct table_params {
	const char *target; /* mysql://… or the path of a SQLite file */
	size_t rows;        /* per insert */
	struct slice body;
	int64_t created_ms;
	struct write_lock *lock; /* between the processes that use a file */
	bool careless; /* no durability, no other user: to fill a file */
};

struct table;

/*
 * A connection with its prepared statement. Whatever fails here ends the
 * program with a message.
 */
struct table_ops {
	struct table *(*open)(const struct table_params *params);
	void (*close)(struct table *table);
	void (*begin)(struct table *table);
	void (*insert)(struct table *table, const struct table_row *rows);
	void (*commit)(struct table *table);
};

extern const struct table_ops table_mysql_ops, table_sqlite_ops;

/* What every row says beside its ids. */
#define TABLE_APP     SLICE_LITERAL("bench")
#define TABLE_METHOD  SLICE_LITERAL("POST")
#define TABLE_URL     SLICE_LITERAL("http://127.0.0.1:9/")
#define TABLE_HEADERS SLICE_LITERAL("Content-Type: application/json\n")

#endif
