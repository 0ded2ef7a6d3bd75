/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_WRITE_LOCK_H
#define CASSATA_SQL_WRITE_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/*
 * Lets the processes of one master, and of its successor during an upgrade,
 * write to a SQLite file one after the other instead of polling its busy
 * time-out. It is a courtesy: what keeps two from writing at once is SQLite's
 * own lock, so who cannot have the turn goes on without it.
 *
 * The lock is a record lock of the kernel on a byte of a memory file: a holder
 * that dies gives it back, and no process believes what another wrote to
 * memory. That the kernel's own wait has no time-out is why there is a futex,
 * too; it carries nothing but that it is time to try again, and who is not told
 * tries by itself a moment later. Two bytes form a turnstile: who just released
 * must queue behind one that waits, so that a busy process cannot keep the
 * others out.
 *
 * A process has such a lock or not, so its threads take turns by a mutex. It must
 * not close another descriptor of the file, which would give its locks back.
 */
enum {
	WRITE_LOCK_NEXT, /* held while waiting for the turn */
	WRITE_LOCK_TURN, /* held while writing */
	WRITE_LOCK_BYTES,
};

struct write_lock_memory; /* shared */

struct write_lock {
	int fd;
	struct write_lock_memory *memory;
	pthread_mutex_t mutex; /* of the thread that has the turn, or waits */
	/* The rest under it. Longest wait of this process: shrinks while somebody
	 * keeps the turn for ever, so that this costs a moment and not each
	 * time-out. */
	int64_t patience_ms;
};

/*
 * Takes fd over, also on failure: the file of a lock that another program may
 * have open, too; or -1 for a new lock. 0, or -1 with errno, EINVAL when fd is
 * no lock that this version knows.
 */
int write_lock_open(struct write_lock *lock, int fd);

/* Twice does no harm. */
void write_lock_close(struct write_lock *lock);

/* 0, or -1 when it could not be had within timeout_ms (0 or more), whoever kept
 * it: another process, or a thread of this one. */
int write_lock_acquire(struct write_lock *lock, int64_t timeout_ms);

/* By the thread that acquired it. */
void write_lock_release(struct write_lock *lock);

#endif
