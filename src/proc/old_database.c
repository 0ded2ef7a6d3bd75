/* SPDX-License-Identifier: ISC */
#include "proc/old_database.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "sql/sql_url.h"

struct move {
	const char *dir, *name;
	int from, to; /* directories */
};

/* What SQLite locks of a file, see "File Locking And Concurrency" there: each
 * connection to one in WAL mode has a part of it locked as long as it lives. */
enum { SQLITE_LOCK_START = 0x40000000, SQLITE_LOCK_BYTES = 512 };

/* Nobody opens it with the lock held: an open descriptor, or -1. */
static int
lock_file(const struct move *move, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = SQLITE_LOCK_START,
	    .l_len = SQLITE_LOCK_BYTES};
	int fd = openat(move->from, move->name,
	    O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1)
		return err_errno(err, "%s/%s", move->dir, move->name);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return fd;
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		(void)err_set(err,
		    "%s/%s must move to %s/" SQL_DATA_DIR
		    ", and process %ld has it open: stop that one first (an "
		    "older version is not upgraded but restarted)",
		    move->dir, move->name, move->dir, (long)lock.l_pid);
	else
		(void)err_set(
		    err, "%s/%s cannot be locked", move->dir, move->name);
	fd_close(&fd);
	return -1;
}

static int
move_one(const struct move *move, const char *suffix, struct err *err)
{
	char name[NAME_MAX + 1];

	if (snprintf(name, sizeof(name), "%s%s", move->name, suffix) >=
	    (int)sizeof(name))
		return 0; /* then it cannot be there */
	if (renameat(move->from, name, move->to, name) == 0 || errno == ENOENT)
		return 0;
	return err_errno(err, "%s/%s cannot move to %s/" SQL_DATA_DIR,
	    move->dir, name, move->dir);
}

/*
 * The file itself last: as long as it has not moved, the rest is not looked at
 * where it is now, and the next start goes on.
 */
static int
move_all(const struct move *move, struct err *err)
{
	char link[NAME_MAX + sizeof(SQL_DATA_DIR) + 2];

	if (move_one(move, "-journal", err) == -1 ||
	    move_one(move, "-wal", err) == -1 ||
	    move_one(move, "-shm", err) == -1)
		return -1;
	if (fsync(move->to) == -1 || fsync(move->from) == -1)
		return err_errno(err, "%s", move->dir);
	if (move_one(move, "", err) == -1)
		return -1;
	(void)snprintf(
	    link, sizeof(link), SQL_DATA_DIR "/%.*s", NAME_MAX, move->name);
	if (symlinkat(link, move->from, move->name) == -1)
		log_warn("%s/%s", move->dir, move->name);
	log_info("moved %s/%s to %s/" SQL_DATA_DIR, move->dir, move->name,
	    move->dir);
	return 0;
}

static int
move_locked(const struct move *move, struct err *err)
{
	struct stat st;
	int fd = lock_file(move, err), status;

	if (fd == -1)
		return -1;
	if (fstatat(move->to, move->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		status = err_set(err,
		    "both %s/%s and %s/" SQL_DATA_DIR
		    "/%s are there: move away the one that is not wanted, with "
		    "its -wal",
		    move->dir, move->name, move->dir, move->name);
	else
		status = move_all(move, err);
	fd_close(&fd);
	return status;
}

int
old_database_move(const char *state_dir, const char *name, struct err *err)
{
	struct move move = {.dir = state_dir, .name = name, .to = -1};
	struct stat st;
	int status = 0;

	move.from = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (move.from == -1)
		return err_errno(err, "state directory %s", state_dir);
	if (fstatat(move.from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode)) {
		move.to = openat(move.from, SQL_DATA_DIR,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		status = move.to == -1
			     ? err_errno(err, "%s/" SQL_DATA_DIR, state_dir)
			     : move_locked(&move, err);
	}
	fd_close(&move.to);
	fd_close(&move.from);
	return status;
}
