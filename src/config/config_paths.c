/* SPDX-License-Identifier: ISC */
#include "config/config_paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct config_mark nowhere;

/* The directory of a path, cut off; or "/". */
static void
cut_name(const char *path, char dir[PATH_MAX])
{
	char *slash;

	(void)snprintf(dir, PATH_MAX, "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
}

static int
find_directory(const struct config *cfg, const char *key, const char *dir,
    struct config_errors *errors)
{
	struct stat st;

	if (stat(dir, &st) == -1)
		config_error(errors, cfg->file, nowhere, "%s: %s: %s", key, dir,
		    strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		config_error(errors, cfg->file, nowhere, "%s: %s: %s", key, dir,
		    strerror(ENOTDIR));
	else
		return 0;
	return -1;
}

/* Of a file that will be made: the state directory is made, too. */
static int
find_place_for(const struct config *cfg, const char *key, const char *path,
    struct config_errors *errors)
{
	const char *state_dir = cfg->master.state_dir;
	size_t len = strlen(state_dir);
	char dir[PATH_MAX];

	cut_name(path, dir);
	if (strncmp(dir, state_dir, len) == 0 &&
	    (dir[len] == '\0' || strcmp(dir + len, "/" SQL_DATA_DIR) == 0))
		return 0;
	return find_directory(cfg, key, dir, errors);
}

static int
find_file(const struct config *cfg, const char *key, const char *path,
    struct config_errors *errors)
{
	if (access(path, R_OK) == 0)
		return 0;
	config_error(errors, cfg->file, nowhere, "%s: %s: %s", key, path,
	    strerror(errno));
	return -1;
}

int
config_check_paths(const struct config *cfg, struct config_errors *errors)
{
	const struct config_datastore *store = &cfg->datastore;
	const struct {
		const char *key;
		const char *path; /* NULL: none */
		int (*check)(const struct config *cfg, const char *key,
		    const char *path, struct config_errors *errors);
	} paths[] = {
	    {"master.pidFile", cfg->master.pid_file, find_place_for},
	    {"master.controlSocket", cfg->master.control_socket,
		find_place_for},
	    {"log.destination",
		cfg->log.destination[0] == '/' ? cfg->log.destination : NULL,
		find_place_for},
	    {"datastore.url", store->place.file, find_place_for},
	    {"datastore.tlsCaFile", store->tls_ca_file, find_file},
	    {"datastore.tlsCertificate", store->tls_certificate, find_file},
	    {"datastore.tlsKey", store->tls_key, find_file},
	    {"worker.caFile", cfg->worker.ca_file, find_file},
	};
	char parent[PATH_MAX];
	int status = 0;

	if (config_errors_init(errors) == -1)
		return -1;
	cut_name(cfg->master.state_dir, parent);
	if (access(cfg->master.state_dir, F_OK) == -1
		? find_directory(cfg, "master.stateDirectory", parent, errors)
		: find_directory(cfg, "master.stateDirectory",
		      cfg->master.state_dir, errors))
		status = -1;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i].path != NULL && paths[i].check(cfg, paths[i].key,
						 paths[i].path, errors) == -1)
			status = -1;
	}
	return status;
}
