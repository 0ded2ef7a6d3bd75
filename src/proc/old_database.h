/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_OLD_DATABASE_H
#define CASSATA_PROC_OLD_DATABASE_H

#include "base/err.h"

/*
 * Older versions had a SQLite file of the state directory in it, where this one
 * has it in its directory data. Moves such a file, unless a process has it
 * open, and leaves a link, for who looks for it where it was. Nothing is lost
 * however that ends. 0, also when there is none; or -1.
 */
int old_database_move(const char *state_dir, const char *name, struct err *err);

#endif
