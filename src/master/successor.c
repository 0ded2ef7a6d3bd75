/* SPDX-License-Identifier: ISC */

#include "master/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sigpipe.h"
#include "board/shardboard.h"
#include "master/control.h"
#include "master/handover.h"
#include "master/place.h"

enum {
	SAID_MAX_BYTES = 16 * 1024,
	GRACE_MS = 5000, /* beyond the successor's own time-outs */
	NEWS_MS = 20,
};

struct successor {
	struct master *master;
	pid_t pid; /* 0: gone */
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t kill_at_ms; /* monotonic; INT64_MAX: no more */
	bool is_ready, took_over;
	struct err end; /* how it ended */
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
	char test_clock[48];
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
	if (options->test_clock) {
		(void)snprintf(test_clock, sizeof(test_clock),
		    "--test-clock=%" PRId64 "ms", clock_ahead_ms());
		words[n++] = test_clock;
	}
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
spawn_successor(struct successor *s, int fd, struct err *err)
{
	const struct master *m = s->master;
	const struct listener *listener = m->current->listener;
	struct handover handover = {
	    .fd = fd,
	    .control_fd = control_fd(m->control),
	    .write_lock_fd = m->sb.write_lock.fd,
	    .activated = m->options.activated,
	};

	if (listener != NULL) {
		handover.n_listen = listener->n;
		memcpy(
		    handover.listen_fds, listener->fds, sizeof(listener->fds));
	}
	sigpipe_block();
	s->pid = fork();
	if (s->pid == 0)
		run_successor(m, &handover);
	if (s->pid == -1) {
		(void)err_errno(err, "cannot fork");
		s->pid = 0;
	}
	sigpipe_unblock();
	return s->pid == 0 ? -1 : 0;
}

/* ---- what it says ---- */

/* 0, or -1 when it did not get it. */
static int
tell(const struct successor *s, uint64_t record)
{
	ssize_t n;

	do
		n = send(s->fd, &record, sizeof(record),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static uint64_t
count_changes(const struct master *m)
{
	/* The end of a child is a change of the master's own. */
	return shardboard_membership(&m->sb) +
	       atomic_load(&m->sb.shared->master.news.changes) +
	       shardboard_n_unheld(&m->sb);
}

static void
tell_news(struct successor *s)
{
	const struct scoreboard_master *shared = &s->master->sb.shared->master;
	uint64_t n_dead = atomic_load(&shared->n_dead);
	uint64_t n_changes = count_changes(s->master);

	for (; s->n_dead != n_dead; s->n_dead++) {
		uint64_t owner = atomic_load(
		    &shared->dead[s->n_dead % SCOREBOARD_DEAD].owner);

		if (tell(s, owner) == -1)
			return;
	}
	if (n_changes != s->n_changes && tell(s, 0) == 0)
		s->n_changes = n_changes;
}

static void
on_news_time(void *arg)
{
	struct successor *s = arg;

	tell_news(s);
	loop_timer_set(s->timer, NEWS_MS);
}

/* 1 with a message, which was noted, 0 when none waits, -1 at the end. */
static int
hear(struct successor *s)
{
	char text[1024];
	ssize_t n = recv(s->fd, text, sizeof(text), MSG_DONTWAIT);

	if (n == -1 && errno == EINTR)
		return 1;
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	if (!s->is_ready &&
	    slice_eq(slice_of(text, (size_t)n), SLICE_LITERAL(HANDOVER_READY)))
		s->is_ready = true;
	else
		/* What goes beyond the room is of no more use. */
		(void)buf_append(&s->said, text, (size_t)n);
	return 1;
}

static void
on_message(int fd, unsigned events, void *arg)
{
	struct successor *s = arg;
	int n;

	(void)fd;
	(void)events;
	do
		n = hear(s);
	while (n == 1);
	/* Its end tells more than the end of the connection. */
	if (n == -1)
		loop_io_want(s->io, 0);
}

static void
hand_over(struct successor *s)
{
	const struct master *m = s->master;
	uint64_t n_dead;

	/* If it just died, its end tells. */
	if (tell(s, 0) == -1)
		return;
	s->took_over = true;
	s->kill_at_ms = INT64_MAX;
	/* All its workers look when they start, but do not know of those whose
	 * leases nobody was left here to take over. */
	n_dead = atomic_load(&m->sb.shared->master.n_dead);
	s->n_dead = n_dead > SCOREBOARD_DEAD ? n_dead - SCOREBOARD_DEAD : 0;
	s->n_changes = 0;
	on_news_time(s);
}

/* ---- life ---- */

static void
successor_free(struct successor *s)
{
	if (!s->took_over)
		clock_hold(false);
	loop_io_free(&s->io);
	loop_timer_free(&s->timer);
	fd_close(&s->fd);
	buf_free(&s->said);
	free(s);
}

int
successor_begin(struct master *m, struct err *err)
{
	struct successor *s;
	struct err reason;
	int fds[2];

	check(m->successor == NULL);
	/* The container or machine would end with it. */
	if (getpid() == 1)
		return err_set(err, "process 1 cannot be replaced");
	if (file_check_program(m->options.program, &reason) == -1)
		return err_set(
		    err, "the program is not executed: %s", reason.text);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1) {
		free(s);
		return err_errno(err, "cannot make a pair of sockets");
	}
	s->master = m;
	s->fd = fds[0];
	s->kill_at_ms = clock_mono_ms() +
			2 * m->current->cfg.master.start_timeout_ms + GRACE_MS;
	buf_init(&s->said, SAID_MAX_BYTES);
	s->io = loop_io_create(m->loop, s->fd, LOOP_READ, on_message, s);
	s->timer = loop_timer_create(m->loop, on_news_time, s);
	/* What it is told stays so: it starts where this one ends. */
	clock_hold(true);
	if (s->io == NULL || s->timer == NULL)
		(void)err_set(err, "out of memory");
	else
		(void)spawn_successor(s, fds[1], err);
	fd_close(&fds[1]);
	if (s->pid == 0) {
		successor_free(s);
		return -1;
	}
	m->successor = s;
	log_info("upgrading: %s runs as process %ld", m->options.program,
	    (long)s->pid);
	return 0;
}

bool
successor_reaped(struct successor *s, pid_t pid, int wait_status)
{
	if (s == NULL || pid != s->pid)
		return false;
	while (hear(s) == 1)
		;
	s->pid = 0;
	place_describe_status(wait_status, &s->end);
	return true;
}

/* Without the name of the program in front. */
static void
find_reasons(const struct successor *s, struct finding *finding)
{
	struct slice name = SLICE_LITERAL("cassatad: ");
	struct slice text = buf_slice(&s->said), line;
	struct err reason;

	while (finding_next_reason(&text, &line)) {
		if (line.len > name.len &&
		    memcmp(line.p, name.p, name.len) == 0)
			line = slice_of(line.p + name.len, line.len - name.len);
		(void)err_set(&reason, "%.*s", (int)line.len, line.p);
		finding_fail(finding, CAUSE_NO_SUCCESSOR, reason.text);
	}
	if (finding->cause == CAUSE_NO_SUCCESSOR)
		return;
	(void)err_set(&reason, "%s %s before it was ready",
	    s->master->options.program, s->end.text);
	finding_fail(finding, CAUSE_NO_SUCCESSOR, reason.text);
}

void
successor_look(struct successor *s, int64_t now_ms, struct finding *finding)
{
	if (s == NULL || s->took_over)
		return;
	if (s->pid == 0) {
		find_reasons(s, finding);
		return;
	}
	if (s->is_ready)
		hand_over(s);
	if (s->took_over) {
		finding->cause = CAUSE_REPLACED;
	} else if (s->kill_at_ms <= now_ms) {
		s->kill_at_ms = INT64_MAX;
		(void)buf_append_string(
		    &s->said, "\nkilled: it was not ready in time");
		/* Our child until we reaped it: there is nothing to fail. */
		(void)kill(s->pid, SIGKILL);
	}
}

int64_t
successor_deadline(const struct successor *s)
{
	return s == NULL ? INT64_MAX : s->kill_at_ms;
}

pid_t
successor_pid(const struct successor *s)
{
	check(s != NULL && s->took_over);
	return s->pid;
}

void
successor_reopen_log(const struct successor *s)
{
	/* Our child until we reaped it: there is nothing to fail. */
	if (s != NULL && s->pid != 0)
		(void)kill(s->pid, SIGUSR1);
}

void
successor_end(struct successor **successor)
{
	struct successor *s = *successor;

	if (s == NULL)
		return;
	*successor = NULL;
	if (s->took_over)
		tell_news(s);
	else if (s->pid != 0)
		/* Its children see it go, and drain. */
		(void)kill(s->pid, SIGKILL);
	successor_free(s);
}
