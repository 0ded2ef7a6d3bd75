/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_DAEMON_H
#define CASSATA_CTL_CTL_DAEMON_H

#include <sys/types.h>

#include "ctl/ctl.h"

/* What an operator has the daemon do. Each returns an exit code. */
int ctl_start(struct ctl *ctl);
int ctl_stop(struct ctl *ctl);
int ctl_restart(struct ctl *ctl);
int ctl_reload(struct ctl *ctl);
int ctl_upgrade(struct ctl *ctl);
int ctl_reopen(struct ctl *ctl);
int ctl_check_config(struct ctl *ctl);
int ctl_init_db(struct ctl *ctl);

/* Has the master, *pid, carry out a word of proc/control_proto.h; it or we say
 * why it does not. An exit code. */
int ctl_request_change(const struct ctl *ctl, const char *word, pid_t *pid);

#endif
