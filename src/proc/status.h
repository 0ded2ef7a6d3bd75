/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_STATUS_H
#define CASSATA_PROC_STATUS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a child reports to its master: fixed-size records on a pipe of its own,
 * each written at once (below PIPE_BUF). States only go forward, so a child has
 * at most one report of each; what is none, or comes again, ends the child.
 */
enum child_state { CHILD_STARTING, CHILD_READY, CHILD_DRAINING, CHILD_FAILED };

struct child_status {
	pid_t pid;
	uint32_t state;   /* enum child_state */
	char reason[480]; /* CHILD_FAILED: NUL-terminated text */
};

/* 0, or -1 with errno. */
int status_send(int fd, enum child_state state, const char *reason);

/*
 * 1 with a record, 0 when none waits, -1 with errno: EBADMSG for a malformed
 * record, EPIPE when the child has closed its end.
 */
int status_recv(int fd, struct child_status *status);

#endif
