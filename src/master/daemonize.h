/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_DAEMONIZE_H
#define CASSATA_MASTER_DAEMONIZE_H

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

#endif
