/* SPDX-License-Identifier: ISC */
#include "store/sqlite_room.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "store/sqlite_query.h"

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

	/* The bytes are written twice, to the log and to the file. */
	return on_disk - bytes >= min_free / 2 &&
	       on_disk + in_file - 2 * bytes >= min_free;
}

static enum store_status
read_number(
    struct sqlite_conn *c, const char *text, int64_t *value, struct err *err)
{
	struct sqlite_query q = sqlite_query_start(c, text);
	enum store_status status;
	bool row;

	*value = 0;
	status = sqlite_query_step(&q, &row, err);
	if (status != STORE_OK || !row)
		return status;
	*value = sqlite_read_int(&q);
	return sqlite_query_done(&q, err);
}

static enum store_status
read_pages(struct sqlite_conn *c, struct sqlite_space *space, struct err *err)
{
	static const char page_size[] = "PRAGMA page_size";
	static const char pages[] = "PRAGMA page_count";
	static const char free_pages[] = "PRAGMA freelist_count";
	enum store_status status;

	status = read_number(c, page_size, &space->page_size, err);
	if (status == STORE_OK)
		status = read_number(c, pages, &space->pages, err);
	if (status == STORE_OK)
		status = read_number(c, free_pages, &space->free_pages, err);
	return status;
}

enum store_status
sqlite_room_for(
    struct sqlite_conn *c, int64_t bytes, bool *room, struct err *err)
{
	struct sqlite_space space;
	enum store_status status;
	struct statvfs disk;
	struct stat file;

	*room = true;
	if (c->min_free_bytes == 0)
		return STORE_OK;
	if (statvfs(c->path, &disk) == -1 || stat(c->path, &file) == -1) {
		(void)err_errno(err, "%s", c->path);
		return STORE_UNAVAILABLE;
	}
	status = read_pages(c, &space, err);
	if (status != STORE_OK)
		return status;
	space.disk = INT64_MAX / 2;
	if (disk.f_bavail < INT64_MAX / 2 / disk.f_frsize)
		space.disk = (int64_t)(disk.f_bavail * disk.f_frsize);
	space.file = file.st_size;
	*room = sqlite_space_holds(&space, c->min_free_bytes, bytes);
	if (!*room)
		(void)err_set(err,
		    "%s: of %" PRId64 " free bytes of the disk the log needs "
		    "%" PRId64 ", and %" PRId64 " are free in the file; "
		    "datastore.minFree is %" PRId64,
		    c->path, space.disk, owed(&space),
		    space.free_pages * space.page_size, c->min_free_bytes);
	return STORE_OK;
}
