/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_WRITE_LOCK_H
#define CASSATA_STORE_WRITE_LOCK_H

#include <pthread.h>
#include <stdint.h>

/*
 * Lets the processes of one master, and of its successor during an upgrade,
 * write to a SQLite file one after the other instead of polling its busy
 * time-out. Lives in shared memory; a holder that dies is noticed (robust
 * mutexes). Two mutexes form a turnstile: who just released must queue behind
 * one that waits, so that a busy process cannot keep the others out.
 */
struct write_lock {
	pthread_mutex_t next; /* held while waiting for turn */
	pthread_mutex_t turn; /* held while writing */
};

/* 0, or -1 with errno. */
int write_lock_init(struct write_lock *lock);

/*
 * Maps a lock in memory that another program may map, too. *fd is this memory,
 * or -1: then it is made, close-on-exec, with a new lock. NULL with errno,
 * EINVAL when *fd is no lock that this version knows.
 */
struct write_lock *write_lock_map(int *fd);
void write_lock_unmap(struct write_lock *lock);

/* 0, or -1 when it could not be had within timeout_ms (0 or more). */
int write_lock_acquire(struct write_lock *lock, int64_t timeout_ms);

/* By the thread that acquired it. */
void write_lock_release(struct write_lock *lock);

#endif
