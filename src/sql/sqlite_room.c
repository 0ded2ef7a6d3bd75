/* SPDX-License-Identifier: ISC */
#include "sql/sqlite_room.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* What is in the log already and has no place in the file yet. */
static int64_t
owed(const struct sqlite_space *space)
{
	int64_t bytes = space->pages * space->page_size - space->file;

	return bytes > 0 ? bytes : 0;
}

bool
sqlite_space_holds(
    const struct sqlite_space *space, int64_t min_free, int64_t bytes)
{
	int64_t on_disk = space->disk - owed(space);
	int64_t in_file = space->free_pages * space->page_size;
	int64_t in_log = space->log < min_free / 2 ? space->log : min_free / 2;

	/* The bytes are written twice, to the log and to the file. */
	return on_disk - bytes >= min_free / 2 &&
	       on_disk + in_log + in_file - 2 * bytes >= min_free;
}

static int64_t
log_bytes(const char *path)
{
	char name[PATH_MAX];
	struct stat log;
	int n = snprintf(name, sizeof(name), "%s-wal", path);

	return n > 0 && n < (int)sizeof(name) && stat(name, &log) == 0
		   ? log.st_size
		   : 0;
}

static enum store_status
read_pages(struct sql *sql, struct sqlite_space *space, struct err *err)
{
	static const struct sql_text page_size = {
	    .head = "PRAGMA page_size", .columns = "i"};
	static const struct sql_text pages = {
	    .head = "PRAGMA page_count", .columns = "i"};
	static const struct sql_text free_pages = {
	    .head = "PRAGMA freelist_count", .columns = "i"};
	enum store_status status;

	status = sql_value(sql, &page_size, &space->page_size, err);
	if (status == STORE_OK)
		status = sql_value(sql, &pages, &space->pages, err);
	if (status == STORE_OK)
		status = sql_value(sql, &free_pages, &space->free_pages, err);
	return status;
}

enum store_status
sqlite_room_for(struct sql *sql, const char *path, int64_t min_free,
    int64_t bytes, bool *room, struct err *err)
{
	struct sqlite_space space = {0};
	enum store_status status;
	struct statvfs disk;
	struct stat file;

	if (statvfs(path, &disk) == -1 || stat(path, &file) == -1) {
		(void)err_errno(err, "%s", path);
		return STORE_UNAVAILABLE;
	}
	status = read_pages(sql, &space, err);
	if (status != STORE_OK)
		return status;
	space.disk = INT64_MAX / 2;
	if (disk.f_bavail < INT64_MAX / 2 / disk.f_frsize)
		space.disk = (int64_t)(disk.f_bavail * disk.f_frsize);
	space.file = file.st_size;
	*room = sqlite_space_holds(&space, min_free, bytes);
	/*
	 * The log only makes room. Its time stamps, once looked at, change with
	 * the next write, and are one more flush of its commit.
	 */
	if (!*room) {
		space.log = log_bytes(path);
		*room = sqlite_space_holds(&space, min_free, bytes);
	}
	if (!*room)
		(void)err_set(err,
		    "%s: of %" PRId64 " free bytes of the disk the log needs "
		    "%" PRId64 ", and %" PRId64 " are free in the file; the "
		    "log has %" PRId64 ", datastore.minFree is %" PRId64,
		    path, space.disk, owed(&space),
		    space.free_pages * space.page_size, space.log, min_free);
	return STORE_OK;
}
