/* SPDX-License-Identifier: ISC */
#include "master/master.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "master/change.h"
#include "master/children.h"
#include "master/control.h"
#include "master/daemonize.h"
#include "master/follow.h"
#include "master/handover.h"
#include "master/notify.h"
#include "master/upgrade.h"

enum { UPGRADE_REASONS_MAX = 16 };

/* ---- what is asked of it ---- */

void
master_leave(struct master *m)
{
	struct generation *gen;

	m->stopping = true;
	if (m->current != NULL)
		listener_free(&m->current->listener);
	TAILQ_FOREACH(gen, &m->generations, entry) {
		if (!gen->draining)
			generation_drain(gen);
	}
}

/* One change at a time. 0 or -1. */
static int
may_change(const struct master *m, struct err *refused)
{
	if (m->stopping)
		return err_set(refused, "%s",
		    m->replaced ? MASTER_REPLACED : "the daemon is stopping");
	if (m->current == NULL || !m->pidfile.ours)
		return err_set(refused, "a start is under way");
	if (m->next != NULL || m->upgrade != NULL)
		return err_set(refused, "%s is under way",
		    m->next != NULL ? "a reload" : "an upgrade");
	return 0;
}

/* The defaults in its place would be another daemon with other events. */
static bool
has_lost_file(const struct master *m, const struct config *cfg)
{
	return m->current->cfg.file != NULL && cfg->file == NULL;
}

int
master_reload(struct master *m, struct err *refused)
{
	struct config cfg;
	struct config_errors errors = {0};
	struct err err;

	if (may_change(m, refused) == -1)
		return -1;
	log_info("reloading");
	notify_reloading();
	if (config_load(&m->options.source, &cfg, &errors) == -1) {
		config_free(&cfg);
		change_end(m, &errors);
	} else if (has_lost_file(m, &cfg)) {
		config_free(&cfg);
		(void)err_set(
		    &err, "%s is no longer there", m->current->cfg.file);
		change_refused(m, err.text);
	} else if (change_begin(m, &cfg, &err) == -1) {
		change_refused(m, err.text);
	}
	config_errors_free(&errors);
	return 0;
}

int
master_upgrade(struct master *m, struct err *refused)
{
	if (may_change(m, refused) == -1)
		return -1;
	return upgrade_begin(m, refused);
}

/* Without the name of the program in front. */
static struct slice
next_line(struct slice *text)
{
	const char *end = memchr(text->p, '\n', text->len);
	size_t len = end == NULL ? text->len : (size_t)(end - text->p);
	size_t all = end == NULL ? len : len + 1;
	struct slice line = slice_of(text->p, len);
	struct slice name = SLICE_LITERAL("cassatad: ");

	*text = slice_of(text->p + all, text->len - all);
	if (line.len > name.len && memcmp(line.p, name.p, name.len) == 0)
		line = slice_of(line.p + name.len, line.len - name.len);
	return line;
}

void
master_upgrade_failed(struct master *m, struct slice reasons)
{
	struct err list[UPGRADE_REASONS_MAX];
	struct config_errors errors = {.list = list};

	while (reasons.len > 0 && errors.len < UPGRADE_REASONS_MAX) {
		struct slice line = next_line(&reasons);

		(void)err_set(
		    &list[errors.len++], "%.*s", (int)line.len, line.p);
		log_errorx("upgrade: %s", list[errors.len - 1].text);
	}
	log_warnx("not upgraded: this process goes on");
	control_change_ended(m->control, &errors);
}

void
master_replaced(struct master *m, pid_t successor)
{
	log_info("process %ld takes over: this one drains", (long)successor);
	notify_replaced(successor);
	control_leave(m->control);
	control_change_ended(m->control, NULL);
	pidfile_leave(&m->pidfile);
	m->replaced = true;
	master_leave(m);
}

void
master_take_over(struct master *m)
{
	struct err err;

	if (pidfile_take_over(&m->pidfile, &err) == -1)
		log_errorx("%s", err.text);
	control_take_over(m->control);
	notify_ready();
	log_info("took over from the process before this one");
}

void
master_stop(struct master *m)
{
	if (m->stopping)
		return;
	log_info("stopping");
	if (m->upgrade != NULL) {
		upgrade_end(m);
		master_upgrade_failed(
		    m, SLICE_LITERAL("the daemon is stopping"));
	}
	atomic_store(&m->sb.writable->master.stopping, true);
	if (m->next != NULL)
		change_failed(m, m->current == NULL
				     ? "stopped before it was ready"
				     : "the daemon is stopping");
	/* Nobody waits for the start: a stop is what was asked for. */
	if (m->options.ready_fd == -1)
		m->failure.text[0] = '\0';
	notify_stopping();
	master_leave(m);
}

static void
free_drained(struct master *m)
{
	struct generation *gen, *next;

	for (gen = TAILQ_FIRST(&m->generations); gen != NULL; gen = next) {
		next = TAILQ_NEXT(gen, entry);
		if (!gen->draining || !generation_is_empty(gen))
			continue;
		if (gen == m->current)
			m->current = NULL;
		TAILQ_REMOVE(&m->generations, gen, entry);
		generation_free(gen);
	}
}

/* The master before this one still drains, and the next one hears of its
 * workers through this one only. */
static bool
passes_news_on(const struct master *m)
{
	return m->replaced && m->old_io != NULL;
}

/* The one place where time passes and generations change or end. */
static void
before_sleep(void *arg)
{
	struct master *m = arg;
	int64_t next_ms;

	if (m->next != NULL && generation_is_ready(m->next))
		change_done(m);
	next_ms = children_tick(m);
	free_drained(m);
	if (m->stopping && TAILQ_EMPTY(&m->generations) && !passes_news_on(m))
		loop_stop(m->loop);
	else if (next_ms == INT64_MAX)
		loop_timer_clear(m->timer);
	else
		loop_timer_set(m->timer, next_ms - clock_mono_ms());
}

static void
on_timer(void *arg)
{
	/* Waking was the purpose: before_sleep does what is due. */
	(void)arg;
}

/* ---- signals ---- */

void
master_reopen_logs(struct master *m)
{
	struct generation *gen;

	if (log_reopen() == 0) {
		TAILQ_FOREACH(gen, &m->generations, entry)
			generation_send_log(gen, log_fd());
	}
	upgrade_reopen_log(m);
}

static void
on_signal(int fd, unsigned events, void *arg)
{
	struct master *m = arg;
	struct err refused;
	int signal;

	(void)events;
	while ((signal = sigpipe_next(fd)) != 0) {
		switch (signal) {
		case SIGCHLD:
			children_reap(m);
			break;
		case SIGHUP:
			if (master_reload(m, &refused) == -1)
				log_warnx("reload refused: %s", refused.text);
			break;
		case SIGUSR1:
			master_reopen_logs(m);
			break;
		case SIGUSR2:
			if (master_upgrade(m, &refused) == -1)
				log_warnx("upgrade refused: %s", refused.text);
			break;
		default: /* SIGTERM, SIGINT */
			master_stop(m);
			break;
		}
	}
}

/* ---- life ---- */

static int
open_loop(struct master *m, struct err *err)
{
	static const int signals[] = {
	    SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, 0};
	int signal_fd = sigpipe_open(signals, err);

	if (signal_fd == -1)
		return -1;
	if (fd_pipe(m->life_fds) == -1)
		return err_errno(err, "cannot open a pipe");
	m->loop = loop_create();
	if (m->loop == NULL)
		return err_set(err, "cannot make the event loop");
	loop_before_sleep(m->loop, before_sleep, m);
	m->signal_io =
	    loop_io_create(m->loop, signal_fd, LOOP_READ, on_signal, m);
	m->timer = loop_timer_create(m->loop, on_timer, m);
	if (m->signal_io == NULL || m->timer == NULL)
		return err_set(err, "out of memory");
	return 0;
}

static int
master_open(struct master *m, struct config *cfg, struct err *err)
{
	const struct handover *handover = m->options.handover;
	int (*lock)(struct pidfile *, const char *, struct err *) =
	    handover == NULL ? pidfile_lock : pidfile_follow;

	if (lock(&m->pidfile, cfg->master.pid_file, err) == -1 ||
	    scoreboard_create(&m->sb, err) == -1 || open_loop(m, err) == -1 ||
	    follow_open(m, err) == -1)
		return -1;
	m->control = control_open(m, cfg->master.control_socket,
	    handover == NULL ? -1 : handover->control_fd, err);
	if (m->control == NULL)
		return -1;
	return change_begin(m, cfg, err);
}

static void
master_close(struct master *m)
{
	struct generation *gen;

	/* Children are left only when the loop failed; they see us go. */
	while ((gen = TAILQ_FIRST(&m->generations)) != NULL) {
		TAILQ_REMOVE(&m->generations, gen, entry);
		if (gen == m->current)
			listener_free(&gen->listener);
		generation_free(gen);
	}
	upgrade_end(m);
	follow_close(m);
	control_close(&m->control);
	loop_timer_free(&m->timer);
	loop_io_free(&m->signal_io);
	loop_free(m->loop);
	if (m->sb.shared != NULL)
		scoreboard_free(&m->sb);
	fd_close(&m->life_fds[0]);
	fd_close(&m->life_fds[1]);
	pidfile_remove(&m->pidfile);
}

/* At the very end, so that a new start cannot meet what is left of this one. */
static void
report_failure(struct master *m)
{
	follow_failed(m, m->failure.text);
	if (m->options.ready_fd != -1)
		daemonize_failed(&m->options.ready_fd, m->failure.text);
	else if (m->options.handover == NULL)
		(void)fprintf(stderr, "cassatad: %s\n", m->failure.text);
}

int
master_run(const struct master_options *options, struct config *cfg)
{
	struct master m = {
	    .options = *options,
	    .started_ms = clock_wall_ms(),
	    .pidfile = {.fd = -1},
	    .life_fds = {-1, -1},
	    .generations = TAILQ_HEAD_INITIALIZER(m.generations),
	};

	log_set_name("master");
	if (master_open(&m, cfg, &m.failure) == 0 && loop_run(m.loop) == -1)
		(void)err_set(&m.failure, "the event loop failed");
	if (m.failure.text[0] == '\0')
		log_info("stopped");
	else if (!options->foreground)
		log_errorx("%s", m.failure.text);
	master_close(&m);
	if (m.failure.text[0] == '\0')
		return EXIT_SUCCESS;
	report_failure(&m);
	return EXIT_FAILURE;
}
