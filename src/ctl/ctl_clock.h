/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_CLOCK_H
#define CASSATA_CTL_CTL_CLOCK_H

#include "ctl/ctl.h"

/* The clock of a daemon that has one for tests. Returns an exit code. */
int ctl_clock(struct ctl *ctl);

#endif
