/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_PIDFILE_H
#define CASSATA_MASTER_PIDFILE_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * The number of this process in a file that stays locked as long as it lives,
 * by a record lock, which children do not inherit.
 *
 * A start needs the lock of the whole file; the holder keeps that of the first
 * byte. So a process that is to follow it can lock the second one meanwhile,
 * and at no moment of the change is the whole file free.
 */
struct pidfile {
	int fd;    /* -1: not locked */
	bool ours; /* the first byte, and so the file */
	bool left; /* it was there: its last holder was killed */
	char path[PATH_MAX];
};

/* 0, or -1: err tells the holder's number when another process has the lock. */
int pidfile_lock(struct pidfile *pidfile, const char *path, struct err *err);

/*
 * In a process that is to follow the holder, its parent: locks the second byte.
 * 0, or -1 with err.
 */
int pidfile_follow(struct pidfile *pidfile, const char *path, struct err *err);

/*
 * Waits until the holder lets go, then holds the file in its place. -1 with err
 * when the number cannot be written; it is held all the same.
 */
int pidfile_take_over(struct pidfile *pidfile, struct err *err);

/* Lets go of the file, which stays for the follower. */
void pidfile_leave(struct pidfile *pidfile);

/* Lets go, and removes the file if this process holds it. */
void pidfile_remove(struct pidfile *pidfile);

#endif
