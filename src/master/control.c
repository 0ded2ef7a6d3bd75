/* SPDX-License-Identifier: ISC */
#include "master/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "master/finding.h"
#include "master/listener.h"
#include "proc/control_proto.h"
#include "proc/executable.h"

enum {
	CLIENTS_MAX = 16,
	CLIENT_TIMEOUT_MS = 5000, /* for its line, and for taking the answer */
	ANSWER_MAX_BYTES = 1024 * 1024,
	ACCEPT_PAUSE_MS = 1000,
	END_MS = 500, /* of a process that was killed */
	END_LOOK_MS = 5,
	REFUSAL_QUIET_MS = 60000,
};

struct client {
	LIST_ENTRY(client) entry;
	struct control *control;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	size_t line_len;
	char line[CONTROL_LINE_MAX];
	bool waiting; /* for the end of a reload or an upgrade */
	struct buf answer;
};

struct control {
	const struct control_ops *ops;
	void *arg; /* theirs */
	struct loop *loop;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int fd;
	bool ours; /* else another master's */
	struct loop_io *io;
	struct loop_timer *pause;
	int64_t quiet_until_ms; /* monotonic: no more refusals in the log */
	size_t n_clients;
	LIST_HEAD(clients, client) clients;
};

/* ---- clients ---- */

static void
want_clients(struct control *control, bool want)
{
	if (control->io != NULL)
		loop_io_want(
		    control->io, want && control->ours ? LOOP_READ : 0);
}

static void
client_free(struct client *client)
{
	struct control *control = client->control;

	check(control->n_clients > 0);
	LIST_REMOVE(client, entry);
	control->n_clients--;
	loop_timer_free(&client->timer);
	loop_io_free(&client->io);
	fd_close(&client->fd);
	buf_free(&client->answer);
	free(client);
	want_clients(control, true);
}

/* Writes what the socket takes; the client is gone after the last byte. */
static void
client_write(struct client *client)
{
	struct buf *answer = &client->answer;

	while (answer->len > 0) {
		ssize_t n =
		    send(client->fd, answer->p, answer->len, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			loop_io_want(client->io, LOOP_WRITE);
			loop_timer_set(client->timer, CLIENT_TIMEOUT_MS);
			return;
		}
		if (n == -1)
			break;
		buf_consume(answer, (size_t)n);
	}
	client_free(client);
}

static void
answer_error(struct client *client, const char *reason)
{
	(void)buf_printf(&client->answer, "error: %s\n", reason);
	client_write(client);
}

/* ---- words ---- */

static void
answer_reasons(struct client *client, struct slice reasons)
{
	struct slice line;

	if (reasons.len == 0)
		(void)buf_append_string(&client->answer, "ok\n");
	while (finding_next_reason(&reasons, &line))
		(void)buf_printf(
		    &client->answer, "error: %.*s\n", (int)line.len, line.p);
	client_write(client);
}

static void
answer_status(struct client *client)
{
	const struct control *control = client->control;

	control->ops->status(control->arg, &client->answer);
	client_write(client);
}

static void
answer_change(
    struct client *client, int (*begin)(void *arg, struct err *refused))
{
	struct err refused;

	/* Before the call, which may answer at once: the client is gone then.
	 */
	client->waiting = true;
	loop_timer_clear(client->timer);
	loop_io_want(client->io, 0);
	if (begin(client->control->arg, &refused) == -1)
		answer_error(client, refused.text);
}

static void
answer_reload(struct client *client)
{
	answer_change(client, client->control->ops->reload);
}

static void
answer_upgrade(struct client *client)
{
	answer_change(client, client->control->ops->upgrade);
}

static void
answer_reopen(struct client *client)
{
	const struct control *control = client->control;

	(void)buf_append_string(&client->answer, "ok\n");
	control->ops->reopen_logs(control->arg);
	client_write(client);
}

static void
answer_at_once(
    struct client *client, int (*change)(void *arg, struct err *refused))
{
	struct err refused;

	if (change(client->control->arg, &refused) == -1) {
		answer_error(client, refused.text);
		return;
	}
	(void)buf_append_string(&client->answer, "ok\n");
	client_write(client);
}

static void
answer_stop(struct client *client)
{
	answer_at_once(client, client->control->ops->stop);
}

static void
answer_freeze(struct client *client)
{
	answer_at_once(client, client->control->ops->freeze);
}

static void
answer_thaw(struct client *client)
{
	answer_change(client, client->control->ops->thaw);
}

static void
answer_word(struct client *client, struct slice word)
{
	static const struct {
		const char *word;
		void (*answer)(struct client *client);
	} words[] = {
	    {CONTROL_STATUS, answer_status},
	    {CONTROL_RELOAD, answer_reload},
	    {CONTROL_UPGRADE, answer_upgrade},
	    {CONTROL_REOPEN, answer_reopen},
	    {CONTROL_STOP, answer_stop},
	    {CONTROL_FREEZE, answer_freeze},
	    {CONTROL_THAW, answer_thaw},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (slice_eq(word, slice_from_string(words[i].word))) {
			words[i].answer(client);
			return;
		}
	}
	answer_error(client, "unknown word");
}

/* ---- the socket ---- */

static void
client_read(struct client *client)
{
	ssize_t n = read(client->fd, client->line + client->line_len,
	    sizeof(client->line) - client->line_len);
	const char *end;

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		client_free(client);
		return;
	}
	client->line_len += (size_t)n;
	end = memchr(client->line, '\n', client->line_len);
	if (end != NULL)
		answer_word(client,
		    slice_of(client->line, (size_t)(end - client->line)));
	else if (client->line_len == sizeof(client->line))
		answer_error(client, "the line is too long");
}

static void
on_client(int fd, unsigned events, void *arg)
{
	struct client *client = arg;

	(void)fd;
	if ((events & LOOP_FAILED) != 0)
		client_free(client);
	else if (client->answer.len > 0)
		client_write(client);
	else
		client_read(client);
}

static void
on_client_timeout(void *arg)
{
	client_free(arg);
}

static void
add_client(struct control *control, int fd)
{
	struct loop *loop = control->loop;
	struct client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		fd_close(&fd);
		return;
	}
	client->control = control;
	client->fd = fd;
	buf_init(&client->answer, ANSWER_MAX_BYTES);
	LIST_INSERT_HEAD(&control->clients, client, entry);
	control->n_clients++;
	client->io = loop_io_create(loop, fd, LOOP_READ, on_client, client);
	client->timer = loop_timer_create(loop, on_client_timeout, client);
	if (client->io == NULL || client->timer == NULL) {
		client_free(client);
		return;
	}
	loop_timer_set(client->timer, CLIENT_TIMEOUT_MS);
	if (control->n_clients == CLIENTS_MAX)
		want_clients(control, false);
}

static void
on_pause_over(void *arg)
{
	struct control *control = arg;

	want_clients(control, control->n_clients < CLIENTS_MAX);
}

/* ---- who may speak ---- */

/* Not for each one: who is refused must not fill the log. */
static void
log_refusal(struct control *control, const struct ucred *peer)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms < control->quiet_until_ms)
		return;
	control->quiet_until_ms = now_ms + REFUSAL_QUIET_MS;
	log_warnx("control socket: user %u (pid %ld) was refused",
	    (unsigned)peer->uid, (long)peer->pid);
}

/*
 * Root, which no child is, and whom the daemon runs as; the socket's mode says
 * the same. But no child, which may be of that user. One of a master before
 * this one is known by its program, since no child can execute another; who
 * cannot be looked at any more did not wait for an answer. Process 0 is outside
 * of our namespace, where no child can be.
 */
static bool
may_control(struct control *control, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
		log_warn("control socket");
		return false;
	}
	if ((peer.pid == 0 ||
		!control->ops->is_child(control->arg, peer.pid)) &&
	    (peer.uid == 0 ||
		(peer.uid == geteuid() &&
		    (peer.pid == 0 || executable_is_daemon(peer.pid) == 0))))
		return true;
	log_refusal(control, &peer);
	return false;
}

static void
on_connection(int fd, unsigned events, void *arg)
{
	struct control *control = arg;
	int client_fd;

	if ((events & LOOP_FAILED) != 0) {
		loop_timer_set(control->pause, ACCEPT_PAUSE_MS);
		return;
	}
	client_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client_fd >= 0 && !may_control(control, client_fd)) {
		fd_close(&client_fd);
	} else if (client_fd >= 0) {
		add_client(control, client_fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors, say: it would only come again. */
		log_warn("control socket");
		want_clients(control, false);
		loop_timer_set(control->pause, ACCEPT_PAUSE_MS);
	}
}

/* 1 when somebody listens there, 0 when nobody does, -1 with errno. */
static int
is_alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int alive;

	if (fd == -1)
		return -1;
	/* Of one that hangs the backlog may be full. */
	alive =
	    connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
	    errno == EAGAIN;
	fd_close(&fd);
	return alive;
}

/*
 * Removes what a killed master left behind, but nothing that is alive or no
 * socket. The kernel may yet be closing the descriptors of one that was killed
 * just now.
 */
static int
remove_stale(const struct sockaddr_un *addr, struct err *err)
{
	const char *path = addr->sun_path;
	int64_t end_ms = clock_mono_ms() + END_MS;
	struct stat st;
	int alive;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : err_errno(err, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, "%s is in the way: it is no socket", path);
	while ((alive = is_alive(addr)) == 1 && clock_mono_ms() < end_ms)
		(void)poll(NULL, 0, END_LOOK_MS);
	if (alive == -1)
		return err_errno(err, "%s", path);
	if (alive == 1)
		return err_set(err, "%s is in use by another process", path);
	if (unlink(path) == -1)
		return err_errno(err, "cannot remove %s", path);
	return 0;
}

/* A socket that listens, or -1. */
static int
open_control_socket(const char *path, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t saved_umask;
	int fd, bound;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, "%s: too long for a Unix socket", path);
	memcpy(addr.sun_path, path, strlen(path));
	if (remove_stale(&addr, err) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_errno(err, "%s", path);
	/* From its birth on it is for the owner alone. */
	saved_umask = umask(0177);
	bound = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
	(void)umask(saved_umask);
	if (bound == -1 || listen(fd, CLIENTS_MAX) == -1) {
		(void)err_errno(err, "cannot listen on %s", path);
		fd_close(&fd);
	}
	return fd;
}

/* The inherited socket, if it is that of the configuration. */
static int
adopt_socket(int fd, const char *path, struct err *err)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

	if (listener_name(fd, name, sizeof(name)) == -1 ||
	    strcmp(name, path) != 0)
		return err_set(err,
		    "master.controlSocket: a change takes effect at a restart "
		    "only");
	return fd;
}

struct control *
control_open(struct loop *loop, const char *path, int inherited,
    const struct control_ops *ops, void *arg, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));

	if (control == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	control->loop = loop;
	control->ops = ops;
	control->arg = arg;
	LIST_INIT(&control->clients);
	control->ours = inherited == -1;
	control->fd = control->ours ? open_control_socket(path, err)
				    : adopt_socket(inherited, path, err);
	if (control->fd == -1) {
		free(control);
		return NULL;
	}
	(void)snprintf(control->path, sizeof(control->path), "%s", path);
	control->io = loop_io_create(loop, control->fd,
	    control->ours ? LOOP_READ : 0, on_connection, control);
	control->pause = loop_timer_create(loop, on_pause_over, control);
	if (control->io == NULL || control->pause == NULL) {
		(void)err_set(err, "out of memory");
		control_close(&control);
	}
	return control;
}

void
control_take_over(struct control *control)
{
	control->ours = true;
	want_clients(control, true);
}

void
control_leave(struct control *control)
{
	control->ours = false;
	/* Not left open: a start takes a socket that answers for one in use,
	 * and the successor may be gone before this process. */
	loop_io_free(&control->io);
	fd_close(&control->fd);
}

int
control_fd(const struct control *control)
{
	return control->fd;
}

void
control_close(struct control **control)
{
	struct control *c = *control;
	struct client *client, *next;

	if (c == NULL)
		return;
	for (client = LIST_FIRST(&c->clients); client != NULL; client = next) {
		next = LIST_NEXT(client, entry);
		client_free(client);
	}
	loop_io_free(&c->io);
	loop_timer_free(&c->pause);
	if (c->ours)
		(void)unlink(c->path);
	fd_close(&c->fd);
	free(c);
	*control = NULL;
}

void
control_answer_waiting(struct control *control, struct slice reasons)
{
	struct client *client, *next;

	for (client = LIST_FIRST(&control->clients); client != NULL;
	     client = next) {
		next = LIST_NEXT(client, entry);
		if (!client->waiting)
			continue;
		client->waiting = false;
		answer_reasons(client, reasons);
	}
}
