/* SPDX-License-Identifier: ISC */
#include "http/http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http_conn.h"

enum {
	ACCEPTS_PER_TURN = 16, /* then others of the loop and our siblings */
	ACCEPT_PAUSE_MS = 100, /* after descriptors or memory ran out */
	VICTIMS_TRIED = 16,
	DEAF_TRIED = 1024,
	/* A burst finds room in time; whoever asks for our health must not
	 * wait for the handlers. */
	RESERVE_AFTER_MS = 500,
	RESERVE_CONNS = 16,
};

struct http_server {
	struct http_conns conns;
	const int *listen_fds; /* borrowed */
	size_t n_listen;
	struct loop_io **listeners;      /* NULL each while draining */
	struct loop_timer *accept_timer; /* while there is no room */
	bool accepting;
	bool accept_paused; /* by a lack of descriptors, until it fires */
	bool reserve_due;   /* it runs since there was no room: not put off */
	bool reserve_open;  /* it has fired: connections beyond the limit */
};

static void
want_connections(struct http_server *server, bool want)
{
	if (server->accepting == want)
		return;
	server->accepting = want;
	for (size_t i = 0; i < server->n_listen; i++)
		loop_io_want(server->listeners[i], want ? LOOP_READ : 0);
}

static bool
full(const struct http_server *server)
{
	return server->conns.n >= server->conns.settings->max_conns;
}

static bool
reserve_left(const struct http_server *server)
{
	return server->reserve_open &&
	       server->conns.n - server->conns.settings->max_conns <
		   RESERVE_CONNS;
}

static void
accept_if_room(struct http_server *server)
{
	want_connections(server,
	    !server->conns.draining && !server->accept_paused &&
		(!full(server) || !TAILQ_EMPTY(&server->conns.idle) ||
		    !TAILQ_EMPTY(&server->conns.busy) || reserve_left(server)));
}

static struct http_conn *
find_idle(const struct http_server *server)
{
	struct http_conn *c;
	int tried = 0;

	TAILQ_FOREACH(c, &server->conns.idle, place_entry) {
		if (tried++ == VICTIMS_TRIED)
			break;
		if (!http_conn_has_input(c))
			return c;
	}
	return NULL;
}

/* Of the next few that move bytes the slowest; then others are the next. */
static struct http_conn *
find_slow(struct http_server *server)
{
	int64_t now_ms = clock_mono_ms(), least = INT64_MAX;
	struct http_conn *c, *slow = NULL, *last;

	last = TAILQ_LAST(&server->conns.busy, http_conn_queue);
	for (int i = 0; i < VICTIMS_TRIED; i++) {
		c = TAILQ_FIRST(&server->conns.busy);
		if (c == NULL)
			break;
		TAILQ_REMOVE(&server->conns.busy, c, place_entry);
		TAILQ_INSERT_TAIL(&server->conns.busy, c, place_entry);
		if (http_conn_progress(c, now_ms) < least &&
		    !http_conn_has_input(c)) {
			least = http_conn_progress(c, now_ms);
			slow = c;
		}
		if (c == last)
			break;
	}
	return slow;
}

/* Of those that do not read their answers the one that holds most memory. */
static struct http_conn *
find_deaf(const struct http_server *server)
{
	int64_t now_ms = clock_mono_ms();
	struct http_conn *c, *deaf = NULL;
	int tried = 0;

	TAILQ_FOREACH(c, &server->conns.busy, place_entry) {
		if (tried++ == DEAF_TRIED)
			break;
		if ((c->state == CONN_WRITING || c->state == CONN_STREAMING) &&
		    c->out.len > 0 && http_conn_progress(c, now_ms) == 0 &&
		    (deaf == NULL ||
			http_conn_memory(c) > http_conn_memory(deaf)))
			deaf = c;
	}
	return deaf;
}

static void
displace(struct http_server *server, struct http_conn *victim)
{
	http_conn_close(victim);
	server->conns.counts.displaced++;
}

/* The one that is to make room, or NULL. */
static struct http_conn *
find_victim(struct http_server *server)
{
	struct http_conn *c = find_idle(server);

	return c != NULL ? c : find_slow(server);
}

static void
tell_if_drained(struct http_server *server)
{
	const struct http_handler *handler = server->conns.handler;

	if (server->conns.draining && server->conns.n == 0)
		handler->drained(handler->arg);
}

static void
conns_changed(void *arg)
{
	struct http_server *server = arg;

	if (!server->accepting)
		accept_if_room(server);
	tell_if_drained(server);
}

static bool
displace_deaf(void *arg)
{
	struct http_server *server = arg;
	struct http_conn *deaf = find_deaf(server);

	if (deaf != NULL)
		displace(server, deaf);
	return deaf != NULL;
}

static const struct http_conns_owner owner = {conns_changed, displace_deaf};

static void
on_accept_timer(void *arg)
{
	struct http_server *server = arg;

	server->accept_paused = server->reserve_due = false;
	server->reserve_open = full(server);
	accept_if_room(server);
}

static void
pause_accepting(struct http_server *server)
{
	server->accept_paused = true;
	accept_if_room(server);
	loop_timer_set(server->accept_timer, ACCEPT_PAUSE_MS);
}

static void
accept_failed(struct http_server *server)
{
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		log_warn("cannot accept connections for a moment");
		pause_accepting(server);
		break;
	default: /* taken by a sibling, or gone before we came */
		break;
	}
}

/* Somebody waits to be let in, and nobody makes room. */
static void
await_room(struct http_server *server)
{
	want_connections(server, false);
	if (server->reserve_due)
		return;
	server->reserve_due = true;
	loop_timer_set(server->accept_timer, RESERVE_AFTER_MS);
}

static void
found_room(struct http_server *server)
{
	if (!server->reserve_due)
		return;
	server->reserve_due = false;
	loop_timer_clear(server->accept_timer);
}

/* A connection that may be opened, or -1; errno says why. */
static int
accept_peer(struct http_server *server, int listen_fd, struct peer **peer)
{
	int max = server->conns.settings->max_per_address;
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	int fd = accept4(listen_fd, (struct sockaddr *)&address, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return -1;
	*peer = peers_join(&server->conns.peers, &address);
	if (*peer == NULL) {
		(void)close(fd);
		errno = ENOMEM;
		return -1;
	}
	(*peer)->memory.max = server->conns.settings->sizes.max_request_bytes;
	(*peer)->memory.whole = &server->conns.memory;
	if (max > 0 && (*peer)->n_conns > max) {
		peers_leave(&server->conns.peers, *peer);
		(void)close(fd);
		server->conns.counts.refused++;
		errno = ECONNABORTED;
		return -1;
	}
	return fd;
}

static void
open_conn(struct http_server *server, int fd, struct peer *peer, bool reserve)
{
	static const int on = 1;

	/* Fails on other kinds of sockets, which have no such delay. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (http_conn_open(&server->conns, fd, peer, reserve) == -1)
		return;
	server->conns.counts.accepted++;
	accept_if_room(server);
}

static void
on_listener(int listen_fd, unsigned events, void *arg)
{
	struct http_server *server = arg;

	if ((events & LOOP_FAILED) != 0) {
		pause_accepting(server);
		return;
	}
	for (int i = 0; i < ACCEPTS_PER_TURN && server->accepting; i++) {
		struct http_conn *victim = NULL;
		struct peer *peer;
		bool reserve;
		int fd;

		if (!full(server))
			server->reserve_open = false;
		else if ((victim = find_victim(server)) == NULL &&
			 !reserve_left(server)) {
			await_room(server);
			return;
		}
		fd = accept_peer(server, listen_fd, &peer);
		if (fd == -1 && errno == ECONNABORTED)
			continue;
		if (fd == -1) {
			accept_failed(server);
			return;
		}
		/* It takes the victim's place, be it within the limit. */
		reserve = victim != NULL ? victim->reserve : full(server);
		if (!reserve)
			found_room(server);
		if (victim != NULL) {
			server->reserve_open &= reserve;
			displace(server, victim);
		}
		open_conn(server, fd, peer, reserve);
	}
}

/* At a stop nobody else will, and the end of the socket would reset them. */
static void
accept_backlog(struct http_server *server)
{
	int n;

	for (size_t i = 0; i < server->n_listen; i++) {
		do {
			n = server->conns.n;
			on_listener(server->listen_fds[i], LOOP_READ, server);
		} while (server->conns.n > n);
	}
}

static int
watch_listeners(struct http_server *server)
{
	server->listeners =
	    calloc(server->n_listen + 1, sizeof(struct loop_io *));
	server->accept_timer =
	    loop_timer_create(server->conns.loop, on_accept_timer, server);
	if (server->listeners == NULL || server->accept_timer == NULL)
		return -1;
	for (size_t i = 0; i < server->n_listen; i++) {
		server->listeners[i] = loop_io_create(server->conns.loop,
		    server->listen_fds[i], LOOP_READ, on_listener, server);
		if (server->listeners[i] == NULL)
			return -1;
	}
	server->accepting = true;
	return 0;
}

static void
leave_listeners(struct http_server *server)
{
	for (size_t i = 0; i < server->n_listen; i++)
		loop_io_free(&server->listeners[i]);
	server->accepting = false;
}

struct http_server *
http_server_create(struct loop *loop, const int *listen_fds, size_t n_listen,
    const struct http_settings *settings, const struct http_handler *handler)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->listen_fds = listen_fds;
	server->n_listen = n_listen;
	http_conns_init(
	    &server->conns, loop, settings, handler, &owner, server);
	if (watch_listeners(server) == -1)
		http_server_free(&server);
	return server;
}

void
http_server_free(struct http_server **server_p)
{
	struct http_server *server = *server_p;
	struct http_conn *c;

	if (server == NULL)
		return;
	if (server->listeners != NULL)
		leave_listeners(server);
	server->conns.draining = false; /* who ends it need not be told */
	server->accept_paused = true;
	while ((c = LIST_FIRST(&server->conns.all)) != NULL)
		http_conn_close(c);
	http_conns_fini(&server->conns);
	loop_timer_free(&server->accept_timer);
	free(server->listeners);
	free(server);
	*server_p = NULL;
}

void
http_server_drain(struct http_server *server, const struct http_drain *how)
{
	struct http_conn *c;

	check(!server->conns.draining);
	if (how->last)
		accept_backlog(server);
	leave_listeners(server);
	server->conns.draining = true;
	server->conns.idle_timeout_ms = how->idle_ms;
	if (how->begun_ms > 0)
		server->conns.begun_ms = how->begun_ms;
	LIST_FOREACH(c, &server->conns.all, entry)
		http_conn_drain(c);
	tell_if_drained(server);
}

const struct http_counts *
http_server_counts(struct http_server *server)
{
	struct http_conns *conns = &server->conns;

	conns->counts.conns = conns->n;
	conns->counts.memory_bytes = (int64_t)conns->memory.used;
	return &conns->counts;
}
