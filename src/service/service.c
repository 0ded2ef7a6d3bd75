/* SPDX-License-Identifier: ISC */
#include "service/service.h"

#include <stdlib.h>

#include "base/log.h"
#include "service/api.h"
#include "service/api_list.h"
#include "service/call.h"
#include "service/counts.h"
#include "service/problem.h"
#include "service/state.h"

enum {
	METRICS_TEXT_MAX = 1024 * 1024,
	ARENA_BYTES =
	    64 * 1024, /* headers and options of an event, with room */
	/* An idle client may be sending right now. */
	STOP_IDLE_MS = 1000,
	/* Who does not read its answer, or sends slowly, holds up no stop. */
	STOP_BEGUN_MS = 5000,
	DRAIN_IDLE_MS = 5000, /* others serve new ones: there is no hurry */
};

/* The entry: what the calls have in common, and the server on top of it. */
struct entry {
	struct service service; /* first, for the handlers */
	struct http_settings settings;
	struct http_handler handler;
};

static enum verdict
handle_request(void *arg, struct http_exchange *x)
{
	return api_handle(arg, x);
}

static bool
takes_stream(void *arg, struct http_exchange *x)
{
	return api_streams(arg, x);
}

static void
answer_refused(
    void *arg, struct http_exchange *x, int status, const char *reason)
{
	(void)arg;
	if (status == 503)
		(void)problem_for_now(x, PROBLEM_BUSY, reason, PROBLEM_RETRY_S);
	else
		(void)problem(x, status, reason);
}

static void
service_drained(void *arg)
{
	struct service *service = arg;

	loop_stop(service->child->loop);
}

static void
before_service_sleeps(void *arg)
{
	struct service *service = arg;

	intake_commit(&service->intake);
	counts_publish(service);
	child_show(service->child, "%lld connections",
	    (long long)service->published.conns);
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
drain_service(void *arg)
{
	struct service *service = arg;
	int64_t half_ms = service->cfg->master.shutdown_timeout_ms / 2;
	struct http_drain how = {
	    .last = atomic_load(&service->child->sb->shared->master.stopping)};

	if (how.last) {
		how.idle_ms = STOP_IDLE_MS;
		how.begun_ms = least(half_ms, STOP_BEGUN_MS);
	} else {
		how.idle_ms = least(half_ms, DRAIN_IDLE_MS);
	}
	atomic_store(&service->leaving, true);
	http_server_drain(service->server, &how);
}

static void
make_settings(const struct config_service *cfg, struct http_settings *settings)
{
	*settings = (struct http_settings){
	    .limits =
		{
		    .max_line_bytes = (size_t)cfg->max_request_line_bytes,
		    .max_header_bytes = (size_t)cfg->max_header_bytes,
		    .max_headers = (size_t)cfg->max_headers,
		    .max_body_bytes = (size_t)cfg->max_body_bytes,
		},
	    .sizes =
		{
		    .max_request_bytes = (size_t)config_request_bytes(cfg),
		    /* What is decoded of a path is never longer than it. */
		    .max_arena_bytes =
			ARENA_BYTES + (size_t)cfg->max_request_line_bytes,
		    .call_bytes = sizeof(struct call),
		},
	    .max_conns = (int)cfg->max_connections,
	    .max_per_address = (int)cfg->max_per_address,
	    .max_requests = cfg->max_requests,
	    .idle_timeout_ms = cfg->idle_timeout_ms,
	    .header_timeout_ms = cfg->header_timeout_ms,
	    .body_timeout_ms = cfg->body_timeout_ms,
	    .write_timeout_ms = cfg->write_timeout_ms,
	    .min_body_rate = cfg->min_body_rate,
	    .max_memory_bytes = (size_t)cfg->max_request_memory_bytes,
	};
}

static int
open_store(struct service *service, struct err *err)
{
	struct store_params params;
	struct store *store;

	child_store_params(service->child, &params);
	if (store_open(&params, &store, err) == -1)
		return -1;
	service->store = store_thread_create(store, service->child->loop, err);
	return service->store == NULL ? -1 : 0;
}

static int
open_server(struct entry *entry, struct err *err)
{
	struct service *service = &entry->service;
	struct child *child = service->child;

	make_settings(&child->cfg->service, &entry->settings);
	entry->handler = (struct http_handler){.handle = handle_request,
	    .streams = takes_stream,
	    .refuse = answer_refused,
	    .drained = service_drained,
	    .arg = service};
	service->server = http_server_create(child->loop, child->listen_fds,
	    child->n_listen, &entry->settings, &entry->handler);
	return service->server == NULL ? err_set(err, "out of memory") : 0;
}

static int
service_init(struct entry *entry, struct child *child, struct err *err)
{
	struct service *service = &entry->service;

	*entry = (struct entry){.service = {.child = child, .cfg = child->cfg}};
	STAILQ_INIT(&service->documents);
	TAILQ_INIT(&service->lists);
	buf_init(&service->metrics, METRICS_TEXT_MAX);
	if (hosts_init(&service->hosts, &child->cfg->service, child->listen_fds,
		child->n_listen) == -1)
		return err_set(err, "out of memory");
	if (child_init(child, drain_service, service, err) == -1 ||
	    open_store(service, err) == -1)
		return -1;
	if (intake_init(&service->intake, child, service->store,
		(size_t)child->cfg->service.commit_batch) == -1)
		return err_set(err, "out of memory");
	service->context = (struct event_context){
	    .retry_limits = &child->cfg->service.retry_limits,
	    .zones = zones_create(zones_directory()),
	    .has_acks = child->cfg->service.public_url != NULL};
	service->store_zones = zones_create(zones_directory());
	if (service->context.zones == NULL || service->store_zones == NULL)
		return err_set(err, "out of memory");
	if (open_server(entry, err) == -1)
		return -1;
	loop_before_sleep(child->loop, before_service_sleeps, service);
	return 0;
}

static void
service_fini(struct service *service)
{
	counts_publish(service);
	api_list_fini(service);
	store_thread_free(&service->store);
	http_server_free(&service->server);
	intake_fini(&service->intake);
	zones_free(&service->context.zones);
	zones_free(&service->store_zones);
	hosts_free(&service->hosts);
	buf_free(&service->metrics);
	child_fini(service->child);
}

int
service_main(struct child *child)
{
	struct entry entry;
	struct err err;
	int status;

	if (service_init(&entry, child, &err) == -1) {
		child_failed(child, err.text);
		hosts_free(&entry.service.hosts);
		return EXIT_CHILD_FAILED;
	}
	child_ready(child);
	status = loop_run(child->loop);
	if (status == -1)
		log_errorx("the event loop failed");
	service_fini(&entry.service);
	return status == -1 ? EXIT_CHILD_FAILED : EXIT_CHILD_OK;
}
