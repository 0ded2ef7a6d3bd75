/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CONTROL_H
#define CASSATA_MASTER_CONTROL_H

#include "base/err.h"
#include "config/config.h"

struct master;

/* The master's end of the control socket; see proc/control_proto.h. */
struct control;

/* On the loop of the master. NULL with err. */
struct control *control_open(
    struct master *m, const char *path, struct err *err);

/* Removes the socket; sets *control to NULL. NULL is accepted. */
void control_close(struct control **control);

/* Answers who waits for the end of a reload; NULL for no errors. */
void control_reload_ended(
    struct control *control, const struct config_errors *errors);

#endif
