/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_MASTER_H
#define CASSATA_MASTER_MASTER_H

#include "base/slice.h"
#include "master/state.h"

/*
 * Runs the daemon with a configuration and tells whoever started it how that
 * went. Takes the content of cfg over once it has come far enough; cfg stays
 * fit for config_free. Returns the exit code of the process.
 */
int master_run(const struct master_options *options, struct config *cfg);

/*
 * Reads the configuration again and starts a generation with it. -1 with
 * refused when that is not possible now; else control_change_ended tells the
 * outcome, perhaps before this returns.
 */
int master_reload(struct master *m, struct err *refused);

/* Starts a successor; as master_reload. */
int master_upgrade(struct master *m, struct err *refused);

#define MASTER_REPLACED "another process has taken over: ask again"

/* The successor has taken over: this master leaves when its children have. */
void master_replaced(struct master *m, pid_t successor);

/* There will be no successor; reasons, one a line, are logged and answered. */
void master_upgrade_failed(struct master *m, struct slice reasons);

/* In a successor: holds pid file and control socket from now on. */
void master_take_over(struct master *m);

/* After the log was renamed: here, in all children and in a successor. */
void master_reopen_logs(struct master *m);

/* Asks all children to leave, and ends when they have. */
void master_stop(struct master *m);

/* The same, without a word to anybody. */
void master_leave(struct master *m);

#endif
