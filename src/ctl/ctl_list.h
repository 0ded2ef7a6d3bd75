/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_LIST_H
#define CASSATA_CTL_CTL_LIST_H

#include "ctl/ctl.h"

/* event list, with its words behind "list": the events of an application, page
 * by page. Returns an exit code. */
int ctl_list(struct ctl *ctl);

#endif
