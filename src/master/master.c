/* SPDX-License-Identifier: ISC */
#include "master/master.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "base/title.h"
#include "board/shardboard.h"
#include "master/children.h"
#include "master/control.h"
#include "master/control_status.h"
#include "master/daemonize.h"
#include "master/ear.h"
#include "master/finding.h"
#include "master/freeze.h"
#include "master/handover.h"
#include "master/notify.h"
#include "master/predecessor.h"
#include "master/reload.h"
#include "master/successor.h"

enum { EAR_PAUSE_MS = 5, EAR_PAUSE_LONG_MS = 100 };

/* ---- what follows from what happened ---- */

static void
leave(struct master *m)
{
	struct generation *gen;

	if (m->current != NULL)
		listener_free(&m->current->listener);
	TAILQ_FOREACH(gen, &m->generations, entry) {
		if (!gen->draining)
			generation_drain(gen);
	}
}

static void
log_reasons(const char *what, struct slice reasons)
{
	struct slice line;

	while (finding_next_reason(&reasons, &line))
		log_errorx("%s: %.*s", what, (int)line.len, line.p);
}

static void
not_reloaded(struct master *m, struct slice reasons)
{
	m->thawing = false;
	log_reasons("reload", reasons);
	log_warnx("not reloaded: the old configuration stays");
	notify_ready();
	control_answer_waiting(m->control, reasons);
}

static void
not_upgraded(struct master *m, struct slice reasons)
{
	log_reasons("upgrade", reasons);
	log_warnx("not upgraded: this process goes on");
	control_answer_waiting(m->control, reasons);
	successor_end(&m->successor);
}

/* In a successor: holds pid file and control socket from now on. */
static void
take_places(struct master *m)
{
	struct err err;

	if (m->pidfile.ours)
		return;
	if (pidfile_take_over(&m->pidfile, &err) == -1)
		log_errorx("%s", err.text);
	control_take_over(m->control);
	if (m->phase == PHASE_SERVING)
		notify_ready();
	log_info("took over from the process before this one");
}

/* Once its children have made the bell. Who has no workers keeps it small. */
static void
listen_to_others(struct master *m)
{
	const struct config *cfg = &m->current->cfg;
	bool tells_nobody = m->options.source.roles == CONFIG_SERVICE_ONLY;
	struct err err;

	if (ear_is_of(m->ear, cfg))
		return;
	ear_free(&m->ear);
	m->ear = ear_create(m->loop, &m->sb, cfg,
	    tells_nobody ? EAR_PAUSE_LONG_MS : EAR_PAUSE_MS, &err);
	if (m->ear == NULL)
		log_warnx("other masters of this host wake no worker here: %s",
		    err.text);
}

static void
on_reloaded(struct master *m)
{
	struct err err = {.text = ""};

	log_info("reloaded");
	notify_ready();
	if (m->thawing && freeze_end(m, &err) == -1)
		log_errorx("not thawed: %s", err.text);
	m->thawing = false;
	control_answer_waiting(m->control, slice_from_string(err.text));
}

static void
on_generation_ready(struct master *m, enum phase was)
{
	reload_commit(m);
	listen_to_others(m);
	if (was == PHASE_RELOADING) {
		on_reloaded(m);
		return;
	}
	log_info("ready");
	if (m->phase == PHASE_WAITING) {
		predecessor_tell(m, HANDOVER_READY);
	} else if (!m->pidfile.ours) {
		take_places(m);
	} else {
		notify_ready();
		if (m->options.ready_fd != -1)
			daemonize_ready(&m->options.ready_fd);
	}
}

static void
on_generation_failed(struct master *m, enum phase was, struct slice reasons)
{
	struct slice first;

	reload_abandon(m);
	if (was == PHASE_RELOADING) {
		not_reloaded(m, reasons);
		return;
	}
	if (finding_next_reason(&reasons, &first))
		(void)err_set(&m->failure, "%.*s", (int)first.len, first.p);
	leave(m);
}

/* The successor has taken over: this process leaves when its children have. */
static void
on_replaced(struct master *m)
{
	pid_t pid = successor_pid(m->successor);

	log_info("process %ld takes over: this one drains", (long)pid);
	notify_replaced(pid);
	control_leave(m->control);
	control_answer_waiting(m->control, slice_of("", 0));
	pidfile_leave(&m->pidfile);
	leave(m);
}

/* Everything that the parts find ends here. */
static void
conclude(struct master *m, struct finding *finding)
{
	enum phase was = m->phase, now;

	if (finding->cause == CAUSE_NONE)
		return;
	now = phase_on(was, finding->cause);
	check(now < PHASES);
	m->phase = now;
	switch (finding->cause) {
	case CAUSE_READY:
		on_generation_ready(m, was);
		break;
	case CAUSE_FAILED:
		on_generation_failed(m, was, finding_reasons(finding));
		break;
	case CAUSE_LET_GO:
		if (now == PHASE_SERVING || now == PHASE_STOPPING)
			take_places(m);
		break;
	case CAUSE_REPLACED:
		on_replaced(m);
		break;
	case CAUSE_NO_SUCCESSOR:
		not_upgraded(m, finding_reasons(finding));
		break;
	case CAUSE_RELOAD:
	case CAUSE_UPGRADE:
	case CAUSE_STOP:
	case CAUSE_NONE:
	default:
		check(false);
	}
	finding_free(finding);
	finding_init(finding);
}

/* ---- what is asked of it ---- */

/* 0 and the next phase, or -1 with refused. */
static int
request(const struct master *m, enum cause cause, enum phase *next,
    struct err *refused)
{
	*next = phase_on(m->phase, cause);
	check(*next != PHASE_NEVER);
	return *next == PHASE_REFUSED ? phase_refuse(m->phase, refused) : 0;
}

static int
master_reload(void *arg, struct err *refused)
{
	struct master *m = arg;
	struct finding finding;
	enum phase next;

	if (request(m, CAUSE_RELOAD, &next, refused) == -1)
		return -1;
	m->phase = next;
	log_info("reloading");
	notify_reloading();
	finding_init(&finding);
	reload_again(m, &finding);
	conclude(m, &finding);
	return 0;
}

static int
master_upgrade(void *arg, struct err *refused)
{
	struct master *m = arg;
	enum phase next;

	if (request(m, CAUSE_UPGRADE, &next, refused) == -1 ||
	    successor_begin(m, refused) == -1)
		return -1;
	m->phase = next;
	return 0;
}

/* What was under way will not be. */
static void
stop_change(struct master *m, enum phase was)
{
	const struct slice reason = SLICE_LITERAL("the daemon is stopping\n");

	if (was == PHASE_UPGRADING)
		not_upgraded(m, reason);
	reload_abandon(m);
	if (was == PHASE_RELOADING)
		not_reloaded(m, reason);
	/* Nobody waits for the start: a stop is what was asked for. */
	if (m->current == NULL && m->options.ready_fd != -1)
		(void)err_set(&m->failure, "stopped before it was ready");
}

static int
master_stop(void *arg, struct err *refused)
{
	struct master *m = arg;
	enum phase was = m->phase, next;

	if (request(m, CAUSE_STOP, &next, refused) == -1)
		return -1;
	if (was == next)
		return 0;
	m->phase = next;
	log_info("stopping");
	atomic_store(&m->sb.writable->master.stopping, true);
	stop_change(m, was);
	notify_stopping();
	leave(m);
	return 0;
}

/* Only a generation that works has workers to stop, or to start. */
static int
refuse_but_serving(const struct master *m, struct err *refused)
{
	return m->phase == PHASE_SERVING ? 0 : phase_refuse(m->phase, refused);
}

static int
master_freeze(void *arg, struct err *refused)
{
	return refuse_but_serving(arg, refused) == -1
		   ? -1
		   : freeze_begin(arg, refused);
}

/*
 * By a reload: its preflight looks at the datastore, which may be another one
 * by now, have another schema, or be the target of a migrate that is under way.
 */
static int
master_thaw(void *arg, struct err *refused)
{
	struct master *m = arg;

	if (refuse_but_serving(m, refused) == -1)
		return -1;
	if (!m->frozen) {
		control_answer_waiting(m->control, slice_of("", 0));
		return 0;
	}
	m->thawing = true;
	return master_reload(m, refused);
}

static void
master_reopen_logs(void *arg)
{
	struct master *m = arg;
	struct generation *gen;

	if (log_reopen() == 0) {
		TAILQ_FOREACH(gen, &m->generations, entry)
			generation_send_log(gen, log_fd());
	}
	successor_reopen_log(m->successor);
}

static void
master_status(void *arg, struct buf *answer)
{
	control_status_write(arg, answer);
}

/* Whoever made it speak there would try again. */
static bool
master_is_child(void *arg, pid_t pid)
{
	return children_kill(
	    arg, pid, "killed: it spoke on the control socket");
}

static const struct control_ops control_ops = {
    .status = master_status,
    .reload = master_reload,
    .upgrade = master_upgrade,
    .stop = master_stop,
    .freeze = master_freeze,
    .thaw = master_thaw,
    .reopen_logs = master_reopen_logs,
    .is_child = master_is_child,
};

/* ---- a turn of the loop ---- */

static bool
is_drained(const struct generation *gen)
{
	return gen->draining && generation_is_empty(gen);
}

/* The last one stays: a status tells of it. */
static void
free_drained(struct master *m)
{
	struct generation *gen, *next;

	for (gen = TAILQ_FIRST(&m->generations); gen != NULL; gen = next) {
		next = TAILQ_NEXT(gen, entry);
		if (!is_drained(gen) ||
		    (next == NULL && gen == TAILQ_FIRST(&m->generations)))
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
	return m->phase == PHASE_TAKEN_OVER &&
	       predecessor_lives(m->predecessor);
}

/* Once free_drained has freed what it can. */
static bool
master_is_over(const struct master *m)
{
	return (m->phase == PHASE_STOPPING || m->phase == PHASE_TAKEN_OVER) &&
	       is_drained(TAILQ_FIRST(&m->generations)) && !passes_news_on(m);
}

static void
conclude_all(struct master *m, int64_t now_ms)
{
	struct finding finding;

	finding_init(&finding);
	predecessor_look(m->predecessor, &finding);
	conclude(m, &finding);
	successor_look(m->successor, now_ms, &finding);
	conclude(m, &finding);
	if (m->next != NULL && generation_is_ready(m->next))
		finding.cause = CAUSE_READY;
	conclude(m, &finding);
	children_start_due(m, now_ms, &finding);
	while (finding.cause != CAUSE_NONE) {
		conclude(m, &finding);
		children_start_due(m, now_ms, &finding);
	}
}

static uint64_t
owner_of_death(const struct master *m, uint64_t n)
{
	return atomic_load(
	    &m->sb.shared->master.dead[n % SCOREBOARD_DEAD].owner);
}

/* What the datastore knows of need not be told by the next master. */
static void
forget_told(struct master *m)
{
	const struct scoreboard_master *shared = &m->sb.shared->master;
	uint64_t n_dead = atomic_load(&shared->n_dead), n_told = 0;

	for (int i = 0; i < atomic_load(&shared->n_worker_slots); i++) {
		uint64_t n =
		    atomic_load(&scoreboard_slot(&m->sb, i)->n_dead_told);

		if (n > n_told && n <= n_dead)
			n_told = n;
	}
	/* Of more than there is room for the others are told of again. */
	if (n_dead - m->n_forgotten > SCOREBOARD_DEAD)
		m->n_forgotten = n_dead - SCOREBOARD_DEAD;
	for (; m->n_forgotten < n_told; m->n_forgotten++)
		owners_forget(&m->owners, owner_of_death(m, m->n_forgotten));
}

/* The one place where time passes and generations change or end. */
static void
before_sleep(void *arg)
{
	struct master *m = arg;
	const char *state;
	int64_t now_ms = clock_mono_ms(), next_ms, ms;

	conclude_all(m, now_ms);
	forget_told(m);
	next_ms = children_deadline(m, now_ms);
	ms = successor_deadline(m->successor);
	if (ms < next_ms)
		next_ms = ms;
	free_drained(m);
	ms = freeze_look(m, now_ms);
	if (ms < next_ms)
		next_ms = ms;
	state = m->frozen && m->phase == PHASE_SERVING ? "frozen"
						       : phase_state(m->phase);
	if (state != m->shown_state)
		title_set("master, %s", state);
	m->shown_state = state;
	if (master_is_over(m))
		loop_stop(m->loop);
	else if (next_ms == INT64_MAX)
		loop_timer_clear(m->timer);
	else
		loop_timer_set(m->timer, next_ms - clock_mono_ms());
}

static void
on_wakeup(void *arg)
{
	/* Waking was the purpose: before_sleep does what is due. */
	(void)arg;
}

/* ---- signals ---- */

static void
reap_all(struct master *m)
{
	struct finding finding;
	int wait_status;
	pid_t pid;

	finding_init(&finding);
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (successor_reaped(m->successor, pid, wait_status))
			continue;
		children_reaped(m, pid, wait_status, &finding);
		conclude(m, &finding);
	}
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
			reap_all(m);
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
		default: /* SIGTERM, SIGINT: of a service manager, to all */
			(void)master_stop(m, &refused);
			break;
		}
	}
}

/* ---- those of before ---- */

enum {
	OWNERS_LOOK_MS = 200,
	OWNERS_DYING_MS = 10000, /* for the kernel to end one */
};

/* A worker of ours, or one that we told the others of. */
static bool
is_known_owner(const void *arg, uint64_t owner)
{
	const struct master *m = arg;

	for (uint64_t i = 0; i < SCOREBOARD_DEAD; i++) {
		if (owner == owner_of_death(m, i))
			return true;
	}
	for (int i = 0; i < SCOREBOARD_WORKER_SLOTS; i++) {
		if (owner == atomic_load(&scoreboard_place(&m->sb, i)->owner))
			return true;
	}
	return false;
}

/*
 * Workers that were killed with the master before this one, or left while the
 * datastore was away: their leases are free. Who still lives may be dying, or
 * an orphan that finishes.
 */
static void
bury_killed(void *arg)
{
	struct master *m = arg;
	uint64_t dead[SCOREBOARD_DEAD];
	size_t n_living, n = owners_find_dead(&m->owners, dead, SCOREBOARD_DEAD,
			     is_known_owner, m, &n_living);

	for (size_t i = 0; i < n; i++)
		shardboard_owner_gone(&m->sb, dead[i]);
	if (n > 0)
		log_warnx("workers that had not given their leases back: %zu", n);
	if ((n_living > 0 || n == SCOREBOARD_DEAD) &&
	    clock_mono_ms() < m->owners_until_ms)
		loop_timer_set(m->owners_timer, OWNERS_LOOK_MS);
}

/* Of a worker without its master the drain is the longest that it lives. */
static void
look_after_owners(struct master *m, const struct config_master *cfg)
{
	owners_open(&m->owners, cfg->state_dir);
	if (m->options.source.roles == CONFIG_SERVICE_ONLY)
		return;
	m->owners_until_ms =
	    clock_mono_ms() + cfg->shutdown_timeout_ms + OWNERS_DYING_MS;
	bury_killed(m);
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
	m->timer = loop_timer_create(m->loop, on_wakeup, m);
	m->owners_timer = loop_timer_create(m->loop, bury_killed, m);
	if (m->signal_io == NULL || m->timer == NULL || m->owners_timer == NULL)
		return err_set(err, "out of memory");
	return 0;
}

static int
master_open(struct master *m, struct config *cfg, struct err *err)
{
	const struct handover *handover = m->options.handover;
	int (*lock)(struct pidfile *, const char *, struct err *) =
	    handover == NULL ? pidfile_lock : pidfile_follow;

	if (m->options.test_clock &&
	    clock_test_begin(m->options.test_ahead_ms) == -1)
		return err_errno(err, "--test-clock");
	if (lock(&m->pidfile, cfg->master.pid_file, err) == -1 ||
	    scoreboard_create(&m->sb, err) == -1 || open_loop(m, err) == -1 ||
	    predecessor_open(m, err) == -1 ||
	    freeze_open(m, cfg, err) == -1)
		return -1;
	look_after_owners(m, &cfg->master);
	m->control = control_open(m->loop, cfg->master.control_socket,
	    handover == NULL ? -1 : handover->control_fd, &control_ops, m, err);
	if (m->control == NULL)
		return -1;
	return reload_begin(m, cfg, err);
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
	successor_end(&m->successor);
	predecessor_close(&m->predecessor);
	control_close(&m->control);
	ear_free(&m->ear);
	loop_timer_free(&m->timer);
	loop_timer_free(&m->owners_timer);
	loop_io_free(&m->signal_io);
	loop_free(m->loop);
	if (m->sb.shared != NULL)
		scoreboard_free(&m->sb);
	fd_close(&m->life_fds[0]);
	fd_close(&m->life_fds[1]);
	owners_close(&m->owners);
	freeze_close(m);
	pidfile_remove(&m->pidfile);
}

/* At the very end, so that a new start cannot meet what is left of this one. */
static void
report_failure(struct master *m)
{
	predecessor_tell(m, m->failure.text);
	if (m->options.ready_fd != -1)
		daemonize_failed(&m->options.ready_fd, m->failure.text);
	else if (m->options.handover == NULL)
		log_to_starter(m->failure.text);
}

int
master_run(const struct master_options *options, struct config *cfg)
{
	struct master m = {
	    .options = *options,
	    .started_ms = clock_wall_ms(),
	    .phase =
		options->handover == NULL ? PHASE_STARTING : PHASE_FOLLOWING,
	    .pidfile = {.fd = -1},
	    .life_fds = {-1, -1},
	    .owners = {.dir_fd = -1},
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
