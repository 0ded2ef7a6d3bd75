/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_CONFINE_H
#define CASSATA_PROC_CONFINE_H

#include "base/err.h"
#include "board/role.h"
#include "config/config.h"

/*
 * After the fork: gives up all that a child of this role and configuration does
 * not need, the user of the master and access to files, network and the rest of
 * the system. 0 or -1.
 */
int confine(enum role role, const struct config *cfg, struct err *err);

#endif
