/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_DAEMONIZE_H
#define CASSATA_MASTER_DAEMONIZE_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * Leaves the terminal: forks twice, a session of its own, dir as the current
 * directory, umask 027, standard input and output from and to nowhere.
 *
 * The first process does not return: it waits for daemonize_ready and ends with
 * 0, or prints the reason of daemonize_failed and ends with 1, so that whoever
 * started it sees the truth. In the daemon: the descriptor that the two need.
 * -1 with err when the first process could not fork.
 */
int daemonize(const char *dir, struct err *err);

/* Each closes *fd and sets it to -1. */
void daemonize_ready(int *fd);
void daemonize_failed(int *fd, const char *reason);

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
