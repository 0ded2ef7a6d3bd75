/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_PATHS_H
#define CASSATA_CONFIG_CONFIG_PATHS_H

#include "config/config.h"
#include "config/config_error.h"

/*
 * Whether the files that a complete configuration names are there and can be
 * read, and the directories of those that the daemon makes. What it makes by
 * itself at the start need not be there: the state directory and its data. Each
 * that is missing is an error. 0 or -1.
 */
int config_check_paths(const struct config *cfg, struct config_errors *errors);

#endif
