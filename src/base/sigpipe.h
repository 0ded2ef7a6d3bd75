/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_SIGPIPE_H
#define CASSATA_BASE_SIGPIPE_H

#include "base/err.h"

/*
 * Signals as bytes on a pipe: the handler writes one byte, the loop reads the
 * signal numbers and acts.
 */

/*
 * Opens the pipe of this process (non-blocking, close-on-exec) and catches the
 * signals of the list, which ends with 0. SIGPIPE is ignored. Calling it again
 * in a child replaces the pipe that was inherited.
 * Returns the read end, or -1.
 */
int sigpipe_open(const int *signals, struct err *err);

/* The next signal number, or 0 when none waits. */
int sigpipe_next(int fd);

/*
 * Between fork and sigpipe_open a child must not answer for its parent:
 * sigpipe_block before fork, sigpipe_unblock in the parent after it;
 * sigpipe_open unblocks in the child.
 */
void sigpipe_block(void);
void sigpipe_unblock(void);

#endif
