/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CONTROL_H
#define CASSATA_MASTER_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"

/*
 * The master's end of the control socket: who may speak on it, and what it is
 * asked; see proc/control_proto.h. What becomes of a question is its owner's.
 */
struct control;

struct control_ops {
	/* Appends the answer. */
	void (*status)(void *arg, struct buf *answer);
	/* 0: control_answer_waiting tells the outcome, perhaps before this
	 * returns. -1 with refused: not now. */
	int (*reload)(void *arg, struct err *refused);
	int (*upgrade)(void *arg, struct err *refused);
	/* 0, or -1 with refused. */
	int (*stop)(void *arg, struct err *refused);
	int (*freeze)(void *arg, struct err *refused);
	int (*thaw)(void *arg, struct err *refused);
	void (*reopen_logs)(void *arg);
	/* Whether a process that wants to speak is a child, which must not. */
	bool (*is_child)(void *arg, pid_t pid);
};

/*
 * ops must outlive it. inherited is the socket of the master that this one will
 * follow: control_take_over opens it to clients; or -1. NULL with err.
 */
struct control *control_open(struct loop *loop, const char *path, int inherited,
    const struct control_ops *ops, void *arg, struct err *err);
void control_take_over(struct control *control);

/* Leaves new clients to a successor, to which the socket belongs from now. */
void control_leave(struct control *control);

/* The socket that listens, which a successor inherits; it stays its own. */
int control_fd(const struct control *control);

/* Removes the socket if it is ours; sets *control to NULL, which it may be. */
void control_close(struct control **control);

/* Answers who waits for a reload or an upgrade: "ok" without reasons. */
void control_answer_waiting(struct control *control, struct slice reasons);

#endif
