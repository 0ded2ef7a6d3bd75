/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SHARD_TEXT_H
#define CASSATA_STORE_SHARD_TEXT_H

#include "event/event.h"
#include "sql/sql.h"

/*
 * Statements about the shards of a mask: MySQL finds a list of them in its
 * index, SQLite reads an index without them and asks the mask.
 */
#define SHARDS_MYSQL(HEAD, TAIL, COLUMNS)                                      \
	{                                                                      \
		.head = HEAD "shard IN (", .item = "?", .sep = ", ",           \
		.tail = ")" TAIL, .columns = (COLUMNS)                         \
	}
#define SHARDS_SQLITE(HEAD, TAIL, COLUMNS)                                     \
	{                                                                      \
		.head = HEAD "(", .item = "?", .sep = "",                      \
		.tail = " >> shard) & 1" TAIL, .columns = (COLUMNS)            \
	}

/*
 * Behind a table whose rows are named by its key and are locked or written:
 * MySQL scans a small one instead, and waits there for those of others. To
 * SQLite it is a comment, as is the table to delete from, which then comes
 * before it.
 */
#define BY_KEY             " /*! FORCE INDEX (PRIMARY) */"
#define DELETE_FROM(TABLE) "DELETE /*! " TABLE " */ FROM " TABLE BY_KEY

/*
 * Of a locking SELECT of MySQL: rows that others have locked are left out.
 * Servers that cannot do so wait for them.
 */
#define SKIP_LOCKED " /*M!100600 SKIP LOCKED */ /*!80001 SKIP LOCKED */"

/* The arguments for it; returns the arity. The mask has a bit at least. */
unsigned shard_args(struct sql *sql, uint64_t shards);

/* The database's clock; an argument, by now_arg, where it has none. */
#define NOW_MYSQL  "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
#define NOW_SQLITE "?"
void now_arg(struct sql *sql);

/* Ids for an IN list; returns the arity. */
unsigned id_args(struct sql *sql, const int64_t *ids, size_t n);

#endif
