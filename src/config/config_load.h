/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_LOAD_H
#define CASSATA_CONFIG_CONFIG_LOAD_H

#include "config/config.h"
#include "config/config_error.h"

/* Which roles a master runs; it names the pid file and the control socket. */
enum config_roles { CONFIG_ALL, CONFIG_SERVICE_ONLY, CONFIG_WORKER_ONLY };

struct config_source {
	const char *file; /* NULL: state_dir/cassata.yaml if it exists, else the
			     compiled-in path if it exists, else defaults */
	const char *state_dir; /* NULL: $CASSATA_HOME, else the file's, else the
				  compiled-in directory */
	enum config_roles roles;
};

/*
 * Reads, checks and completes a configuration: paths become absolute (relative
 * ones start in the state directory), the datastore's password is read. *cfg is
 * initialised in any case and must be given to config_free. 0, or -1 with at
 * least one error (unless there is no memory for it); then the paths of master
 * are complete all the same, or NULL, so that a broken file keeps nobody from
 * the control socket.
 */
int config_load(const struct config_source *source, struct config *cfg,
    struct config_errors *errors);

/* All that it owns, but not *cfg, which is empty then. */
void config_free(struct config *cfg);

#endif
