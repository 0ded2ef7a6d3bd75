/* SPDX-License-Identifier: ISC */
#include "sql/sqlite_checkpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/title.h"

enum {
	LOG_PAGES_REST = 64, /* that a commit may find left */
	BULK_ROUNDS_MAX = 6,
	FLUSHED_ROUNDS = 2,
	COPY_NOW_MS = 2000,
	PAUSE_MS = 1000,      /* after a failure */
	SAY_AGAIN_MS = 60000, /* that it failed */
};

enum state {
	IDLE,
	WANTED,  /* the thread is to copy the bulk */
	COPIED,  /* it did: the rest is the committer's */
	STOPPED, /* the thread is to end, or has */
};

struct sqlite_checkpoint {
	const char *path;
	int log_pages; /* after the last commit */
	bool has_thread;
	pthread_t thread;

	/* The rest under the mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* WANTED or STOPPED */
	enum state state;
	sqlite3 *copying; /* the thread's, to be interrupted; or NULL */
	/* Monotonic: not before is it tried, or said, again. */
	int64_t retry_ms, say_ms;
};

struct sqlite_checkpoint *
sqlite_checkpoint_create(const char *path)
{
	struct sqlite_checkpoint *cp = calloc(1, sizeof(*cp));

	if (cp == NULL)
		return NULL;
	cp->path = path;
	/* Neither fails with default attributes. */
	(void)pthread_mutex_init(&cp->mutex, NULL);
	(void)pthread_cond_init(&cp->changed, NULL);
	return cp;
}

/*
 * Copies what nobody reads any more; *pages is how long the log was when it
 * began. A result code: SQLITE_BUSY when another process or thread is at it.
 */
static int
copy_log(sqlite3 *db, int *pages)
{
	return sqlite3_wal_checkpoint_v2(
	    db, NULL, SQLITE_CHECKPOINT_PASSIVE, pages, NULL);
}

/* However long others are at it, nothing is added to the log meanwhile. */
static int
copy_now(sqlite3 *db)
{
	int64_t end_ms = clock_mono_ms() + COPY_NOW_MS;
	int pages, rc;

	while ((rc = copy_log(db, &pages)) == SQLITE_BUSY &&
	       clock_mono_ms() < end_ms)
		(void)sqlite3_sleep(1);
	return rc;
}

/* What came of a copy. That others are at it or it was ended is no failure. */
static void
note_copy(struct sqlite_checkpoint *cp, int rc)
{
	int64_t now_ms = clock_mono_ms();
	bool say;

	if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_INTERRUPT)
		return;
	(void)pthread_mutex_lock(&cp->mutex);
	cp->retry_ms = now_ms + PAUSE_MS;
	say = now_ms >= cp->say_ms;
	if (say)
		cp->say_ms = now_ms + SAY_AGAIN_MS;
	(void)pthread_mutex_unlock(&cp->mutex);
	if (say)
		log_warnx("datastore: %s: its log cannot be copied into it, "
			  "and grows: %s",
		    cp->path, sqlite3_errstr(rc));
}

static bool
may_copy(struct sqlite_checkpoint *cp)
{
	bool may;

	(void)pthread_mutex_lock(&cp->mutex);
	may = clock_mono_ms() >= cp->retry_ms;
	(void)pthread_mutex_unlock(&cp->mutex);
	return may;
}

/* From one state to another, if it is the one. */
static bool
set_state(struct sqlite_checkpoint *cp, enum state from, enum state to)
{
	bool changed;

	(void)pthread_mutex_lock(&cp->mutex);
	changed = cp->state == from;
	if (changed) {
		cp->state = to;
		(void)pthread_cond_signal(&cp->changed);
	}
	(void)pthread_mutex_unlock(&cp->mutex);
	return changed;
}

/* Blocks; false when the thread should end. */
static bool
await_work(struct sqlite_checkpoint *cp)
{
	bool wanted;

	(void)pthread_mutex_lock(&cp->mutex);
	while (cp->state != WANTED && cp->state != STOPPED)
		(void)pthread_cond_wait(&cp->changed, &cp->mutex);
	wanted = cp->state == WANTED;
	(void)pthread_mutex_unlock(&cp->mutex);
	return wanted;
}

static int
flush_file(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	int rc =
	    sqlite3_file_control(db, NULL, SQLITE_FCNTL_FILE_POINTER, &file);

	return rc == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL)
			       : rc;
}

/*
 * Each round finds what came during the one before. SQLite leaves the flush of
 * the file to who finds nothing left in the log: that is the commit, which must
 * not wait for all of it.
 */
static int
copy_rounds(sqlite3 *db)
{
	int before = 0, pages, rc;

	for (int i = 0; i < BULK_ROUNDS_MAX; i++) {
		rc = copy_log(db, &pages);
		if (rc == SQLITE_OK && i < FLUSHED_ROUNDS)
			rc = flush_file(db);
		if (rc != SQLITE_OK || pages - before <= LOG_PAGES_REST)
			return rc;
		before = pages;
	}
	return SQLITE_OK;
}

/* False when the thread should end. */
static bool
set_copying(struct sqlite_checkpoint *cp, sqlite3 *db)
{
	bool go_on;

	(void)pthread_mutex_lock(&cp->mutex);
	cp->copying = db;
	go_on = cp->state != STOPPED;
	(void)pthread_mutex_unlock(&cp->mutex);
	return go_on;
}

/* By a connection for each time, which keeps nothing open in between. */
static int
copy_bulk(struct sqlite_checkpoint *cp)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(cp->path, &db, flags, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
		    "PRAGMA mmap_size = 0; PRAGMA synchronous = FULL", NULL,
		    NULL, NULL);
	if (rc == SQLITE_OK && set_copying(cp, db))
		rc = copy_rounds(db);
	(void)set_copying(cp, NULL);
	(void)sqlite3_close(db);
	return rc;
}

static void *
checkpoint_main(void *arg)
{
	struct sqlite_checkpoint *cp = arg;

	title_set_thread("checkpoint");
	while (await_work(cp)) {
		int rc = copy_bulk(cp);

		note_copy(cp, rc);
		(void)set_state(cp, WANTED, rc == SQLITE_OK ? COPIED : IDLE);
	}
	return NULL;
}

/* Signals are for the loop's thread. */
static bool
start_thread(struct sqlite_checkpoint *cp)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	cp->has_thread =
	    pthread_create(&cp->thread, NULL, checkpoint_main, cp) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return cp->has_thread;
}

static int
note_log(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sqlite_checkpoint *cp = arg;

	(void)db;
	(void)name;
	cp->log_pages = pages;
	return SQLITE_OK;
}

void
sqlite_checkpoint_watch(struct sqlite_checkpoint *cp, sqlite3 *db)
{
	(void)sqlite3_wal_hook(db, note_log, cp);
}

void
sqlite_checkpoint_committed(struct sqlite_checkpoint *cp, sqlite3 *db)
{
	int pages;

	if (cp->log_pages < SQLITE_LOG_PAGES) {
		/* Another process copied the rest: the next bulk is a new one.
		 */
		(void)set_state(cp, COPIED, IDLE);
		return;
	}
	if (!may_copy(cp))
		return;
	if (cp->log_pages >= SQLITE_LOG_PAGES_MAX)
		note_copy(cp, copy_now(db));
	else if (set_state(cp, COPIED, IDLE) ||
		 (!cp->has_thread && !start_thread(cp)))
		note_copy(cp, copy_log(db, &pages));
	else
		(void)set_state(cp, IDLE, WANTED);
}

void
sqlite_checkpoint_free(struct sqlite_checkpoint **cp)
{
	struct sqlite_checkpoint *c = *cp;

	if (c == NULL)
		return;
	if (c->has_thread) {
		(void)pthread_mutex_lock(&c->mutex);
		c->state = STOPPED;
		if (c->copying != NULL)
			sqlite3_interrupt(c->copying);
		(void)pthread_cond_signal(&c->changed);
		(void)pthread_mutex_unlock(&c->mutex);
		(void)pthread_join(c->thread, NULL);
	}
	(void)pthread_cond_destroy(&c->changed);
	(void)pthread_mutex_destroy(&c->mutex);
	free(c);
	*cp = NULL;
}
