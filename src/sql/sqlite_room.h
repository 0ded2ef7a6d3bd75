/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQLITE_ROOM_H
#define CASSATA_SQL_SQLITE_ROOM_H

#include "sql/sql.h"

/*
 * Private to the SQLite driver: the room that adds leave for all else, since a
 * delete, too, must write before it frees anything.
 */

/* Bytes, but for pages. */
struct sqlite_space {
	int64_t disk; /* free in the file system */
	int64_t file; /* the database's */
	int64_t page_size;
	int64_t pages;      /* of the database, those in the log included */
	int64_t free_pages; /* of these: to be used again */
	int64_t log;        /* the log's file, which is written again */
};

/*
 * Pure: whether adds that bring this many bytes leave min_free, at least half
 * of which is free on the disk: pages that are free in the file are no room for
 * the log. What the log has already is its part of the other half.
 */
bool sqlite_space_holds(
    const struct sqlite_space *space, int64_t min_free, int64_t bytes);

/*
 * The same of the file at path as the write transaction sees it; when there is
 * no room err tells the figures.
 */
enum store_status sqlite_room_for(struct sql *sql, const char *path,
    int64_t min_free, int64_t bytes, bool *room, struct err *err);

#endif
