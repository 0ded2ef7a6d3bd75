/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_STATUS_H
#define CASSATA_BOARD_STATUS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * What a child and its master say to each other, on a pair of sockets of its
 * own that keeps records apart (SOCK_SEQPACKET).
 *
 * The child reports. States only go forward, so it has at most one report of
 * each; what is none, or comes again, ends the child. The master sends the log,
 * opened again after it was renamed: a child opens no files but the
 * datastore's.
 */
enum child_state { CHILD_STARTING, CHILD_READY, CHILD_DRAINING, CHILD_FAILED };

struct child_status {
	pid_t pid;
	uint32_t state;   /* enum child_state */
	/* NUL-terminated: of CHILD_FAILED, and of a preflight's CHILD_READY
	 * what is weak about a datastore that can be used. */
	char reason[480];
};

/* Non-blocking and close-on-exec: the master's, the child's. 0, or -1 with
 * errno. */
int status_pair(int fds[2]);

/* 0, or -1 with errno. */
int status_send(int fd, enum child_state state, const char *reason);

/*
 * 1 with a record, 0 when none waits, -1 with errno: EBADMSG for a malformed
 * record, EPIPE when the child has closed its end.
 */
int status_recv(int fd, struct child_status *status);

/* To a child; 0, or -1 with errno. */
int status_send_log(int fd, int log_fd);

/*
 * In a child: 1 with *log_fd, close-on-exec; 0 when there is none now, or -1
 * when there will be none any more.
 */
int status_recv_log(int fd, int *log_fd);

#endif
