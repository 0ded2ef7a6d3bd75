/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_EVENT_H
#define CASSATA_CTL_CTL_EVENT_H

#include "ctl/ctl.h"

/* event add, list, show, delete, …: a client of the HTTP API. Returns an exit
 * code. */
int ctl_event(struct ctl *ctl);

#endif
