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
#include "store/store.h"

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

static int
give(const struct config_master *cfg, struct err *err)
{
	int fd = open(
	    cfg->state_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int status = 0;

	/* What is wrong with it shows when it is used. */
	if (fd == -1)
		return 0;
	if (is_roots_alone(fd) && is_empty(fcntl(fd, F_DUPFD_CLOEXEC, 0)) &&
	    fchown(fd, cfg->uid, cfg->gid) == -1)
		status = err_errno(err, "state directory %s", cfg->state_dir);
	fd_close(&fd);
	return status;
}

int
data_dir_prepare(const struct config_master *cfg, struct err *err)
{
	const char *dir = cfg->state_dir;
	struct stat st;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "state directory %s", dir);
	if (geteuid() == 0 && cfg->user != NULL && give(cfg, err) == -1)
		return -1;
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else if (access(dir, R_OK | W_OK | X_OK) == 0)
		return 0;
	return err_errno(err, "state directory %s", dir);
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
check_files(const char *user, const char *file, struct err *err)
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
	char number[16], *file;
	int status = 0;

	if (!store_is_sqlite(cfg->datastore.url))
		return 0;
	file = store_file(cfg->master.state_dir, cfg->datastore.url);
	if (file == NULL)
		return err_set(err, "out of memory");
	(void)snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
	if (user == NULL)
		user = number;
	if (check_directory(user, file, err) == -1 ||
	    check_files(user, file, err) == -1)
		status = -1;
	free(file);
	return status;
}
