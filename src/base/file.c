/* SPDX-License-Identifier: ISC */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int
stat_dir_of(const char *path, struct stat *st)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash == NULL ? 0 : (int)(slash - path + 1);

	if (snprintf(dir, sizeof(dir), "%.*s.", len, path) >=
	    (int)sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return stat(dir, st);
}

static bool
is_us(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static bool
is_ours(const struct stat *st)
{
	return is_us(st->st_uid) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool
file_dir_is_ours(const char *path)
{
	struct stat st;

	return stat_dir_of(path, &st) == 0 && is_ours(&st);
}

static int
check_opened(int fd, const char *path, struct err *err)
{
	struct stat st, dir;

	if (fstat(fd, &st) == -1 || stat_dir_of(path, &dir) == -1)
		return err_set(err, "%s", strerror(errno));
	errno = S_ISDIR(st.st_mode) ? EISDIR : EPERM;
	if (S_ISDIR(st.st_mode))
		return err_set(err, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, "it is no regular file");
	if (is_ours(&dir))
		return 0;
	if (!is_us(st.st_uid) && st.st_uid != dir.st_uid)
		return err_set(
		    err, "it belongs to user %u", (unsigned)st.st_uid);
	if (st.st_nlink != 1)
		return err_set(err, "it has a second name (hard link)");
	return 0;
}

int
file_open(const char *path, int flags, mode_t mode, struct err *err)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, mode);

	if (fd == -1) {
		/* A pipe that nobody reads, or a socket. */
		(void)err_set(err, "%s",
		    errno == ENXIO ? "it is no regular file" : strerror(errno));
		return -1;
	}
	if (check_opened(fd, path, err) == -1)
		fd_close(&fd);
	return fd;
}

static int
check_owner(
    const struct stat *st, uid_t owner, const char *path, struct err *err)
{
	if (!is_us(st->st_uid) && st->st_uid != owner)
		return err_set(
		    err, "%s belongs to user %u", path, (unsigned)st->st_uid);
	/* Of a directory for all the entries may be their owners'. */
	if ((st->st_mode & S_IWOTH) != 0 &&
	    !(S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0))
		return err_set(err, "everybody can write to %s", path);
	return 0;
}

int
file_check_program(const char *path, struct err *err)
{
	char *real = realpath(path, NULL), dir_name[PATH_MAX];
	struct stat mine, st, dir;
	int status = -1;

	if (real == NULL || stat(real, &st) == -1 ||
	    stat_dir_of(real, &dir) == -1 ||
	    stat("/proc/self/exe", &mine) == -1)
		(void)err_errno(err, "%s", path);
	else if (!S_ISREG(st.st_mode))
		(void)err_set(err, "%s is no regular file", path);
	else if (check_owner(&st, mine.st_uid, real, err) == 0) {
		(void)snprintf(dir_name, sizeof(dir_name), "%.*s",
		    (int)(strrchr(real, '/') - real + 1), real);
		status = check_owner(&dir, mine.st_uid, dir_name, err);
	}
	free(real);
	return status;
}

char *
file_read(int fd, size_t max, size_t *len, struct err *err)
{
	FILE *f = fdopen(fd, "r");
	char *text;

	if (f == NULL) {
		(void)err_set(err, "%s", strerror(errno));
		fd_close(&fd);
		return NULL;
	}
	text = malloc(max + 1);
	if (text != NULL) {
		*len = fread(text, 1, max + 1, f);
		if (!ferror(f) && *len <= max) {
			text[*len] = '\0';
			(void)fclose(f);
			return text;
		}
		if (!ferror(f))
			errno = EFBIG;
	}
	(void)err_set(err, "%s", strerror(errno));
	(void)fclose(f);
	free(text);
	return NULL;
}
