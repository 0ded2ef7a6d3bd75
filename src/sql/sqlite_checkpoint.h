/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQLITE_CHECKPOINT_H
#define CASSATA_SQL_SQLITE_CHECKPOINT_H

#include <sqlite3.h>

/*
 * Private to the SQLite driver: moves what is in the write-ahead log into the
 * file, beside the commits instead of within them.
 *
 * A thread, started when the log first asks for it, copies the bulk over a
 * connection of its own while others go on writing, and flushes the file. They
 * never let the log come to an end, which it must to begin at its start again;
 * so the next commit after the bulk copies the rest, while it still keeps
 * others from writing. That is what came meanwhile, and little. A log that has
 * grown in spite of it is copied within the commit, as SQLite would by itself.
 * After a copy that failed, which the log says, it grows for a second before
 * the next.
 *
 * The longer the log, the fewer commits copy, and the fewer pages, since many
 * are in it more than once: of adds with their random keys a third of 2,000, a
 * fifth of 8,000. Half of datastore.minFree as shipped holds it.
 */
enum {
	SQLITE_LOG_PAGES = 7000,      /* in the log: ask the thread */
	SQLITE_LOG_PAGES_MAX = 16000, /* do it at once */
};

struct sqlite_checkpoint;

/* path is borrowed. NULL when memory is short. */
struct sqlite_checkpoint *sqlite_checkpoint_create(const char *path);

/* Takes the place of SQLite's own checkpoints of db, until that is closed. */
void sqlite_checkpoint_watch(struct sqlite_checkpoint *cp, sqlite3 *db);

/* After a commit of the watched connection, with others kept from writing. */
void sqlite_checkpoint_committed(struct sqlite_checkpoint *cp, sqlite3 *db);

/* Ends the thread, amid a copy if need be. *cp may be NULL, and is after. */
void sqlite_checkpoint_free(struct sqlite_checkpoint **cp);

#endif
