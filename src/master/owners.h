/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_OWNERS_H
#define CASSATA_MASTER_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which owners of leases live on this host: a file for each in the directory
 * owners of the state directory, locked as long as its worker lives. When all
 * processes are killed at once the kernel gives the locks back, and the next
 * master knows whose leases are free; so, too, when a stop came while the
 * datastore was away. Without the directory it waits until they
 * end, as other hosts do.
 *
 * A lock says nothing beyond its kernel, so that a file has the number of its
 * boot: of another one nobody is judged dead, though hosts share a directory.
 */
enum { OWNERS_BOOT_BYTES = 36 };

struct owners {
	int dir_fd; /* -1: no directory */
	char boot[OWNERS_BOOT_BYTES];
};

/* What is wrong is logged. */
void owners_open(struct owners *owners, const char *state_dir);
void owners_close(struct owners *owners);

/*
 * Before the fork of a worker: the file of its token. The descriptor, the
 * caller's, holds the lock until all copies of it are closed: that of the
 * worker is to be the last. -1 when there is none.
 */
int owners_hold(const struct owners *owners, uint64_t owner);

/* Its end is known to whom it concerns: the file goes. */
void owners_forget(const struct owners *owners, uint64_t owner);

/*
 * The tokens of up to max owners that died with their master, each to be
 * forgotten when it has been dealt with; the files of another boot go. Those
 * that is_known(arg, owner) are passed over. Returns how many, and in *n_living
 * how many others live.
 */
size_t owners_find_dead(const struct owners *owners, uint64_t *dead, size_t max,
    bool (*is_known)(const void *arg, uint64_t owner), const void *arg,
    size_t *n_living);

#endif
