/* SPDX-License-Identifier: ISC */
#include "master/ear.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "board/bell.h"
#include "board/shardboard.h"

enum { RINGS_MAX = 4096 }; /* at a time; of more nobody counts */

struct ear {
	struct loop *loop;
	const struct scoreboard *sb;
	int64_t pause_ms;
	char path[PATH_MAX];
	int fd, notify_fd;
	struct loop_io *io;
	struct loop_timer *timer;
	off_t at;         /* heard up to here: a whole number of rings */
	struct ring last; /* the one before that */
	struct ring rings[RINGS_MAX + 1];
};

static uid_t
uid_of_children(const struct config *cfg)
{
	return geteuid() == 0 && cfg->master.user != NULL ? cfg->master.uid
							  : geteuid();
}

/* ---- what was rung ---- */

static void
hear_all(const struct ear *ear)
{
	const struct ring ring = {.what = RING_ALL};

	shardboard_hear(ear->sb, &ring);
}

/* Of our own children the scoreboard tells. */
static void
hear_ring(const struct ear *ear, const struct ring *ring)
{
	if (ring->ringer != ear->sb->bell.ringer)
		shardboard_hear(ear->sb, ring);
}

/* Begins anew at its end, without what was there. */
static void
skip_to(struct ear *ear, off_t end)
{
	ear->at = end - end % (off_t)sizeof(struct ring);
	ear->last = (struct ring){0};
	if (ear->at > 0 &&
	    pread(ear->fd, &ear->last, sizeof(ear->last),
		ear->at - (off_t)sizeof(ear->last)) != sizeof(ear->last))
		ear->at = 0;
}

/*
 * The rings since the last time; the first one that is read is the last of
 * then, so that one sees whether the file was made empty meanwhile, and has
 * grown again. How many, or -1 when they cannot be told.
 */
static ssize_t
read_rings(struct ear *ear, off_t end)
{
	off_t from = ear->at, n = (end - from) / (off_t)sizeof(struct ring);
	size_t overlap = from == 0 ? 0 : 1;
	size_t bytes = ((size_t)n + overlap) * sizeof(struct ring);

	if (n < 0 || n > RINGS_MAX)
		return -1;
	if (overlap == 1)
		from -= (off_t)sizeof(struct ring);
	if (pread(ear->fd, ear->rings, bytes, from) != (ssize_t)bytes)
		return -1;
	if (overlap == 1 &&
	    memcmp(&ear->rings[0], &ear->last, sizeof(ear->last)) != 0)
		return -1;
	memmove(
	    ear->rings, ear->rings + overlap, (size_t)n * sizeof(struct ring));
	return n;
}

static void
make_empty(const struct ear *ear, const struct stat *st)
{
	if (ftruncate(ear->fd, 0) == -1)
		log_warn("%s, %lld bytes", ear->path, (long long)st->st_size);
}

static void
listen_to(struct ear *ear)
{
	struct stat st;
	bool is_whole; /* else what follows would be garbled */
	ssize_t n;

	if (fstat(ear->fd, &st) == -1)
		return;
	is_whole = st.st_size % (off_t)sizeof(struct ring) == 0;
	n = is_whole ? read_rings(ear, st.st_size) : -1;
	if (n == -1) {
		hear_all(ear);
		skip_to(ear, st.st_size);
	}
	for (ssize_t i = 0; i < n; i++)
		hear_ring(ear, &ear->rings[i]);
	if (n > 0) {
		ear->at += n * (off_t)sizeof(struct ring);
		ear->last = ear->rings[n - 1];
	}
	if (!is_whole || st.st_size >= BELL_BYTES_MAX)
		make_empty(ear, &st);
}

static void
on_ring(int fd, unsigned events, void *arg)
{
	struct ear *ear = arg;
	char notes[4096];

	(void)events;
	/* First this: a ring from now on is noted again. */
	while (read(fd, notes, sizeof(notes)) > 0)
		continue;
	listen_to(ear);
	loop_io_want(ear->io, 0);
	loop_timer_set(ear->timer, ear->pause_ms);
}

static void
on_pause_end(void *arg)
{
	struct ear *ear = arg;

	loop_io_want(ear->io, LOOP_READ);
}

/* ---- the file ---- */

/* Children can put files there. One that is theirs they may read and make empty
 * themselves, and we do no more. */
static int
open_bell_file(const char *path, uid_t uid)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = open(path, O_RDWR | flags);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == uid)
		return fd;
	fd_close(&fd);
	errno = EPERM;
	return -1;
}

static int
watch_bell(struct ear *ear, struct err *err)
{
	ear->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (ear->notify_fd == -1 || inotify_add_watch(ear->notify_fd, ear->path,
					IN_MODIFY | IN_DONT_FOLLOW) == -1)
		return err_errno(err, "%s: inotify", ear->path);
	ear->timer = loop_timer_create(ear->loop, on_pause_end, ear);
	ear->io =
	    loop_io_create(ear->loop, ear->notify_fd, LOOP_READ, on_ring, ear);
	return ear->timer == NULL || ear->io == NULL
		   ? err_set(err, "out of memory")
		   : 0;
}

static int
open_ear(struct ear *ear, const struct config *cfg, struct err *err)
{
	struct stat st;

	if (bell_path(&cfg->datastore.place, uid_of_children(cfg), ear->path) ==
	    -1)
		return err_set(err, "the path of the bell is too long");
	ear->fd = open_bell_file(ear->path, uid_of_children(cfg));
	if (ear->fd == -1)
		return err_errno(err, "%s", ear->path);
	(void)flock(ear->fd, LOCK_SH | LOCK_NB);
	if (watch_bell(ear, err) == -1)
		return -1;
	if (fstat(ear->fd, &st) == -1)
		return err_errno(err, "%s", ear->path);
	/* Else nobody rings, and we would not hear that it is full. */
	if (st.st_size >= BELL_BYTES_MAX)
		make_empty(ear, &st);
	skip_to(ear, st.st_size);
	hear_all(ear);
	return 0;
}

struct ear *
ear_create(struct loop *loop, const struct scoreboard *sb,
    const struct config *cfg, int64_t pause_ms, struct err *err)
{
	struct ear *ear = calloc(1, sizeof(*ear));

	if (ear == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	ear->loop = loop;
	ear->sb = sb;
	ear->pause_ms = pause_ms;
	ear->fd = ear->notify_fd = -1;
	if (open_ear(ear, cfg, err) == -1)
		ear_free(&ear);
	return ear;
}

void
ear_free(struct ear **ear)
{
	if (*ear == NULL)
		return;
	loop_io_free(&(*ear)->io);
	loop_timer_free(&(*ear)->timer);
	fd_close(&(*ear)->notify_fd);
	if ((*ear)->fd != -1)
		bell_remove((*ear)->fd, (*ear)->path);
	fd_close(&(*ear)->fd);
	free(*ear);
	*ear = NULL;
}

bool
ear_is_of(const struct ear *ear, const struct config *cfg)
{
	char path[PATH_MAX];

	return ear != NULL &&
	       bell_path(&cfg->datastore.place, uid_of_children(cfg), path) ==
		   0 &&
	       bell_is_at(ear->fd, path);
}
