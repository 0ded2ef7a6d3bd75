/* SPDX-License-Identifier: ISC */
#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"

enum lock_result { LOCK_HELD, LOCK_ELSEWHERE, LOCK_AGAIN, LOCK_FAILED };

/* False when the file was removed or replaced after fd was opened. */
static bool
is_file_at(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

enum { FIRST_BYTE, SECOND_BYTE };

/* len 0: to the end of all files. */
static struct flock
range(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type,
	    .l_whence = SEEK_SET,
	    .l_start = start,
	    .l_len = len};
}

static enum lock_result
try_lock(int fd, const char *path, pid_t *holder)
{
	struct flock lock = range(F_WRLCK, FIRST_BYTE, 0);

	if (fcntl(fd, F_SETLK, &lock) == 0) {
		/* Its last holder may have removed it in between. */
		if (!is_file_at(fd, path))
			return LOCK_AGAIN;
		lock = range(F_UNLCK, SECOND_BYTE, 0);
		return fcntl(fd, F_SETLK, &lock) == 0 ? LOCK_HELD : LOCK_FAILED;
	}
	if (errno != EAGAIN && errno != EACCES)
		return LOCK_FAILED;
	if (fcntl(fd, F_GETLK, &lock) == -1)
		return LOCK_FAILED;
	*holder = lock.l_pid;
	return lock.l_type == F_UNLCK ? LOCK_AGAIN : LOCK_ELSEWHERE;
}

static int
write_pid(int fd)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	/* The first line is a number at any time. */
	if (lseek(fd, 0, SEEK_SET) == -1 ||
	    fd_write_all(fd, text, strlen(text)) == -1)
		return -1;
	return ftruncate(fd, (off_t)strlen(text));
}

static int
set_path(struct pidfile *pidfile, const char *path, struct err *err)
{
	*pidfile = (struct pidfile){.fd = -1};
	if (strlen(path) >= sizeof(pidfile->path))
		return err_set(err, "%s: too long for a path", path);
	(void)snprintf(pidfile->path, sizeof(pidfile->path), "%s", path);
	return 0;
}

int
pidfile_lock(struct pidfile *pidfile, const char *path, struct err *err)
{
	enum lock_result result;
	struct err reason;
	pid_t holder = 0;
	int fd;

	if (set_path(pidfile, path, err) == -1)
		return -1;
	do {
		fd = file_open(
		    path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644, &reason);
		if (fd == -1)
			return err_set(
			    err, "cannot open %s: %s", path, reason.text);
		result = try_lock(fd, path, &holder);
		if (result == LOCK_FAILED)
			(void)err_errno(err, "cannot lock %s", path);
		else if (result == LOCK_ELSEWHERE)
			(void)err_set(
			    err, "already running (pid %ld)", (long)holder);
		if (result != LOCK_HELD)
			fd_close(&fd);
	} while (result == LOCK_AGAIN);
	if (result != LOCK_HELD)
		return -1;
	pidfile->fd = fd;
	pidfile->ours = true;
	pidfile->left = lseek(fd, 0, SEEK_END) > 0;
	if (write_pid(fd) == -1) {
		(void)err_errno(err, "cannot write %s", path);
		pidfile_remove(pidfile);
		return -1;
	}
	return 0;
}

int
pidfile_follow(struct pidfile *pidfile, const char *path, struct err *err)
{
	struct flock first = range(F_WRLCK, FIRST_BYTE, 1);
	struct flock second = range(F_WRLCK, SECOND_BYTE, 1);
	struct err reason;
	int fd;

	if (set_path(pidfile, path, err) == -1)
		return -1;
	fd = file_open(path, O_RDWR | O_NOFOLLOW, 0, &reason);
	if (fd == -1)
		return err_set(err, "cannot open %s: %s", path, reason.text);
	if (fcntl(fd, F_GETLK, &first) == -1) {
		(void)err_errno(err, "cannot lock %s", path);
	} else if (first.l_type == F_UNLCK || first.l_pid != getppid()) {
		(void)err_set(err, "%s is not the pid file of process %ld",
		    path, (long)getppid());
	} else if (fcntl(fd, F_SETLK, &second) == -1) {
		(void)err_errno(err, "cannot lock %s", path);
	} else {
		pidfile->fd = fd;
		return 0;
	}
	fd_close(&fd);
	return -1;
}

int
pidfile_take_over(struct pidfile *pidfile, struct err *err)
{
	struct flock first = range(F_WRLCK, FIRST_BYTE, 1);
	struct flock rest = range(F_UNLCK, SECOND_BYTE, 0);
	int status;

	do
		status = fcntl(pidfile->fd, F_SETLKW, &first);
	while (status == -1 && errno == EINTR);
	pidfile->ours = true;
	if (status == -1 || fcntl(pidfile->fd, F_SETLK, &rest) == -1)
		return err_errno(err, "cannot lock %s", pidfile->path);
	if (write_pid(pidfile->fd) == -1)
		return err_errno(err, "cannot write %s", pidfile->path);
	return 0;
}

void
pidfile_leave(struct pidfile *pidfile)
{
	pidfile->ours = false;
	fd_close(&pidfile->fd);
}

void
pidfile_remove(struct pidfile *pidfile)
{
	/* While it is still locked: the next holder's file stays. */
	if (pidfile->ours)
		(void)unlink(pidfile->path);
	pidfile_leave(pidfile);
}
