/* SPDX-License-Identifier: ISC */
#include "proc/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/data_dir.h"

static bool
has_children_of_another_user(const struct config_master *cfg)
{
	return geteuid() == 0 && cfg->user != NULL;
}

/* Whether it is older versions', which gave it away, or root's as it was made
 * and closed to the children, who must get through. */
static bool
is_to_change(const struct stat *st, const struct config *cfg)
{
	if (st->st_uid == cfg->master.uid)
		return true;
	return st->st_uid == 0 && st->st_gid == 0 &&
	       (st->st_mode & S_IXOTH) == 0 &&
	       cfg->datastore.place.file != NULL;
}

/* Then it is root's, and they get through, no more. */
static int
take_back(int fd, const struct config *cfg, struct err *err)
{
	const char *dir = cfg->master.state_dir;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_errno(err, "state directory %s", dir);
	if (!is_to_change(&st, cfg))
		return 0;
	if (fchown(fd, 0, cfg->master.gid) == -1 ||
	    fchmod(fd, (st.st_mode & 0755) | S_IXGRP) == -1)
		return err_errno(err, "state directory %s", dir);
	return 0;
}

static bool
is_used(const char *dir)
{
	static const char *const names[] = {
	    "cassata.yaml", "cassata.db", SQL_DATA_DIR};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

int
state_dir_check_former(const char *former, const char *dir, struct err *err)
{
	if (strcmp(former, dir) == 0 || !is_used(former) || is_used(dir))
		return 0;
	return err_set(err,
	    "the state directory is %s now, and there is one of an older "
	    "version: mv %s %s, or --state-dir %s",
	    dir, former, dir, former);
}

int
state_dir_prepare(const struct config *cfg, struct err *err)
{
	const char *dir = cfg->master.state_dir;
	int fd, status = 0;

	if (strcmp(dir, CASSATA_STATE_DIR) == 0 &&
	    state_dir_check_former(CASSATA_FORMER_STATE_DIR, dir, err) == -1)
		return -1;
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "state directory %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || access(dir, R_OK | W_OK | X_OK) == -1)
		status = err_errno(err, "state directory %s", dir);
	else if (data_dir_prepare(cfg, err) == -1)
		status = -1;
	else if (has_children_of_another_user(&cfg->master))
		status = take_back(fd, cfg, err);
	fd_close(&fd);
	return status;
}

/* ---- what children must not write to ---- */

/* Of a path that need not be there: its directory, without links; or NULL. */
static char *
directory_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || (size_t)(slash - path) >= sizeof(dir) - 1)
		return NULL;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path + 1), path);
	return realpath(dir, NULL);
}

/* dir is realpath's: no slash at its end, but for the root's. */
static bool
is_beneath(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1)
		return true;
	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* Of a directory for all the entries may be their owners'. */
static bool
is_open_to_children(const struct stat *st, const struct config_master *cfg)
{
	if (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0)
		return false;
	return (st->st_mode & S_IWOTH) != 0 ||
	       ((st->st_mode & S_IWGRP) != 0 && st->st_gid == cfg->gid);
}

/* subject: what path is, for the reason. */
static int
check_rights(const struct config_master *cfg, const char *subject,
    const char *path, struct err *err)
{
	struct stat st;

	if (!has_children_of_another_user(cfg) || stat(path, &st) == -1)
		return 0;
	if (st.st_uid == cfg->uid)
		return err_set(err,
		    "%s belongs to the user of the children, %s: chown root %s",
		    subject, cfg->user, path);
	if (is_open_to_children(&st, cfg))
		return err_set(err,
		    "%s can be written by the user of the children, %s: chmod "
		    "go-w %s",
		    subject, cfg->user, path);
	return 0;
}

struct guard {
	const struct config_master *cfg;
	char *data_dir; /* of a SQLite file; or NULL */
};

static int
check_place(const struct guard *guard, const char *what, const char *path,
    const char *dir, struct err *err)
{
	struct err subject;

	if (guard->data_dir != NULL && is_beneath(dir, guard->data_dir))
		return err_set(err,
		    "%s %s is where the children write (%s, for the "
		    "datastore): one of the two must go elsewhere",
		    what, path, guard->data_dir);
	(void)err_set(&subject, "%s %s: its directory", what, path);
	return check_rights(guard->cfg, subject.text, dir, err);
}

static int
check_guarded_file(const struct guard *guard, const char *what,
    const char *path, struct err *err)
{
	/* By its name, and where a link leads to. */
	char *dir = directory_of(path), *real = realpath(path, NULL);
	char *real_dir = real == NULL ? NULL : directory_of(real);
	struct err subject;
	int status;

	(void)err_set(&subject, "%s %s", what, path);
	if ((dir != NULL && check_place(guard, what, path, dir, err) == -1) ||
	    (real_dir != NULL &&
		check_place(guard, what, path, real_dir, err) == -1))
		status = -1;
	else
		status = check_rights(guard->cfg, subject.text, path, err);
	free(dir);
	free(real);
	free(real_dir);
	return status;
}

static void
find_data_dir(const struct config *cfg, struct guard *guard)
{
	const char *file = cfg->datastore.place.file;
	char *real;

	if (file == NULL)
		return;
	/* A link leads to where children write; see confine.c. What is not
	 * there is refused by the datastore. */
	real = realpath(file, NULL);
	guard->data_dir = directory_of(real == NULL ? file : real);
	free(real);
}

int
state_dir_guard(const struct config *cfg, const char *file, struct err *err)
{
	const struct {
		const char *what, *path;
	} files[] = {
	    {"the configuration", cfg->file},
	    {"the configuration", file},
	    {"master.pidFile", cfg->master.pid_file},
	    {"master.controlSocket", cfg->master.control_socket},
	    {"datastore.passwordFile", cfg->datastore.password_file},
	};
	struct guard guard = {.cfg = &cfg->master};
	int status = 0;

	find_data_dir(cfg, &guard);
	for (size_t i = 0; status == 0 && i < sizeof(files) / sizeof(files[0]);
	     i++) {
		if (files[i].path != NULL)
			status = check_guarded_file(
			    &guard, files[i].what, files[i].path, err);
	}
	free(guard.data_dir);
	return status;
}
