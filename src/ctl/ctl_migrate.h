/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_MIGRATE_H
#define CASSATA_CTL_CTL_MIGRATE_H

#include "ctl/ctl.h"

/* Moves all events into another datastore. Returns an exit code. */
int ctl_migrate(struct ctl *ctl);

#endif
