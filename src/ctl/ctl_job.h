/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_JOB_H
#define CASSATA_CTL_CTL_JOB_H

#include "ctl/ctl.h"

/* job start, list, show, pause, resume, cancel, delete: many events changed.
 * Returns an exit code. */
int ctl_job(struct ctl *ctl);

#endif
