/* SPDX-License-Identifier: ISC */
#include "proc/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/old_database.h"
#include "sql/sql_url.h"

/* Takes fd over. */
static bool
is_empty(int fd)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	bool empty;

	if (dir == NULL) {
		fd_close(&fd);
		return false;
	}
	errno = 0;
	do
		entry = readdir(dir);
	while (entry != NULL && (strcmp(entry->d_name, ".") == 0 ||
				    strcmp(entry->d_name, "..") == 0));
	empty = entry == NULL && errno == 0;
	(void)closedir(dir);
	return empty;
}

/* Nobody else can put anything into it before it is given away. */
static bool
is_roots_alone(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 &&
	       (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* One that this process made, or that holds nothing of somebody else's. */
static int
give_to_user(const char *dir, const struct config_master *cfg, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int status = 0;

	if (fd == -1)
		return err_errno(err, "%s", dir);
	if (is_roots_alone(fd) && is_empty(fcntl(fd, F_DUPFD_CLOEXEC, 0)) &&
	    fchown(fd, cfg->uid, cfg->gid) == -1)
		status = err_errno(err, "%s", dir);
	fd_close(&fd);
	return status;
}

static int
prepare_data_dir(const char *dir, const char *name,
    const struct config_master *cfg, struct err *err)
{
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "%s", dir);
	/* While it is empty still. */
	if (geteuid() == 0 && cfg->user != NULL &&
	    give_to_user(dir, cfg, err) == -1)
		return -1;
	return old_database_move(cfg->state_dir, name, err);
}

int
data_dir_prepare(const struct config *cfg, struct err *err)
{
	const char *file = cfg->datastore.place.file;
	char dir[PATH_MAX];
	size_t len;

	if (file == NULL)
		return 0;
	(void)snprintf(
	    dir, sizeof(dir), "%s/" SQL_DATA_DIR, cfg->master.state_dir);
	len = strlen(dir);
	/* Any other is the administrator's to make. */
	if (strncmp(file, dir, len) == 0 && file[len] == '/' &&
	    strchr(file + len + 1, '/') == NULL)
		return prepare_data_dir(dir, file + len + 1, &cfg->master, err);
	return 0;
}

/* For a command line that somebody copies. */
static int
check_directory(const char *user, const char *file, struct err *err)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(file, '/');

	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - file + 1), file);
	if (access(dir, R_OK | W_OK | X_OK) == 0 || errno != EACCES)
		return 0; /* or the datastore tells the reason */
	if (access(dir, F_OK) == -1)
		return err_set(err,
		    "user %s cannot reach %s: a directory above it is closed "
		    "(namei -l %s shows which)",
		    user, dir, dir);
	return err_set(err,
	    "user %s cannot write to %s: give it the directory and the "
	    "datastore, as by chown %s: %s %s*",
	    user, dir, user, dir, file);
}

static int
check_access_to_files(const char *user, const char *file, struct err *err)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char path[PATH_MAX];

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", file, suffixes[i]);
		if (access(path, R_OK | W_OK) == -1 && errno == EACCES)
			return err_set(err,
			    "user %s cannot write %s: give it the datastore, "
			    "as by chown %s: %s*",
			    user, path, user, file);
	}
	return 0;
}

int
data_dir_check(const struct config *cfg, struct err *err)
{
	const char *user = cfg->master.user;
	const char *file = cfg->datastore.place.file;
	char number[16];

	if (file == NULL)
		return 0;
	(void)snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
	if (user == NULL)
		user = number;
	return check_directory(user, file, err) == -1
		   ? -1
		   : check_access_to_files(user, file, err);
}
