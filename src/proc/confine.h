/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_CONFINE_H
#define CASSATA_PROC_CONFINE_H

#include "base/err.h"
#include "board/role.h"
#include "config/config.h"

/*
 * After the fork a child gives up all that its role and configuration do not
 * need: first the user of the master, then access to files, network and the
 * rest of the system. 0 or -1.
 */
int confine_user(enum role role, const struct config *cfg, struct err *err);
int confine_role(enum role role, const struct config *cfg, struct err *err);

#endif
