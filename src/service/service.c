/* SPDX-License-Identifier: ISC */
#include "service/service.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/api.h"
#include "service/conn.h"

enum {
	ACCEPTS_PER_TURN = 16, /* then others of the loop and our siblings */
	ACCEPT_PAUSE_MS = 100, /* after descriptors or memory ran out */
	POOL_MAX = 64,
	VICTIMS_TRIED = 16,
	DEAF_TRIED = 1024,
	/* A burst finds room in time; whoever asks for our health must not
	 * wait for a datastore. */
	RESERVE_AFTER_MS = 500,
	RESERVE_CONNS = 16,
	RETRY_AFTER_S = 2,
	METRICS_TEXT_MAX = 1024 * 1024,
};

struct exchange *
service_take_exchange(struct service *service)
{
	struct exchange *x = STAILQ_FIRST(&service->pool);

	if (x == NULL)
		return exchange_create(service);
	STAILQ_REMOVE_HEAD(&service->pool, entry);
	service->n_pool--;
	return x;
}

void
service_return_exchange(struct service *service, struct exchange *x)
{
	if (service->n_pool == POOL_MAX ||
	    service->memory.used > service->memory.max / 2) {
		exchange_free(x);
		return;
	}
	exchange_reset(x);
	exchange_move(x, &service->memory);
	STAILQ_INSERT_HEAD(&service->pool, x, entry);
	service->n_pool++;
}

/* Of those that do not read their answers the one that holds most memory. */
static struct conn *
find_deaf(struct service *service)
{
	int64_t now_ms = clock_mono_ms();
	struct conn *c, *deaf = NULL;
	int tried = 0;

	TAILQ_FOREACH(c, &service->busy, place_entry) {
		if (tried++ == DEAF_TRIED)
			break;
		if (c->state == CONN_WRITING && conn_progress(c, now_ms) == 0 &&
		    (deaf == NULL || conn_memory(c) > conn_memory(deaf)))
			deaf = c;
	}
	return deaf;
}

bool
service_free_memory(struct service *service)
{
	struct conn *deaf = find_deaf(service);

	if (deaf == NULL)
		return false;
	conn_close(deaf);
	metric_add(service->child->score, METRIC_CONNECTIONS_DISPLACED, 1);
	return true;
}

void
service_out_of_memory(struct exchange *x)
{
	(void)service_free_memory(x->service); /* when it comes again */
	api_problem(x, 503, "too much memory is held by unanswered requests");
	x->res.retry_after_s = RETRY_AFTER_S;
}

bool
service_store_answered(struct service *service, const struct exchange *x)
{
	bool ok = x->status == STORE_OK;

	if (!ok || service->in_trouble)
		scoreboard_tell_trouble(
		    service->child->score, ok ? "" : x->err.text);
	service->in_trouble = !ok;
	return ok;
}

void
service_store_failed(struct service *service, struct exchange *x)
{
	metric_add(service->child->score, METRIC_STORE_FAILURES, 1);
	if (x->status == STORE_UNAVAILABLE) {
		api_problem(x, 503, "the datastore is not available");
		x->res.retry_after_s = RETRY_AFTER_S;
	} else {
		api_problem(x, 500, "the datastore refused; see the log");
	}
	x->answered(x);
}

static void
want_connections(struct service *service, bool want)
{
	if (service->accepting == want)
		return;
	service->accepting = want;
	for (size_t i = 0; i < service->child->n_listen; i++)
		loop_io_want(service->listeners[i], want ? LOOP_READ : 0);
}

static bool
full(const struct service *service)
{
	return service->n_conns >= service->cfg->service.max_connections;
}

static bool
reserve_left(const struct service *service)
{
	return service->reserve_open && service->n_conns -
		   service->cfg->service.max_connections < RESERVE_CONNS;
}

/*
 * At the limit a new connection takes the place of one that is idle or makes
 * little progress. While all requests are being served it waits in the backlog;
 * after a moment of that a few are let in to be told so.
 */
static void
accept_if_room(struct service *service)
{
	want_connections(service,
	    !service->draining && !service->accept_paused &&
		(!full(service) || !TAILQ_EMPTY(&service->idle) ||
		    !TAILQ_EMPTY(&service->busy) || reserve_left(service)));
}

static struct conn *
find_idle(const struct service *service)
{
	struct conn *c;
	int tried = 0;

	TAILQ_FOREACH(c, &service->idle, place_entry) {
		if (tried++ == VICTIMS_TRIED)
			break;
		if (!conn_has_input(c))
			return c;
	}
	return NULL;
}

/* Of the next few that move bytes the slowest; then others are the next. */
static struct conn *
find_slow(struct service *service)
{
	int64_t now_ms = clock_mono_ms(), least = INT64_MAX;
	struct conn *c, *slow = NULL, *last;

	last = TAILQ_LAST(&service->busy, conns);
	for (int i = 0; i < VICTIMS_TRIED; i++) {
		c = TAILQ_FIRST(&service->busy);
		if (c == NULL)
			break;
		TAILQ_REMOVE(&service->busy, c, place_entry);
		TAILQ_INSERT_TAIL(&service->busy, c, place_entry);
		if (conn_progress(c, now_ms) < least && !conn_has_input(c)) {
			least = conn_progress(c, now_ms);
			slow = c;
		}
		if (c == last)
			break;
	}
	return slow;
}

/* The one that is to make room, or NULL. */
static struct conn *
find_victim(struct service *service)
{
	struct conn *c = find_idle(service);

	return c != NULL ? c : find_slow(service);
}

static void
stop_if_drained(struct service *service)
{
	if (service->draining && service->n_conns == 0)
		loop_stop(service->loop);
}

void
service_conn_closed(struct service *service)
{
	service->n_conns--;
	metric_set(service->child->score, METRIC_CONNECTIONS_OPEN,
	    service->n_conns);
	accept_if_room(service);
	stop_if_drained(service);
}

void
service_conn_movable(struct service *service)
{
	if (!service->accepting)
		accept_if_room(service);
}

static void
on_accept_timer(void *arg)
{
	struct service *service = arg;

	service->accept_paused = false;
	service->reserve_open = full(service);
	accept_if_room(service);
}

static void
accept_failed(struct service *service)
{
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		log_warn("cannot accept connections for a moment");
		service->accept_paused = true;
		accept_if_room(service);
		loop_timer_set(service->accept_timer, ACCEPT_PAUSE_MS);
		break;
	default: /* taken by a sibling, or gone before we came */
		break;
	}
}

/* A connection that may be opened, or -1; errno says why. */
static int
accept_peer(struct service *service, int listen_fd, struct peer **peer)
{
	int max = service->cfg->service.max_per_address;
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	int fd = accept4(listen_fd, (struct sockaddr *)&address, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return -1;
	*peer = peers_join(&service->peers, &address);
	if (*peer == NULL) {
		(void)close(fd);
		errno = ENOMEM;
		return -1;
	}
	(*peer)->memory.max =
	    (size_t)config_request_bytes(&service->cfg->service);
	(*peer)->memory.whole = &service->memory;
	if (max > 0 && (*peer)->n_conns > max) {
		peers_leave(&service->peers, *peer);
		(void)close(fd);
		metric_add(
		    service->child->score, METRIC_CONNECTIONS_REFUSED, 1);
		errno = ECONNABORTED;
		return -1;
	}
	return fd;
}

static void
open_conn(struct service *service, int fd, struct peer *peer, bool reserve)
{
	struct scoreboard_slot *score = service->child->score;
	static const int on = 1;

	/* Fails on other kinds of sockets, which have no such delay. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (conn_open(service, fd, peer, reserve) == -1)
		return;
	service->n_conns++;
	metric_add(score, METRIC_CONNECTIONS_ACCEPTED, 1);
	metric_set(score, METRIC_CONNECTIONS_OPEN, service->n_conns);
	accept_if_room(service);
}

static void
on_listener(int listen_fd, unsigned events, void *arg)
{
	struct service *service = arg;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && service->accepting; i++) {
		struct conn *victim = NULL;
		struct peer *peer;
		bool reserve;
		int fd;

		if (!full(service))
			service->reserve_open = false;
		else if ((victim = find_victim(service)) == NULL &&
		    !reserve_left(service)) {
			want_connections(service, false);
			loop_timer_set(service->accept_timer, RESERVE_AFTER_MS);
			return;
		}
		fd = accept_peer(service, listen_fd, &peer);
		if (fd == -1 && errno == ECONNABORTED)
			continue;
		if (fd == -1) {
			accept_failed(service);
			return;
		}
		/* It takes the victim's place, be it within the limit. */
		reserve = victim != NULL ? victim->reserve : full(service);
		if (victim != NULL) {
			service->reserve_open &= reserve;
			conn_close(victim);
			metric_add(service->child->score,
			    METRIC_CONNECTIONS_DISPLACED, 1);
		}
		open_conn(service, fd, peer, reserve);
	}
}

static void
before_sleep(void *arg)
{
	struct service *service = arg;

	intake_commit(&service->intake);
	metric_set(service->child->score, METRIC_REQUEST_MEMORY,
	    (int64_t)service->memory.used);
}

/* At a stop nobody else will, and the end of the socket would reset them. */
static void
accept_backlog(struct service *service)
{
	int n;

	for (size_t i = 0; i < service->child->n_listen; i++) {
		do {
			n = service->n_conns;
			on_listener(
			    service->child->listen_fds[i], LOOP_READ, service);
		} while (service->n_conns > n);
	}
}

static void
drain(void *arg)
{
	struct service *service = arg;
	struct conn *c;

	if (atomic_load(&service->child->sb->shared->master.stopping))
		accept_backlog(service);
	service->draining = true;
	for (size_t i = 0; i < service->child->n_listen; i++)
		loop_io_free(&service->listeners[i]);
	service->accepting = false;
	LIST_FOREACH(c, &service->conns, entry)
		conn_drain(c);
	stop_if_drained(service);
}

static int
open_listeners(struct service *service, struct err *err)
{
	const struct child *child = service->child;

	service->listeners =
	    calloc(child->n_listen + 1, sizeof(struct loop_io *));
	service->accept_timer =
	    loop_timer_create(service->loop, on_accept_timer, service);
	if (service->listeners == NULL || service->accept_timer == NULL)
		return err_set(err, "out of memory");
	for (size_t i = 0; i < child->n_listen; i++) {
		service->listeners[i] = loop_io_create(service->loop,
		    child->listen_fds[i], LOOP_READ, on_listener, service);
		if (service->listeners[i] == NULL)
			return err_set(err, "out of memory");
	}
	service->accepting = true;
	return 0;
}

static int
open_store(struct service *service, struct err *err)
{
	struct store_params params;
	struct store *store;

	child_store_params(service->child, &params);
	if (store_open(&params, &store, err) == -1)
		return -1;
	service->store = store_thread_create(store, service->loop, err);
	return service->store == NULL ? -1 : 0;
}

static int
service_init(struct service *service, struct child *child, struct err *err)
{
	const struct config_service *cfg = &child->cfg->service;

	*service = (struct service){
	    .child = child,
	    .cfg = child->cfg,
	    .memory = {.max = (size_t)cfg->max_request_memory_bytes},
	    .limits =
		{
		    .max_line_bytes = (size_t)cfg->max_request_line_bytes,
		    .max_header_bytes = (size_t)cfg->max_header_bytes,
		    .max_headers = (size_t)cfg->max_headers,
		    .max_body_bytes = (size_t)cfg->max_body_bytes,
		},
	};
	LIST_INIT(&service->conns);
	TAILQ_INIT(&service->idle);
	TAILQ_INIT(&service->busy);
	STAILQ_INIT(&service->pool);
	STAILQ_INIT(&service->documents);
	buf_init(&service->metrics, METRICS_TEXT_MAX);
	if (hosts_init(&service->hosts, cfg, child->listen_fds,
		child->n_listen) == -1)
		return err_set(err, "out of memory");
	if (child_init(child, drain, service, err) == -1)
		return -1;
	service->loop = child->loop;
	if (intake_init(&service->intake, service,
		(size_t)cfg->commit_batch) == -1)
		return err_set(err, "out of memory");
	if (open_store(service, err) == -1 ||
	    open_listeners(service, err) == -1)
		return -1;
	loop_before_sleep(service->loop, before_sleep, service);
	return 0;
}

static void
service_fini(struct service *service)
{
	struct exchange *x;

	store_thread_free(&service->store);
	while ((x = STAILQ_FIRST(&service->pool)) != NULL) {
		STAILQ_REMOVE_HEAD(&service->pool, entry);
		exchange_free(x);
	}
	intake_fini(&service->intake);
	hosts_free(&service->hosts);
	buf_free(&service->metrics);
	loop_timer_free(&service->accept_timer);
	free(service->listeners);
	child_fini(service->child);
}

int
service_main(struct child *child)
{
	struct service service;
	struct err err;
	int status;

	if (service_init(&service, child, &err) == -1) {
		child_failed(child, err.text);
		hosts_free(&service.hosts);
		return EXIT_CHILD_FAILED;
	}
	child_ready(child);
	status = loop_run(service.loop);
	if (status == -1)
		log_errorx("the event loop failed");
	service_fini(&service);
	return status == -1 ? EXIT_CHILD_FAILED : EXIT_CHILD_OK;
}
