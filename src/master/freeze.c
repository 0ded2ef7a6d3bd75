/* SPDX-License-Identifier: ISC */
#include "master/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "master/children.h"
#include "master/predecessor.h"

enum {
	LOOK_MS = 20,
	ALARM_MS = 1000, /* beyond its time a child without a master ends */
};

#define QUIET "quiet\n"

/* ---- the mark ---- */

/* Its entry in the directory is on the disk. */
static int
sync_directory(const char *path, struct err *err)
{
	char *dir = strndup(path, (size_t)(strrchr(path, '/') - path + 1));
	int fd = dir == NULL ? -1 : open(dir, O_RDONLY | O_CLOEXEC);
	int status =
	    fd == -1 || fsync(fd) == -1 ? err_errno(err, "%s", path) : 0;

	fd_close(&fd);
	free(dir);
	return status;
}

static int
set_mark(const char *path, int flags, const char *text, struct err *err)
{
	struct err reason;
	int fd = file_open(
	    path, O_WRONLY | O_TRUNC | O_NOFOLLOW | flags, 0600, &reason);
	int status;

	if (fd == -1)
		return err_set(err, "%s: %s", path, reason.text);
	status = fd_write_all(fd, text, strlen(text)) == -1 || fsync(fd) == -1
		     ? err_errno(err, "%s", path)
		     : sync_directory(path, err);
	fd_close(&fd);
	return status;
}

/* Whatever is no such file is a mark, and says no more. */
static bool
says_quiet(const char *path)
{
	char text[sizeof(QUIET)];
	struct err ignored;
	int fd = file_open(path, O_RDONLY | O_NOFOLLOW, 0, &ignored);
	bool quiet = fd != -1 &&
		     read(fd, text, sizeof(text)) == sizeof(QUIET) - 1 &&
		     memcmp(text, QUIET, sizeof(QUIET) - 1) == 0;

	fd_close(&fd);
	return quiet;
}

static int
remove_mark(const char *path, struct err *err)
{
	if (unlink(path) == -1 && errno != ENOENT)
		return err_errno(err, "%s", path);
	return sync_directory(path, err);
}

/* ---- the state ---- */

static void
set_frozen(struct master *m, bool frozen)
{
	m->frozen = frozen;
	m->is_quiet = false;
	m->frozen_ms = clock_mono_ms();
	/* Before the counts of writes are read: see service/writes.c. */
	atomic_store(&m->sb.writable->master.frozen, frozen);
}

/* The children of a master that was killed finish what they have begun, and a
 * server what it was sent. */
static void
expect_orphans(struct master *m, const struct config *cfg)
{
	m->may_commit_until_ms =
	    clock_mono_ms() + cfg->master.shutdown_timeout_ms + ALARM_MS;
	if (cfg->datastore.place.kind == SQL_MYSQL)
		m->may_commit_until_ms += cfg->datastore.timeout_ms;
}

int
freeze_open(struct master *m, const struct config *cfg, struct err *err)
{
	const char *file = cfg->master.frozen_file;

	m->frozen_file = strdup(file);
	if (m->frozen_file == NULL)
		return err_errno(err, "cannot start");
	if (access(file, F_OK) == 0) {
		log_warnx("frozen, as before: cassatactl thaw ends it");
		set_frozen(m, true);
	} else if (errno != ENOENT) {
		return err_errno(err, "%s", file);
	}
	if (m->frozen ? !says_quiet(file) : m->pidfile.left)
		expect_orphans(m, cfg);
	return 0;
}

void
freeze_close(struct master *m)
{
	free(m->frozen_file);
	m->frozen_file = NULL;
}

int
freeze_begin(struct master *m, struct err *err)
{
	struct err ignored;

	if (m->frozen)
		return 0;
	if (set_mark(m->frozen_file, O_CREAT, "", err) == -1) {
		(void)remove_mark(m->frozen_file, &ignored);
		return -1;
	}
	log_info("freezing");
	set_frozen(m, true);
	generation_freeze(m->current);
	return 0;
}

int
freeze_end(struct master *m, struct err *err)
{
	if (!m->frozen)
		return 0;
	if (remove_mark(m->frozen_file, err) == -1)
		return -1;
	log_info("thawed");
	set_frozen(m, false);
	generation_thaw(m->current);
	return 0;
}

struct freeze_rest
freeze_rest_of(const struct master *m)
{
	struct freeze_rest rest = {
	    .n_workers = predecessor_lives(m->predecessor) ? 1 : 0};
	const struct generation *gen;

	TAILQ_FOREACH(gen, &m->generations, entry)
		rest.n_workers += generation_n_workers(gen);
	for (int i = scoreboard_next_used(&m->sb, 0); i < SCOREBOARD_SLOTS;
	     i = scoreboard_next_used(&m->sb, i + 1)) {
		int n = atomic_load(&scoreboard_slot(&m->sb, i)->n_writing);

		/* Less than none is not known how many. */
		rest.n_writes += n >= 0 ? (size_t)n : 1;
	}
	if (clock_mono_ms() < m->may_commit_until_ms)
		rest.n_writes++;
	return rest;
}

/* It stands still, or says for ever that it writes, or what cannot be. */
static void
kill_writers(struct master *m, int64_t now_ms)
{
	bool late =
	    m->current != NULL &&
	    now_ms - m->frozen_ms >= m->current->cfg.master.shutdown_timeout_ms;

	for (int i = scoreboard_next_used(&m->sb, 0); i < SCOREBOARD_SLOTS;
	     i = scoreboard_next_used(&m->sb, i + 1)) {
		pid_t pid = atomic_load(&scoreboard_place(&m->sb, i)->pid);
		int n = atomic_load(&scoreboard_slot(&m->sb, i)->n_writing);

		if (n < 0)
			(void)children_kill(
			    m, pid, "killed: its count of writes is false");
		else if (n > 0 && late)
			(void)children_kill(
			    m, pid, "killed: a freeze waited for it");
	}
}

int64_t
freeze_look(struct master *m, int64_t now_ms)
{
	struct freeze_rest rest;
	struct err err;

	if (!m->frozen || m->is_quiet)
		return INT64_MAX;
	rest = freeze_rest_of(m);
	m->is_quiet = rest.n_workers == 0 && rest.n_writes == 0;
	if (!m->is_quiet) {
		kill_writers(m, now_ms);
		return now_ms + LOOK_MS;
	}
	log_info("frozen: adds and deletes are refused, nothing is delivered");
	/* Our successor may have thawed, and removed it. */
	if (m->pidfile.ours && set_mark(m->frozen_file, 0, QUIET, &err) == -1)
		log_warnx("the next start will wait once more: %s", err.text);
	return INT64_MAX;
}
