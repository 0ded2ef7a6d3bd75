/* SPDX-License-Identifier: ISC */

/*
 * The old master's part of an upgrade: starts the successor, hears how that
 * went, and, while the own children drain, tells it what its workers cannot
 * see, since they share no scoreboard.
 */
#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "master/control.h"
#include "master/handover.h"
#include "master/master.h"

enum {
	SAID_MAX_BYTES = 16 * 1024,
	GRACE_MS = 5000, /* beyond the successor's own time-outs */
	NEWS_MS = 20,
};

struct upgrade {
	struct master *master;
	pid_t pid; /* 0: gone */
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t kill_at_ms; /* monotonic; INT64_MAX: no more */
	bool took_over;
	struct buf said;
	/* What it was told of the scoreboard. */
	uint64_t n_dead, n_changes;
};

/* ---- the start ---- */

static int
keep_over_exec(const struct handover *handover)
{
	if (fcntl(handover->fd, F_SETFD, 0) == -1 ||
	    fcntl(handover->control_fd, F_SETFD, 0) == -1 ||
	    fcntl(handover->write_lock_fd, F_SETFD, 0) == -1)
		return -1;
	for (size_t i = 0; i < handover->n_listen; i++) {
		if (fcntl(handover->listen_fds[i], F_SETFD, 0) == -1)
			return -1;
	}
	return 0;
}

static const char *
role_word(enum config_roles roles)
{
	return roles == CONFIG_SERVICE_ONLY ? "service" : "worker";
}

/* Returns only when that fails. */
static void
exec_program(const struct master_options *options)
{
	const struct config_source *source = &options->source;
	const char *words[16];
	size_t n = 0;
	/* execv does not write to its arguments, its type only says so. */
	union {
		const char **in;
		char *const *out;
	} argv = {words};

	words[n++] = options->program;
	if (source->file != NULL) {
		words[n++] = "-c";
		words[n++] = source->file;
	}
	if (source->state_dir != NULL) {
		words[n++] = "-d";
		words[n++] = source->state_dir;
	}
	if (source->roles != CONFIG_ALL) {
		words[n++] = "--role";
		words[n++] = role_word(source->roles);
	}
	if (options->foreground)
		words[n++] = "--foreground";
	words[n] = NULL;
	(void)execv(options->program, argv.out);
}

/*
 * In the child. Signals stay blocked until the new program catches them, so
 * that none is lost on the way.
 */
__attribute__((noreturn)) static void
run_successor(const struct master *m, struct handover *handover)
{
	char text[HANDOVER_TEXT_MAX];
	struct err err;

	handover->stderr_fd = dup(STDERR_FILENO);
	if (handover->stderr_fd != -1 && keep_over_exec(handover) == 0 &&
	    dup2(handover->fd, STDERR_FILENO) != -1) {
		handover_format(handover, text);
		if (setenv(HANDOVER_VARIABLE, text, 1) == 0)
			exec_program(&m->options);
	}
	(void)err_errno(&err, "cannot execute %s", m->options.program);
	(void)fd_write_all(handover->fd, err.text, strlen(err.text));
	_exit(EXIT_FAILURE);
}

static int
spawn_successor(struct upgrade *u, int fd, struct err *err)
{
	const struct master *m = u->master;
	const struct listener *listener = m->current->listener;
	struct handover handover = {
	    .fd = fd,
	    .control_fd = control_fd(m->control),
	    .write_lock_fd = m->sb.write_lock.fd,
	    .activated = m->options.activated,
	};

	scoreboard_last_turn(
	    &m->sb, &handover.turn_mono_ms, &handover.turn_offset_ms);
	if (listener != NULL) {
		handover.n_listen = listener->n;
		memcpy(
		    handover.listen_fds, listener->fds, sizeof(listener->fds));
	}
	sigpipe_block();
	u->pid = fork();
	if (u->pid == 0)
		run_successor(m, &handover);
	if (u->pid == -1) {
		(void)err_errno(err, "cannot fork");
		u->pid = 0;
	}
	sigpipe_unblock();
	return u->pid == 0 ? -1 : 0;
}

/* ---- what it says ---- */

/* 0, or -1 when it did not get it. */
static int
tell(const struct upgrade *u, uint64_t record)
{
	ssize_t n;

	do
		n = send(u->fd, &record, sizeof(record),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static uint64_t
count_changes(const struct master *m)
{
	/* The end of a child is a change of the master's own. */
	return scoreboard_membership(&m->sb) +
	       atomic_load(&m->sb.shared->master.news.changes) +
	       scoreboard_n_unheld(&m->sb);
}

static void
tell_news(struct upgrade *u)
{
	const struct scoreboard_master *shared = &u->master->sb.shared->master;
	uint64_t n_dead = atomic_load(&shared->n_dead);
	uint64_t n_changes = count_changes(u->master);

	for (; u->n_dead != n_dead; u->n_dead++) {
		uint64_t owner = atomic_load(
		    &shared->dead[u->n_dead % SCOREBOARD_DEAD].owner);

		if (tell(u, owner) == -1)
			return;
	}
	if (n_changes != u->n_changes && tell(u, 0) == 0)
		u->n_changes = n_changes;
}

static void
on_news_time(void *arg)
{
	struct upgrade *u = arg;

	tell_news(u);
	loop_timer_set(u->timer, NEWS_MS);
}

static void
on_ready(struct upgrade *u)
{
	struct master *m = u->master;
	uint64_t n_dead;

	/* If it just died, its end tells. */
	if (tell(u, 0) == -1)
		return;
	u->took_over = true;
	u->kill_at_ms = INT64_MAX;
	/* All its workers look when they start, but do not know of those whose
	 * leases nobody was left here to take over. */
	n_dead = atomic_load(&m->sb.shared->master.n_dead);
	u->n_dead = n_dead > SCOREBOARD_DEAD ? n_dead - SCOREBOARD_DEAD : 0;
	u->n_changes = 0;
	master_replaced(m, u->pid);
	on_news_time(u);
}

/* 1 with a message, which was noted, 0 when none waits, -1 at the end. */
static int
hear(struct upgrade *u)
{
	char text[1024];
	ssize_t n = recv(u->fd, text, sizeof(text), MSG_DONTWAIT);

	if (n == -1 && errno == EINTR)
		return 1;
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	if (!u->took_over &&
	    slice_eq(slice_of(text, (size_t)n), SLICE_LITERAL(HANDOVER_READY)))
		on_ready(u);
	else
		/* What goes beyond the room is of no more use. */
		(void)buf_append(&u->said, text, (size_t)n);
	return 1;
}

static void
on_message(int fd, unsigned events, void *arg)
{
	struct upgrade *u = arg;
	int n;

	(void)fd;
	(void)events;
	do
		n = hear(u);
	while (n == 1);
	/* Its end tells more than the end of the connection. */
	if (n == -1)
		loop_io_want(u->io, 0);
}

/* ---- life ---- */

static void
upgrade_free(struct upgrade *u)
{
	loop_io_free(&u->io);
	loop_timer_free(&u->timer);
	fd_close(&u->fd);
	buf_free(&u->said);
	free(u);
}

int
upgrade_begin(struct master *m, struct err *err)
{
	struct upgrade *u;
	struct err reason;
	int fds[2];

	/* The container or machine would end with it. */
	if (getpid() == 1)
		return err_set(err, "process 1 cannot be replaced");
	if (file_check_program(m->options.program, &reason) == -1)
		return err_set(
		    err, "the program is not executed: %s", reason.text);
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return err_set(err, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1) {
		free(u);
		return err_errno(err, "cannot make a pair of sockets");
	}
	u->master = m;
	u->fd = fds[0];
	u->kill_at_ms = clock_mono_ms() +
			2 * m->current->cfg.master.start_timeout_ms + GRACE_MS;
	buf_init(&u->said, SAID_MAX_BYTES);
	u->io = loop_io_create(m->loop, u->fd, LOOP_READ, on_message, u);
	u->timer = loop_timer_create(m->loop, on_news_time, u);
	if (u->io == NULL || u->timer == NULL)
		(void)err_set(err, "out of memory");
	else
		(void)spawn_successor(u, fds[1], err);
	fd_close(&fds[1]);
	if (u->pid == 0) {
		upgrade_free(u);
		return -1;
	}
	m->upgrade = u;
	log_info("upgrading: %s runs as process %ld", m->options.program,
	    (long)u->pid);
	return 0;
}

void
upgrade_reopen_log(const struct master *m)
{
	/* Our child until we reaped it: there is nothing to fail. */
	if (m->upgrade != NULL && m->upgrade->pid != 0)
		(void)kill(m->upgrade->pid, SIGUSR1);
}

bool
upgrade_on_end(struct master *m, pid_t pid, int wait_status)
{
	struct upgrade *u = m->upgrade;
	struct err how;

	if (u == NULL || pid != u->pid)
		return false;
	while (hear(u) == 1)
		;
	u->pid = 0;
	if (u->took_over)
		return true;
	place_describe_status(wait_status, &how);
	if (u->said.len == 0)
		(void)buf_printf(&u->said, "%s %s before it was ready",
		    m->options.program, how.text);
	m->upgrade = NULL;
	master_upgrade_failed(m, buf_slice(&u->said));
	upgrade_free(u);
	return true;
}

int64_t
upgrade_deadline(const struct master *m, int64_t now_ms)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL || u->kill_at_ms > now_ms)
		return u == NULL ? INT64_MAX : u->kill_at_ms;
	u->kill_at_ms = INT64_MAX;
	(void)buf_append_string(&u->said, "killed: it was not ready in time");
	/* Our child until we reaped it: there is nothing to fail. */
	(void)kill(u->pid, SIGKILL);
	return INT64_MAX;
}

void
upgrade_end(struct master *m)
{
	struct upgrade *u = m->upgrade;

	if (u == NULL)
		return;
	m->upgrade = NULL;
	if (u->took_over)
		tell_news(u);
	else if (u->pid != 0)
		/* Its children see it go, and drain. */
		(void)kill(u->pid, SIGKILL);
	upgrade_free(u);
}
