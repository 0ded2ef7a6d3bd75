/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_DATA_DIR_H
#define CASSATA_PROC_DATA_DIR_H

#include "base/err.h"
#include "config/config.h"

/*
 * Makes the directory data of the state directory, if the datastore is a SQLite
 * file in it, unless it is there. One that this process made, or that is root's
 * and empty, is given to the user of the children. The file of an older version
 * moves there. 0 or -1.
 */
int data_dir_prepare(const struct config *cfg, struct err *err);

/*
 * In a child, as the user that it is: whether it can write the file of a SQLite
 * datastore and beside it. -1 with a reason that names what has to be done.
 */
int data_dir_check(const struct config *cfg, struct err *err);

#endif
