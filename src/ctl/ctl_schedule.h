/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_SCHEDULE_H
#define CASSATA_CTL_CTL_SCHEDULE_H

#include "ctl/ctl.h"

/* cassatactl schedule add|show|list|delete|run|pause|resume */
int ctl_schedule(struct ctl *ctl);

#endif
