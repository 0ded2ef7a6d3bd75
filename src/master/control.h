/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CONTROL_H
#define CASSATA_MASTER_CONTROL_H

#include "base/err.h"
#include "config/config.h"

struct master;

/* The master's end of the control socket; see proc/control_proto.h. */
struct control;

/*
 * On the loop of the master. inherited is the socket of the master that this
 * one will follow: control_take_over opens it to clients; or -1. NULL with err.
 */
struct control *control_open(
    struct master *m, const char *path, int inherited, struct err *err);
void control_take_over(struct control *control);

/* Leaves new clients to a successor, to which the socket belongs from now. */
void control_leave(struct control *control);

int control_fd(const struct control *control);

/* Removes the socket if it is ours; sets *control to NULL, which it may be. */
void control_close(struct control **control);

/* Answers who waits for a reload or an upgrade; NULL for no errors. */
void control_change_ended(
    struct control *control, const struct config_errors *errors);

#endif
