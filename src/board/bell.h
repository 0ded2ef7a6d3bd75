/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_BELL_H
#define CASSATA_BOARD_BELL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "sql/sql_url.h"

/*
 * Masters of one host that share a datastore, of roles that were started apart
 * say, wake each other's workers by a file: whoever has news for workers of
 * others appends a ring, and each master watches the file, for the workers that
 * are its own. A ring is a hint, which can make somebody look for nothing:
 * whoever may write to the datastore may ring.
 *
 * Beside a SQLite file, with its rights, it is that with "-bell" behind its
 * name. For a server it is in /dev/shm, of one user, by the URL: those who
 * spell that otherwise, or run as others, do not hear each other.
 */
struct ring {
	uint32_t ringer; /* a random number of a master */
	uint32_t what;   /* a shard, or: */
	int64_t due_ms;  /* of the event in the shard */
};

enum {
	/* What follows a shard's numbers. */
	RING_LEASES = 1000, /* look at the leases */
	RING_ALL,           /* and for events, in all shards */
	RING_PAUSES,        /* at the pauses */
	/* Beyond that a master makes it empty. */
	BELL_BYTES_MAX = 1024 * 1024,
};

struct bell {
	int fd;          /* to ring, or -1 */
	uint32_t ringer; /* ours */
};

/* Where it is, for the user who will ring; or -1. */
int bell_path(const struct sql_place *place, uid_t uid, char path[PATH_MAX]);

/*
 * Opens it, and makes it if need be: who has it open keeps it there, by a
 * shared lock. In a child, as the user that it is, before
 * its sandbox. 0, or -1 with a reason: then nobody hears.
 */
int bell_open(
    struct bell *bell, const struct sql_place *place, struct err *err);

/* Whether the file open as fd is the one that is there now. */
bool bell_is_at(int fd, const char *path);

/* Its file, open as fd, goes unless others have it open, too, or it is another
 * one by now. */
void bell_remove(int fd, const char *path);

/* Those of servers that were left by daemons of the user that were killed: that
 * nobody has open. */
void bell_remove_unused(uid_t uid);

/* Does nothing without a bell, or where many rings wait and nobody listens. */
void bell_ring(const struct bell *bell, uint32_t what, int64_t due_ms);

#endif
