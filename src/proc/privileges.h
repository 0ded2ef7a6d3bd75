/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_PRIVILEGES_H
#define CASSATA_PROC_PRIVILEGES_H

#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

/*
 * For this process and all that it forks: no core files, and no payloads in
 * those that a handler of the system makes all the same.
 */
void privileges_forbid_cores(void);

/*
 * The datastore's password in the environment of this process is no longer seen
 * from outside; getenv and programs that it executes still find it.
 */
void privileges_hide_password(void);

/*
 * Room for n descriptors; as root beyond the hard limit, too. 0, or -1 with the
 * limit that is in the way.
 */
int privileges_want_descriptors(size_t n, struct err *err);

/*
 * In a child, before the first byte from outside: if it is root, becomes the
 * configured user, without any group but that user's; gives up all
 * capabilities, also of programs that it might execute, and makes sure that
 * there is no way back; the datastore's password leaves its environment.
 */
int privileges_drop(const struct config_master *cfg, struct err *err);

#endif
