/* SPDX-License-Identifier: ISC */
#include "master/master.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "master/control.h"
#include "master/follow.h"
#include "master/handover.h"
#include "master/notify.h"
#include "master/upgrade.h"

enum { LISTEN_RETRY_MS = 1000, UPGRADE_REASONS_MAX = 16 };

/* ---- the log ---- */

static const char *
log_destination(const struct master *m, const struct config_log *cfg)
{
	if (m->options.foreground && strcmp(cfg->destination, "syslog") != 0)
		return "stderr";
	return cfg->destination;
}

static int
use_log(const struct master *m, const struct config_log *cfg, struct err *err)
{
	if (!m->options.foreground && strcmp(cfg->destination, "stderr") == 0)
		return err_set(
		    err, "log.destination: stderr needs --foreground");
	return log_open(log_destination(m, cfg), cfg->level,
	    (size_t)cfg->max_line_bytes, err);
}

/*
 * So that children can open it again when it was renamed. A file of a second
 * name may be one that is not theirs.
 */
static void
give_log(const struct config_master *cfg)
{
	struct stat st;
	int fd = log_fd();

	if (cfg->user != NULL && geteuid() == 0 && fd > STDERR_FILENO &&
	    fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    fchown(fd, cfg->uid, cfg->gid) == -1)
		log_warn("the log cannot be given to user %s", cfg->user);
}

/* ---- changes of generation ---- */

/* The keys that this process was built on. */
static int
check_fixed_keys(const struct config_master *old,
    const struct config_master *new, struct err *err)
{
	const struct {
		const char *name, *old, *new;
	} keys[] = {
	    {"stateDirectory", old->state_dir, new->state_dir},
	    {"pidFile", old->pid_file, new->pid_file},
	    {"controlSocket", old->control_socket, new->control_socket},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].old, keys[i].new) != 0)
			return err_set(err,
			    "master.%s: a change takes effect at a restart "
			    "only",
			    keys[i].name);
	}
	return 0;
}

static bool
keeps_listener(const struct master *m, const struct config_service *cfg)
{
	const struct config_service *old;

	if (m->current == NULL)
		return false;
	old = &m->current->cfg.service;
	return m->options.activated ||
	       (old->port == cfg->port &&
		   strcmp(old->listen, cfg->listen) == 0);
}

/* Of the first generation: new sockets, or those that were inherited. */
static struct listener *
first_listener(
    struct master *m, const struct config_service *cfg, struct err *err)
{
	struct listener *old, *new;

	old = listener_adopt(
	    m->options.inherited, m->options.n_inherited, err);
	if (old == NULL || m->options.activated)
		return old;
	new = listener_open(cfg->listen, cfg->port, LISTEN_RETRY_MS, old, err);
	listener_free(&old);
	return new;
}

static int
choose_listener(struct master *m, struct generation *gen, struct err *err)
{
	const struct config_service *cfg = &gen->cfg.service;

	if (m->options.source.roles == CONFIG_WORKER_ONLY)
		return 0;
	if (keeps_listener(m, cfg))
		gen->listener = m->current->listener;
	else if (m->current == NULL)
		gen->listener = first_listener(m, cfg, err);
	else
		gen->listener =
		    listener_open(cfg->listen, cfg->port, 0, NULL, err);
	return gen->listener == NULL ? -1 : 0;
}

/* Takes back what the start of a generation changed in the master. */
static void
abandon(struct master *m, struct generation *gen)
{
	struct err err;

	if (m->current == NULL || m->current->listener != gen->listener)
		listener_free(&gen->listener);
	gen->listener = NULL;
	if (m->current != NULL && use_log(m, &m->current->cfg.log, &err) == -1)
		log_errorx("%s", err.text);
}

/*
 * Takes over cfg. First a preflight tries the datastore, in a process of its
 * own since this one keeps away from it, then the children are started.
 */
static int
change_begin(struct master *m, struct config *cfg, struct err *err)
{
	struct generation *gen =
	    generation_create(++m->n_generations, cfg, m->options.source.roles);

	if (gen == NULL)
		return err_set(err, "out of memory");
	if ((m->current != NULL && check_fixed_keys(&m->current->cfg.master,
				       &gen->cfg.master, err) == -1) ||
	    use_log(m, &gen->cfg.log, err) == -1 ||
	    choose_listener(m, gen, err) == -1) {
		abandon(m, gen);
		generation_free(gen);
		return -1;
	}
	give_log(&gen->cfg.master);
	TAILQ_INSERT_TAIL(&m->generations, gen, entry);
	m->next = gen;
	gen->preflight.start_at_ms = 0;
	return 0;
}

static void
end_reload(struct master *m, const struct config_errors *errors)
{
	for (size_t i = 0; errors != NULL && i < errors->len; i++)
		log_errorx("reload: %s", errors->list[i].text);
	if (errors == NULL)
		log_info("reloaded");
	else
		log_warnx("not reloaded: the old configuration stays");
	notify_ready();
	control_change_ended(m->control, errors);
}

static void
fail_reload(struct master *m, const char *reason)
{
	struct err err;
	struct config_errors errors = {.len = 1, .list = &err};

	(void)err_set(&err, "%s", reason);
	end_reload(m, &errors);
}

/* All children must go, and then this process. */
static void
leave(struct master *m)
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

/* The children that were started must go, what there was before stays. */
static void
change_failed(struct master *m, const char *reason)
{
	struct generation *gen = m->next;

	m->next = NULL;
	abandon(m, gen);
	generation_drain(gen);
	if (m->current != NULL) {
		fail_reload(m, reason);
	} else {
		(void)err_set(&m->failure, "%s", reason);
		leave(m);
	}
}

static void
log_listening(const struct listener *listener)
{
	char name[256];

	for (size_t i = 0; listener != NULL && i < listener->n; i++) {
		if (listener_name(listener->fds[i], name, sizeof(name)) == 0)
			log_info("listening on %s", name);
	}
}

static void
warn_of_rights(const struct config_master *cfg)
{
	if (cfg->user == NULL && geteuid() == 0)
		log_warnx("children run as root: set master.user");
	if (cfg->user != NULL && geteuid() != 0 && geteuid() != cfg->uid)
		log_warnx("master.user: only root can become %s", cfg->user);
}

static void
change_done(struct master *m)
{
	struct generation *old = m->current;

	m->current = m->next;
	m->next = NULL;
	if (old == NULL || old->listener != m->current->listener)
		log_listening(m->current->listener);
	if (old == NULL) {
		warn_of_rights(&m->current->cfg.master);
		log_info("ready");
		if (m->options.handover != NULL) {
			follow_ready(m);
			return;
		}
		notify_ready();
		if (m->options.ready_fd != -1)
			daemonize_ready(&m->options.ready_fd);
		return;
	}
	/* The old children close their own copies when they drain. */
	if (old->listener != m->current->listener)
		listener_free(&old->listener);
	old->listener = NULL;
	generation_drain(old);
	end_reload(m, NULL);
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
		end_reload(m, &errors);
	} else if (has_lost_file(m, &cfg)) {
		config_free(&cfg);
		(void)err_set(
		    &err, "%s is no longer there", m->current->cfg.file);
		fail_reload(m, err.text);
	} else if (change_begin(m, &cfg, &err) == -1) {
		fail_reload(m, err.text);
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
	leave(m);
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
	atomic_store(&m->sb.shared->stopping, true);
	if (m->next != NULL)
		change_failed(m, m->current == NULL
				     ? "stopped before it was ready"
				     : "the daemon is stopping");
	/* Nobody waits for the start: a stop is what was asked for. */
	if (m->options.ready_fd == -1)
		m->failure.text[0] = '\0';
	notify_stopping();
	leave(m);
}

/* ---- children ---- */

static struct place *
find_place(struct master *m, pid_t pid, struct generation **gen)
{
	TAILQ_FOREACH(*gen, &m->generations, entry) {
		struct place *place = generation_find(*gen, pid);

		if (place != NULL)
			return place;
	}
	return NULL;
}

static void
on_report(struct master *m, const struct child_status *status)
{
	struct generation *gen;
	struct place *place = find_place(m, status->pid, &gen);

	/* A late report of one that is gone. */
	if (place == NULL)
		return;
	if (status->state == CHILD_FAILED) {
		(void)err_set(&place->reason, "%s", status->reason);
		return;
	}
	place->state = (enum child_state)status->state;
	if (place->state == CHILD_READY) {
		place->was_ready = true;
		supervise_on_ready(&place->history);
	}
}

static void
read_reports(struct master *m)
{
	struct child_status status;
	int n;

	while ((n = status_recv(m->status_fds[0], &status)) == 1)
		on_report(m, &status);
	if (n == -1)
		log_warn("cannot read a child's report");
}

static void
on_reports(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	read_reports(arg);
}

static void
on_preflight_end(struct master *m, struct generation *gen, int wait_status,
    const char *description)
{
	const char *reason = gen->preflight.reason.text;

	if (gen != m->next)
		return;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_CHILD_OK)
		generation_start(gen);
	else
		change_failed(m, reason[0] == '\0' ? description : reason);
}

static void
plan_replacement(struct master *m, struct generation *gen, struct place *place,
    int wait_status, const char *description)
{
	int64_t now_ms = clock_mono_ms(), delay_ms;
	struct supervise_exit end = {
	    .wait_status = wait_status,
	    .was_ready = place->was_ready,
	    .age_ms = now_ms - place->started_ms,
	};

	delay_ms = supervise_on_exit(&place->history, &end);
	if (gen == m->next && (!end.was_ready || delay_ms == SUPERVISE_NEVER)) {
		change_failed(m, description);
		return;
	}
	if (delay_ms == SUPERVISE_NEVER) {
		place->state = CHILD_FAILED;
		log_errorx("%s; it is not started again", description);
	} else {
		place->start_at_ms = now_ms + delay_ms;
		log_warnx("%s; its successor starts in %g s", description,
		    (double)delay_ms / 1000);
	}
}

static void
on_end(struct master *m, pid_t pid, int wait_status)
{
	struct generation *gen;
	struct place *place = find_place(m, pid, &gen);
	struct err description;

	if (place == NULL)
		return;
	spawn_describe_end(place, wait_status, &description);
	spawn_vacate(m, place);
	if (place == &gen->preflight)
		on_preflight_end(m, gen, wait_status, description.text);
	else if (!gen->draining)
		plan_replacement(m, gen, place, wait_status, description.text);
	else if (wait_status != 0 && !place->killed)
		log_warnx("%s", description.text);
	else
		log_debug("%s", description.text);
}

static void
reap(struct master *m)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		/* Its last report was written before it ended. */
		read_reports(m);
		if (!upgrade_on_end(m, pid, wait_status))
			on_end(m, pid, wait_status);
	}
}

static void
start_place(struct master *m, struct generation *gen, struct place *place)
{
	static const struct supervise_exit stillborn = {.was_ready = false};
	struct err err;

	if (spawn_child(m, gen, place, &err) == 0)
		return;
	if (gen == m->next) {
		change_failed(m, err.text);
		return;
	}
	log_errorx("%s", err.text);
	place->start_at_ms =
	    clock_mono_ms() + supervise_on_exit(&place->history, &stillborn);
}

static void
kill_late(const struct generation *gen, struct place *place)
{
	const struct config_master *cfg = &gen->cfg.master;

	if (gen->draining)
		log_warnx("%s %u (pid %ld) did not leave within %g s: killed",
		    role_name(place->role), place->number, (long)place->pid,
		    (double)cfg->shutdown_timeout_ms / 1000);
	else
		(void)err_set(&place->reason,
		    place->role == ROLE_PREFLIGHT
			? "the datastore did not answer within %g s"
			: "killed after %g s",
		    (double)cfg->start_timeout_ms / 1000);
	place->killed = true;
	/* Our child until we reaped it: there is nothing to fail. */
	(void)kill(place->pid, SIGKILL);
}

/* The time of what is due next in a place; what is due now, is done. */
static int64_t
place_deadline(struct generation *gen, struct place *place, int64_t now_ms)
{
	int64_t deadline_ms = INT64_MAX;

	if (place->pid == 0)
		return place->start_at_ms;
	if (place->killed)
		return INT64_MAX;
	if (gen->draining)
		deadline_ms = gen->kill_at_ms;
	else if (place->state == CHILD_STARTING)
		deadline_ms =
		    place->started_ms + gen->cfg.master.start_timeout_ms;
	if (deadline_ms > now_ms)
		return deadline_ms;
	kill_late(gen, place);
	return INT64_MAX;
}

static int64_t
generation_deadline(struct generation *gen, int64_t now_ms)
{
	int64_t next_ms = place_deadline(gen, &gen->preflight, now_ms);

	for (size_t i = 0; i < gen->n_places; i++) {
		int64_t ms = place_deadline(gen, &gen->places[i], now_ms);

		if (ms < next_ms)
			next_ms = ms;
	}
	return next_ms;
}

static void
start_due(struct master *m, struct generation *gen, int64_t now_ms)
{
	if (gen->preflight.start_at_ms <= now_ms)
		start_place(m, gen, &gen->preflight);
	for (size_t i = 0; i < gen->n_places; i++) {
		if (gen->places[i].start_at_ms <= now_ms)
			start_place(m, gen, &gen->places[i]);
	}
}

/* Returns when to look again. */
static int64_t
tick(struct master *m)
{
	int64_t now_ms = clock_mono_ms(), ms;
	int64_t next_ms = upgrade_deadline(m, now_ms);
	struct generation *gen;

	/* First all of these: a failed start changes deadlines. */
	TAILQ_FOREACH(gen, &m->generations, entry)
		start_due(m, gen, now_ms);
	TAILQ_FOREACH(gen, &m->generations, entry) {
		ms = generation_deadline(gen, now_ms);
		if (ms < next_ms)
			next_ms = ms;
	}
	return next_ms;
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
	next_ms = tick(m);
	free_drained(m);
	if (m->stopping && TAILQ_EMPTY(&m->generations) && !passes_news_on(m))
		loop_stop(m->loop);
	else if (next_ms == INT64_MAX)
		loop_timer_clear(m->timer);
	else if (loop_timer_set(m->timer, next_ms - clock_mono_ms()) == -1)
		log_errorx("cannot set a timer");
}

static void
on_timer(void *arg)
{
	/* Waking was the purpose: before_sleep does what is due. */
	(void)arg;
}

/* ---- signals ---- */

static void
reopen_logs(struct master *m)
{
	struct generation *gen;

	log_reopen();
	if (m->current != NULL)
		give_log(&m->current->cfg.master);
	TAILQ_FOREACH(gen, &m->generations, entry)
		generation_signal(gen, SIGUSR1);
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
			reap(m);
			break;
		case SIGHUP:
			if (master_reload(m, &refused) == -1)
				log_warnx("reload refused: %s", refused.text);
			break;
		case SIGUSR1:
			reopen_logs(m);
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
	if (fd_pipe(m->status_fds) == -1 || fd_pipe(m->life_fds) == -1)
		return err_errno(err, "cannot open a pipe");
	m->loop = loop_create();
	if (m->loop == NULL)
		return err_set(err, "cannot make the event loop");
	loop_before_sleep(m->loop, before_sleep, m);
	m->signal_io =
	    loop_io_create(m->loop, signal_fd, LOOP_READ, on_signal, m);
	m->status_io =
	    loop_io_create(m->loop, m->status_fds[0], LOOP_READ, on_reports, m);
	m->timer = loop_timer_create(m->loop, on_timer, m);
	if (m->signal_io == NULL || m->status_io == NULL || m->timer == NULL)
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
	loop_io_free(&m->status_io);
	loop_io_free(&m->signal_io);
	loop_free(m->loop);
	if (m->sb.shared != NULL)
		scoreboard_free(&m->sb);
	for (int i = 0; i < 2; i++) {
		fd_close(&m->status_fds[i]);
		fd_close(&m->life_fds[i]);
	}
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
	    .status_fds = {-1, -1},
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
