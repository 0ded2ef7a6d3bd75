/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_MASTER_H
#define CASSATA_MASTER_MASTER_H

#include "config/config_load.h"
#include "master/state.h"

/*
 * Runs the daemon with a configuration and tells whoever started it how that
 * went. Takes the content of cfg over once it has come far enough; cfg stays
 * fit for config_free. Returns the exit code of the process.
 */
int master_run(const struct master_options *options, struct config *cfg);

#endif
