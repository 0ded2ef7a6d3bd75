/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_STATUS_H
#define CASSATA_PROC_STATUS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a child reports to its master: fixed-size records on one pipe, each
 * written at once (below PIPE_BUF, so records never mix). The pid tells a late
 * report of a dead child from its successor's.
 */
enum child_state { CHILD_STARTING, CHILD_READY, CHILD_DRAINING, CHILD_FAILED };

struct child_status {
	pid_t pid;
	uint32_t state;   /* enum child_state */
	char reason[480]; /* CHILD_FAILED: NUL-terminated text */
};

/* 0, or -1 with errno. */
int status_send(int fd, enum child_state state, const char *reason);

/* 1 with a record, 0 when none waits, -1 on error or a malformed record. */
int status_recv(int fd, struct child_status *status);

#endif
