/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_STATE_DIR_H
#define CASSATA_PROC_STATE_DIR_H

#include "base/err.h"
#include "config/config.h"

/*
 * The state directory is the master's: configuration, pid file, control socket
 * and log are in it. Children, who are of another user if the master is root's,
 * write in the directory of the SQLite file alone; one in the state directory
 * itself is kept in its directory data.
 *
 * Makes both unless they are there, moves the file of an older version, and as
 * root takes a state directory back that the children's user had. 0 or -1.
 */
int state_dir_prepare(const struct config *cfg, struct err *err);

/*
 * Another state directory is the default than was: 0, or -1 when the events and
 * the configuration of an older version would be left behind in the former one.
 */
int state_dir_check_former(
    const char *former, const char *dir, struct err *err);

/*
 * Whether a configuration keeps what the master relies on, and file, that of
 * another configuration or NULL, from where its children write. 0, or -1 with
 * the first that it does not.
 */
int state_dir_guard(
    const struct config *cfg, const char *file, struct err *err);

#endif
