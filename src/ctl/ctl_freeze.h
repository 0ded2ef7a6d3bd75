/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_FREEZE_H
#define CASSATA_CTL_CTL_FREEZE_H

#include "ctl/ctl.h"

/* Has the daemon change nothing in its datastore, and returns when that is so;
 * ends that. Each returns an exit code. */
int ctl_freeze(struct ctl *ctl);
int ctl_thaw(struct ctl *ctl);

#endif
