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

enum {
	RINGS_MAX = 4096, /* at a time; of more nobody counts */
	FILES_MAX = 4,    /* the bell, and what was it before */
};

/* What is heard of a file. */
struct ear_file {
	int fd;
	off_t at;         /* heard up to here: a whole number of rings */
	struct ring last; /* the one before that */
};

struct ear {
	struct loop *loop;
	const struct scoreboard *sb;
	int64_t pause_ms;
	uid_t uid; /* of those who ring */
	char path[PATH_MAX];
	int notify_fd;
	struct loop_io *io;
	struct loop_timer *timer;
	/* The last one is the bell, unless that cannot be made again. The
	 * others were removed, and are still rung by the children of then. */
	struct ear_file files[FILES_MAX];
	size_t n_files;
	bool is_lost; /* as was said in the log */
	struct ring rings[RINGS_MAX + 1];
};

static struct ear_file *
bell_of(struct ear *ear)
{
	return &ear->files[ear->n_files - 1];
}

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
	const struct ring all = {.what = RING_ALL};
	const struct ring pauses = {.what = RING_PAUSES};

	shardboard_hear(ear->sb, &all);
	shardboard_hear(ear->sb, &pauses);
}

/* Of our own children the scoreboard tells. What they ring at a file that was
 * removed, masters that came later do not hear. */
static void
hear_ring(struct ear *ear, const struct ear_file *file, const struct ring *ring)
{
	const struct bell bell = {bell_of(ear)->fd, ring->ringer};

	if (ring->ringer != ear->sb->bell.ringer)
		shardboard_hear(ear->sb, ring);
	else if (file != bell_of(ear))
		bell_ring(&bell, ring->what, ring->due_ms);
}

/* Begins anew at its end, without what was there. */
static void
skip_to(struct ear_file *file, off_t end)
{
	file->at = end - end % (off_t)sizeof(struct ring);
	file->last = (struct ring){0};
	if (file->at > 0 &&
	    pread(file->fd, &file->last, sizeof(file->last),
		file->at - (off_t)sizeof(file->last)) != sizeof(file->last))
		file->at = 0;
}

/*
 * The rings since the last time; the first one that is read is the last of
 * then, so that one sees whether the file was made empty meanwhile, and has
 * grown again. How many, or -1 when they cannot be told.
 */
static ssize_t
read_rings(struct ear *ear, const struct ear_file *file, off_t end)
{
	off_t from = file->at, n = (end - from) / (off_t)sizeof(struct ring);
	size_t overlap = from == 0 ? 0 : 1;
	size_t bytes = ((size_t)n + overlap) * sizeof(struct ring);

	if (n < 0 || n > RINGS_MAX)
		return -1;
	if (overlap == 1)
		from -= (off_t)sizeof(struct ring);
	if (pread(file->fd, ear->rings, bytes, from) != (ssize_t)bytes)
		return -1;
	if (overlap == 1 &&
	    memcmp(&ear->rings[0], &file->last, sizeof(file->last)) != 0)
		return -1;
	memmove(
	    ear->rings, ear->rings + overlap, (size_t)n * sizeof(struct ring));
	return n;
}

static void
make_empty(
    const struct ear *ear, const struct ear_file *file, const struct stat *st)
{
	if (ftruncate(file->fd, 0) == -1)
		log_warn("%s, %lld bytes", ear->path, (long long)st->st_size);
}

static void
listen_to(struct ear *ear, struct ear_file *file)
{
	struct stat st;
	bool is_whole; /* else what follows would be garbled */
	ssize_t n;

	if (fstat(file->fd, &st) == -1)
		return;
	is_whole = st.st_size % (off_t)sizeof(struct ring) == 0;
	n = is_whole ? read_rings(ear, file, st.st_size) : -1;
	if (n == -1) {
		hear_all(ear);
		skip_to(file, st.st_size);
	}
	for (ssize_t i = 0; i < n; i++)
		hear_ring(ear, file, &ear->rings[i]);
	if (n > 0) {
		file->at += n * (off_t)sizeof(struct ring);
		file->last = ear->rings[n - 1];
	}
	if (!is_whole || st.st_size >= BELL_BYTES_MAX)
		make_empty(ear, file, &st);
}

/* ---- the file ---- */

/* Children can put files there. One that is theirs they may read and make empty
 * themselves, and we do no more. */
static int
open_bell_file(const char *path, uid_t uid)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = open(path, O_RDWR | O_APPEND | flags);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == uid)
		return fd;
	fd_close(&fd);
	errno = EPERM;
	return -1;
}

/* Where nobody has made it again by now, as a child would. */
static int
make_bell_file(struct ear *ear)
{
	const int flags = O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW;
	struct stat old;
	int fd;

	if (fstat(bell_of(ear)->fd, &old) == -1)
		return -1;
	fd = open(ear->path, flags | O_CLOEXEC, 0600);
	if (fd != -1 && (fchown(fd, ear->uid, old.st_gid) == -1 ||
			    fchmod(fd, old.st_mode & 0666) == -1)) {
		(void)unlink(ear->path);
		fd_close(&fd);
	}
	fd_close(&fd);
	return open_bell_file(ear->path, ear->uid);
}

/* One more file to hear, from its present end on. */
static int
hear_from(struct ear *ear, int fd, struct err *err)
{
	struct ear_file *file = &ear->files[ear->n_files];
	struct stat st;

	*file = (struct ear_file){.fd = fd};
	ear->n_files++;
	(void)flock(fd, LOCK_SH | LOCK_NB);
	if (inotify_add_watch(ear->notify_fd, ear->path,
		IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DONT_FOLLOW) == -1)
		return err_errno(err, "%s: inotify", ear->path);
	if (fstat(fd, &st) == -1)
		return err_errno(err, "%s", ear->path);
	/* Else nobody rings, and we would not hear that it is full. */
	if (st.st_size >= BELL_BYTES_MAX)
		make_empty(ear, file, &st);
	skip_to(file, st.st_size);
	hear_all(ear);
	return 0;
}

/*
 * Somebody has removed it: children that come make another one, so that those
 * of now would hear nothing of them, and they nothing of those.
 */
static void
make_again(struct ear *ear)
{
	struct err err = {.text = "removed too often"};
	int fd = -1;

	if (ear->is_lost || bell_is_at(bell_of(ear)->fd, ear->path))
		return;
	if (ear->n_files < FILES_MAX) {
		fd = open_bell_file(ear->path, ear->uid);
		if (fd == -1 && errno == ENOENT)
			fd = make_bell_file(ear);
		if (fd == -1)
			(void)err_errno(&err, "cannot be made again");
	}
	if (fd != -1 && hear_from(ear, fd, &err) == 0) {
		log_warnx("%s was removed, and is made again", ear->path);
		return;
	}
	ear->is_lost = true;
	log_warnx("%s: %s; a reload makes it so that masters of this host wake "
		  "each other's workers",
	    ear->path, err.text);
}

static void
on_ring(int fd, unsigned events, void *arg)
{
	struct ear *ear = arg;
	char notes[4096];

	(void)events;
	/* First this: a ring from now on is noted again. What is left of the
	 * notes is another turn, however fast somebody writes. */
	(void)!read(fd, notes, sizeof(notes));
	for (size_t i = 0; i < ear->n_files; i++)
		listen_to(ear, &ear->files[i]);
	make_again(ear);
	loop_io_want(ear->io, 0);
	loop_timer_set(ear->timer, ear->pause_ms);
}

static void
on_pause_end(void *arg)
{
	struct ear *ear = arg;

	loop_io_want(ear->io, LOOP_READ);
}

static int
make_ears(struct ear *ear, struct err *err)
{
	ear->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (ear->notify_fd == -1)
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
	int fd;

	if (bell_path(&cfg->datastore.place, ear->uid, ear->path) == -1)
		return err_set(err, "the path of the bell is too long");
	if (make_ears(ear, err) == -1)
		return -1;
	fd = open_bell_file(ear->path, ear->uid);
	if (fd == -1)
		return err_errno(err, "%s", ear->path);
	if (hear_from(ear, fd, err) == -1)
		return -1;
	bell_remove_unused(ear->uid);
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
	ear->uid = uid_of_children(cfg);
	ear->notify_fd = -1;
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
	if ((*ear)->n_files > 0)
		bell_remove(bell_of(*ear)->fd, (*ear)->path);
	for (size_t i = 0; i < (*ear)->n_files; i++)
		fd_close(&(*ear)->files[i].fd);
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
	       bell_is_at(ear->files[ear->n_files - 1].fd, path);
}
