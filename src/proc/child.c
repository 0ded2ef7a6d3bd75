/* SPDX-License-Identifier: ISC */
#include "proc/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "base/title.h"
#include "board/status.h"
#include "proc/confine.h"

enum {
	STALL_MS = 1000, /* worth a line in the log */
	TITLE_MS = 1000,
};

/*
 * A session of its own, and nothing of a terminal that the master was started
 * from: what a child types into it is not read by a shell, and the signals of
 * its keys are the master's.
 */
static int
leave_terminal(struct err *err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status = 0;

	if (null == -1)
		return err_errno(err, "/dev/null");
	/* A process that was forked leads no group, which is the only failure.
	 */
	(void)setsid();
	if (dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1)
		status = err_errno(err, "/dev/null");
	fd_close(&null);
	return status;
}

/* "worker 3", for the log, ps and top. */
static void
set_name(struct child *child)
{
	(void)snprintf(child->name, sizeof(child->name), "%s %u",
	    child->alone ? CHILD_ALONE : role_name(child->role), child->number);
	log_set_name(child->name);
	title_set_thread(child->name);
	title_set("%s, starting", child->name);
}

/* As the user that this process is now, who may rule where it is. */
static void
open_bell(const struct child *child)
{
	struct err err;

	/* Once per start, not once per child. */
	if (bell_open(&child->sb->bell, &child->cfg->datastore.place, &err) ==
		-1 &&
	    child->number == 1)
		log_warnx(
		    "other masters of this host are not woken: %s", err.text);
}

int
child_isolate(struct child *child, struct err *err)
{
	/* Who tells nobody anything, and has no datastore. */
	bool reads_only = child->role == ROLE_METRICS;
	size_t n = 0;
	size_t max = 6 + SCOREBOARD_WORKER_SLOTS + child->n_listen;
	int *keep = calloc(max, sizeof(*keep));

	if (keep == NULL)
		return err_set(err, "out of memory");
	keep[n++] = child->status_fd;
	keep[n++] = child->life_fd;
	keep[n++] = child->owner_fd;
	keep[n++] = log_fd();
	if (!reads_only && child->cfg->datastore.place.takes_write_lock)
		keep[n++] = child->sb->write_lock.fd;
	if (child->role == ROLE_WORKER)
		keep[n++] = child->sb->wake_fds[child->slot][0];
	for (size_t i = 0; !reads_only && i < SCOREBOARD_WORKER_SLOTS; i++)
		keep[n++] = child->sb->wake_fds[i][1];
	for (size_t i = 0; i < child->n_listen; i++)
		keep[n++] = child->listen_fds[i];
	check(n <= max);
	fd_close_others(keep, n);
	free(keep);
	if (leave_terminal(err) == -1)
		return -1;
	set_name(child);
	child->score = scoreboard_enter(child->sb, child->slot);
	if (confine_user(child->role, child->cfg, err) == -1)
		return -1;
	/* A start that fails leaves none behind. */
	if (child->role == ROLE_SERVICE || child->role == ROLE_WORKER)
		open_bell(child);
	return confine_role(child->role, child->cfg, err);
}

static void
report(const struct child *child, enum child_state state, const char *reason)
{
	/* A master that is gone does not need to know. */
	(void)status_send(child->status_fd, state, reason);
}

static void
drain_child(struct child *child)
{
	size_t n_listen = child->n_listen;

	if (child->draining)
		return;
	child->draining = true;
	report(child, CHILD_DRAINING, NULL);
	child->drain(child->drain_arg);
	/* The port must not stay taken while the last requests end. */
	child->n_listen = 0;
	for (size_t i = 0; i < n_listen; i++)
		(void)close(child->listen_fds[i]);
}

static void
on_drain_signal(int fd, unsigned events, void *arg)
{
	struct child *child = arg;

	(void)events;
	while (sigpipe_next(fd) != 0)
		drain_child(child);
}

/* The master has opened it again. */
static void
on_log(int fd, unsigned events, void *arg)
{
	struct child *child = arg;
	int log_fd, n;

	(void)events;
	while ((n = status_recv_log(fd, &log_fd)) == 1)
		log_use(log_fd);
	if (n == -1)
		loop_io_free(&child->log_io);
}

/* Nothing is ever written to the pipe: this is its end. */
static void
on_masters_death(int fd, unsigned events, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)events;
	loop_io_free(&child->life_io);
	log_warnx("the master is gone: draining");
	/* Nobody else is left to end a drain that takes too long. */
	(void)alarm(
	    (unsigned)(child->cfg->master.shutdown_timeout_ms / 1000 + 1));
	drain_child(child);
}

static void
on_stall(void *arg, int64_t ms)
{
	const struct child *child = arg;

	log_warnx("the event loop stood still for %lld ms", (long long)ms);
	metric_add(child->score, METRIC_LOOP_STALLS, 1);
	metric_add(child->score, METRIC_LOOP_STALLED_MS, ms);
}

static void
on_title_time(void *arg)
{
	struct child *child = arg;

	/* Before the next sleep it is shown again. */
	child->title_is_fresh = false;
}

/* Signals to a whole group, of a terminal say, are the master's. */
static void
leave_signals_to_master(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction standard = {.sa_handler = SIG_DFL};

	/* None of them can fail: the numbers are valid. */
	(void)sigaction(SIGINT, &ignore, NULL);
	(void)sigaction(SIGHUP, &ignore, NULL);
	(void)sigaction(SIGUSR1, &ignore, NULL);
	(void)sigaction(SIGUSR2, &ignore, NULL);
	(void)sigaction(SIGCHLD, &standard, NULL);
}

int
child_init(struct child *child, void (*drain_fn)(void *arg), void *arg,
    struct err *err)
{
	static const int signals[] = {SIGTERM, 0};

	check(drain_fn != NULL && !child->draining);
	child->drain = drain_fn;
	child->drain_arg = arg;
	if (child_isolate(child, err) == -1)
		return -1;
	leave_signals_to_master();
	child->signal_fd = sigpipe_open(signals, err);
	if (child->signal_fd == -1)
		return -1;
	child->loop = loop_create();
	if (child->loop == NULL)
		return err_set(err, "cannot make the event loop");
	loop_on_stall(child->loop, STALL_MS, on_stall, child);
	child->signal_io = loop_io_create(
	    child->loop, child->signal_fd, LOOP_READ, on_drain_signal, child);
	child->life_io = loop_io_create(
	    child->loop, child->life_fd, LOOP_READ, on_masters_death, child);
	child->log_io = loop_io_create(
	    child->loop, child->status_fd, LOOP_READ, on_log, child);
	child->title_timer =
	    loop_timer_create(child->loop, on_title_time, child);
	if (child->signal_io == NULL || child->life_io == NULL ||
	    child->log_io == NULL || child->title_timer == NULL)
		return err_set(err, "out of memory");
	return 0;
}

void
child_leave(struct child *child)
{
	drain_child(child);
}

void
child_ready(struct child *child)
{
	title_set("%s, ready", child->name);
	report(child, CHILD_READY, NULL);
}

void
child_passed(struct child *child, const char *weakness)
{
	report(child, CHILD_READY, weakness);
}

void
child_show(struct child *child, const char *fmt, ...)
{
	char text[sizeof(child->title)];
	va_list ap;
	size_t len;

	if (child->title_is_fresh)
		return;
	len = (size_t)snprintf(text, sizeof(text), "%s, %s", child->name,
	    child->draining ? "draining, " : "");
	va_start(ap, fmt);
	(void)vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	if (strcmp(text, child->title) == 0)
		return;
	memcpy(child->title, text, sizeof(text));
	title_set("%s", text);
	child->title_is_fresh = true;
	loop_timer_set(child->title_timer, TITLE_MS);
}

void
child_failed(struct child *child, const char *reason)
{
	report(child, CHILD_FAILED, reason);
}

void
child_fini(struct child *child)
{
	loop_io_free(&child->signal_io);
	loop_io_free(&child->life_io);
	loop_io_free(&child->log_io);
	loop_timer_free(&child->title_timer);
	loop_free(child->loop);
	child->loop = NULL;
}

void
child_store_params(const struct child *child, struct store_params *params)
{
	*params = config_store_params(child->cfg);
	if (child->cfg->datastore.place.takes_write_lock)
		params->write_lock = &child->sb->write_lock;
}
