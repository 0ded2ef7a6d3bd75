/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_PAUSE_H
#define CASSATA_CTL_CTL_PAUSE_H

#include "ctl/ctl.h"

/* pause, resume, pauses: a client of the HTTP API. Return an exit code. */
int ctl_pause(struct ctl *ctl);
int ctl_resume(struct ctl *ctl);
int ctl_pauses(struct ctl *ctl);

#endif
