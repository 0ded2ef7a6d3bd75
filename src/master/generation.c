/* SPDX-License-Identifier: ISC */
#include "master/generation.h"

#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

static void
init_places(struct generation *gen, enum role role, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gen->places[gen->n_places++] = (struct place){
		    .role = role,
		    .number = (unsigned)i + 1,
		    .status_fd = -1,
		    .start_at_ms = INT64_MAX,
		    .leave_by_ms = INT64_MAX,
		};
}

struct generation *
generation_create(uint32_t number, struct config *cfg, enum config_roles roles)
{
	size_t services =
	    roles == CONFIG_WORKER_ONLY ? 0 : (size_t)cfg->service.processes;
	size_t workers =
	    roles == CONFIG_SERVICE_ONLY ? 0 : (size_t)cfg->worker.processes;
	size_t metrics = cfg->master.metrics != NULL ? 1 : 0;
	size_t alone = workers > 0 ? 1 : 0;
	struct generation *gen =
	    calloc(1, sizeof(*gen) + (services + metrics + workers + alone) *
					 sizeof(gen->places[0]));

	if (gen == NULL) {
		config_free(cfg);
		*cfg = (struct config){0};
		return NULL;
	}
	gen->number = number;
	gen->cfg = *cfg;
	*cfg = (struct config){0};
	gen->preflight = (struct place){.role = ROLE_PREFLIGHT,
	    .number = 1,
	    .status_fd = -1,
	    .start_at_ms = INT64_MAX,
	    .leave_by_ms = INT64_MAX};
	init_places(gen, ROLE_SERVICE, services);
	init_places(gen, ROLE_METRICS, metrics);
	init_places(gen, ROLE_WORKER, workers);
	init_places(gen, ROLE_WORKER, alone);
	if (alone > 0)
		gen->places[gen->n_places - 1].alone = true;
	return gen;
}

void
generation_free(struct generation *gen)
{
	place_unwatch(&gen->preflight);
	for (size_t i = 0; i < gen->n_places; i++)
		place_unwatch(&gen->places[i]);
	config_free(&gen->cfg);
	free(gen);
}

struct place *
generation_find(struct generation *gen, pid_t pid)
{
	if (gen->preflight.pid == pid)
		return &gen->preflight;
	for (size_t i = 0; i < gen->n_places; i++) {
		if (gen->places[i].pid == pid)
			return &gen->places[i];
	}
	return NULL;
}

struct place *
generation_find_reporter(struct generation *gen, int status_fd)
{
	if (gen->preflight.status_fd == status_fd)
		return &gen->preflight;
	for (size_t i = 0; i < gen->n_places; i++) {
		if (gen->places[i].status_fd == status_fd)
			return &gen->places[i];
	}
	return NULL;
}

struct place *
generation_alone(struct generation *gen)
{
	struct place *last =
	    gen->n_places == 0 ? NULL : &gen->places[gen->n_places - 1];

	return last != NULL && last->alone ? last : NULL;
}

/* Not on demand. */
static bool
is_to_be_filled(const struct generation *gen, const struct place *place)
{
	return !place->alone && !(gen->frozen && place->role == ROLE_WORKER);
}

bool
generation_is_ready(const struct generation *gen)
{
	/* A frozen one may have nothing to fill. */
	if (!gen->started)
		return false;
	for (size_t i = 0; i < gen->n_places; i++) {
		if (is_to_be_filled(gen, &gen->places[i]) &&
		    (gen->places[i].pid == 0 ||
			gen->places[i].state != CHILD_READY))
			return false;
	}
	return true;
}

bool
generation_is_empty(const struct generation *gen)
{
	if (gen->preflight.pid != 0)
		return false;
	for (size_t i = 0; i < gen->n_places; i++) {
		if (gen->places[i].pid != 0)
			return false;
	}
	return true;
}

void
generation_start(struct generation *gen)
{
	gen->started = true;
	for (size_t i = 0; i < gen->n_places; i++)
		if (is_to_be_filled(gen, &gen->places[i]))
			gen->places[i].start_at_ms = 0;
}

void
generation_send_log(const struct generation *gen, int log_fd)
{
	for (size_t i = 0; i < gen->n_places; i++) {
		const struct place *place = &gen->places[i];

		if (place->pid != 0 && place->status_fd != -1 &&
		    status_send_log(place->status_fd, log_fd) == -1)
			log_warn("%s %u keeps its old log",
			    place_name(place), place->number);
	}
}

/* Nobody fills it anew; who fills it is asked to leave. */
static void
empty_place(const struct generation *gen, struct place *place, int signal)
{
	place->start_at_ms = INT64_MAX;
	place->leave_by_ms =
	    clock_mono_ms() + gen->cfg.master.shutdown_timeout_ms;
	/* Our child until we reaped it: there is nothing to fail. */
	if (place->pid != 0)
		(void)kill(place->pid, signal);
}

void
generation_drain(struct generation *gen)
{
	check(!gen->draining);
	gen->draining = true;
	/* It has no loop, and nothing to lose. */
	empty_place(gen, &gen->preflight, SIGKILL);
	for (size_t i = 0; i < gen->n_places; i++)
		empty_place(gen, &gen->places[i], SIGTERM);
}

void
generation_freeze(struct generation *gen)
{
	if (gen->frozen || gen->draining)
		return;
	gen->frozen = true;
	for (size_t i = 0; i < gen->n_places; i++)
		if (gen->places[i].role == ROLE_WORKER)
			empty_place(gen, &gen->places[i], SIGTERM);
}

void
generation_thaw(struct generation *gen)
{
	check(!gen->draining);
	gen->frozen = false;
	for (size_t i = 0; i < gen->n_places; i++) {
		struct place *place = &gen->places[i];

		/* Who has yet to leave is replaced when it has. */
		if (place->role == ROLE_WORKER && !place->alone &&
		    place->pid == 0 && place->state != CHILD_FAILED)
			place->start_at_ms = 0;
	}
}

size_t
generation_n_workers(const struct generation *gen)
{
	size_t n = 0;

	for (size_t i = 0; i < gen->n_places; i++)
		n += gen->places[i].role == ROLE_WORKER &&
		     gen->places[i].pid != 0;
	return n;
}
