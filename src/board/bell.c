/* SPDX-License-Identifier: ISC */
#include "board/bell.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"

#define BELLS     "/dev/shm/"
#define BELL_NAME "cassata-bell-%u-"

enum {
	OPENS_MAX = 10,
	LOCKS_MAX = 10, /* tries, 1 ms apart */
	ENTRIES_MAX = 10000,
	/* Then no master listens: none has made it empty. */
	UNHEARD_MAX = 2 * BELL_BYTES_MAX,
};

/* FNV-1a: who makes another text of the same number rings there for nothing. */
static uint64_t
number_of_url(const char *text)
{
	uint64_t number = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		number =
		    (number ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return number;
}

int
bell_path(const struct sql_place *place, uid_t uid, char path[PATH_MAX])
{
	char *real;
	int len;

	if (place->file == NULL) {
		len = snprintf(path, PATH_MAX, BELLS BELL_NAME "%016" PRIx64,
		    (unsigned)uid, number_of_url(place->shown));
	} else {
		/* By a link or not: it is beside the file itself. */
		real = realpath(place->file, NULL);
		len = snprintf(path, PATH_MAX, "%s-bell",
		    real == NULL ? place->file : real);
		free(real);
	}
	return len < PATH_MAX ? 0 : -1;
}

/* As SQLite does for what it keeps beside its file. */
static void
share_rights(int fd, const char *file)
{
	struct stat st, bell;

	if (file != NULL && stat(file, &st) == 0 && fstat(fd, &bell) == 0 &&
	    bell.st_uid == geteuid())
		(void)fchmod(fd, st.st_mode & 0666);
}

/* Whether it is there still: the last of before may have removed it. */
static bool
is_there_still(int fd)
{
	struct stat st;

	/* Who has it locked against us removes it, or is none of ours. */
	for (int i = 0; i < LOCKS_MAX && flock(fd, LOCK_SH | LOCK_NB) == -1;
	     i++)
		(void)poll(NULL, 0, 1);
	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int
bell_open(struct bell *bell, const struct sql_place *place, struct err *err)
{
	char path[PATH_MAX];
	struct err reason;

	if (bell_path(place, geteuid(), path) == -1)
		return err_set(err, "the path of the bell is too long");
	for (int i = 0; i < OPENS_MAX; i++) {
		bell->fd = file_open(path,
		    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600, &reason);
		if (bell->fd == -1)
			return err_set(err, "%s: %s", path, reason.text);
		if (is_there_still(bell->fd)) {
			share_rights(bell->fd, place->file);
			return 0;
		}
		fd_close(&bell->fd);
	}
	return err_set(err, "%s: it is removed over and over", path);
}

bool
bell_is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

void
bell_remove(int fd, const char *path)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && bell_is_at(fd, path))
		(void)unlink(path);
}

static void
remove_unused(const char *name, uid_t uid)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), BELLS "%s", name);
	fd = open(path, flags);
	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == uid)
		bell_remove(fd, path);
	fd_close(&fd);
}

void
bell_remove_unused(uid_t uid)
{
	DIR *dir = opendir(BELLS);
	const struct dirent *entry;
	char begin[sizeof(BELL_NAME) + 10];

	if (dir == NULL)
		return;
	(void)snprintf(begin, sizeof(begin), BELL_NAME, (unsigned)uid);
	for (int i = 0; i < ENTRIES_MAX && (entry = readdir(dir)) != NULL; i++)
		if (strncmp(entry->d_name, begin, strlen(begin)) == 0)
			remove_unused(entry->d_name, uid);
	(void)closedir(dir);
}

void
bell_ring(const struct bell *bell, uint32_t what, int64_t due_ms)
{
	const struct ring ring = {bell->ringer, what, due_ms};

	if (bell->fd == -1 || lseek(bell->fd, 0, SEEK_END) >= UNHEARD_MAX)
		return;
	/* If it fails nobody is woken: they look by themselves, later. */
	(void)!write(bell->fd, &ring, sizeof(ring));
}
