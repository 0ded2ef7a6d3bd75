/* SPDX-License-Identifier: ISC */
#include "base/zones.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ascii.h"
#include "base/file.h"

struct zone {
	struct tzif *tz;
	char name[ZONE_NAME_MAX + 1]; /* "": none is here */
	struct stat st;     /* of its file when it was read */
	int64_t checked_ms; /* when that was looked at last */
	uint64_t used;
};

struct zones {
	char *directory;
	uint64_t uses;
	struct zone kept[ZONES_KEPT];
};

const char *
zones_directory(void)
{
	const char *directory = getenv("TZDIR");

	return directory != NULL && directory[0] == '/' ? directory
							: "/usr/share/zoneinfo";
}

struct zones *
zones_create(const char *directory)
{
	struct zones *zones = calloc(1, sizeof(*zones));

	if (zones == NULL)
		return NULL;
	zones->directory = strdup(directory);
	if (zones->directory == NULL)
		zones_free(&zones);
	return zones;
}

static void
forget_zone(struct zone *zone)
{
	tzif_free(&zone->tz);
	*zone = (struct zone){0};
}

void
zones_free(struct zones **zones)
{
	if (*zones == NULL)
		return;
	for (size_t i = 0; i < ZONES_KEPT; i++)
		forget_zone(&(*zones)->kept[i]);
	free((*zones)->directory);
	free(*zones);
	*zones = NULL;
}

bool
zones_is_name(struct slice name)
{
	char before = '/';

	if (name.len == 0 || name.len > ZONE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; before = name.p[i++]) {
		char c = name.p[i];

		if (before == '/' ? !is_alnum(c)
				  : !is_alnum(c) && c != '_' && c != '+' &&
					c != '-' && c != '.' && c != '/')
			return false;
	}
	return before != '/';
}

/* Its place, or that of the one that was not used for longest. */
static struct zone *
place_of(struct zones *zones, struct slice name)
{
	struct zone *place = &zones->kept[0];

	for (size_t i = 0; i < ZONES_KEPT; i++) {
		struct zone *zone = &zones->kept[i];

		if (slice_eq(slice_from_string(zone->name), name))
			return zone;
		if (zone->used < place->used)
			place = zone;
	}
	return place;
}

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* What it is at the descriptor is what is read, whatever comes in between. */
static struct tzif *
read_zone(const char *path, struct stat *st, struct err *err)
{
	int fd = file_open(path, O_RDONLY, 0, err);
	struct tzif *tz;
	size_t len;
	char *text;

	if (fd == -1)
		return NULL;
	if (fstat(fd, st) == -1)
		*st = (struct stat){0}; /* then it is read again */
	text = file_read(fd, TZIF_BYTES_MAX, &len, err);
	if (text == NULL)
		return NULL;
	tz = tzif_parse(slice_of(text, len), err);
	free(text);
	return tz;
}

const struct tzif *
zones_find(
    struct zones *zones, struct slice name, int64_t mono_ms, struct err *err)
{
	char path[PATH_MAX];
	struct zone *zone;
	struct err reason;
	struct stat st;
	bool is_here;

	if (!zones_is_name(name)) {
		(void)err_set(err, "no name of a time zone");
		return NULL;
	}
	zone = place_of(zones, name);
	is_here =
	    zone->tz != NULL && slice_eq(slice_from_string(zone->name), name);
	zone->used = ++zones->uses;
	if (is_here && mono_ms - zone->checked_ms < ZONES_CHECK_MS)
		return zone->tz;
	if (snprintf(path, sizeof(path), "%s/%.*s", zones->directory,
		(int)name.len, name.p) >= (int)sizeof(path)) {
		(void)err_set(err, "%s: too long", zones->directory);
		return NULL;
	}
	if (!is_here || stat(path, &st) == -1 ||
	    !is_same_file(&st, &zone->st)) {
		forget_zone(zone);
		zone->used = zones->uses;
		zone->tz = read_zone(path, &zone->st, &reason);
		if (zone->tz == NULL) {
			(void)err_set(err, "%s: %s", path, reason.text);
			return NULL;
		}
		memcpy(zone->name, name.p, name.len);
	}
	zone->checked_ms = mono_ms;
	return zone->tz;
}
