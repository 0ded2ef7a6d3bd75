/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_STATUS_H
#define CASSATA_CTL_CTL_STATUS_H

#include "ctl/ctl.h"

/* Prints what the daemon says of itself. Each returns an exit code. */
int ctl_status(struct ctl *ctl);

#endif
