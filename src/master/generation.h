/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_GENERATION_H
#define CASSATA_MASTER_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/config_load.h"
#include "master/listener.h"
#include "master/place.h"

/* One configuration and the children that run with it. */
struct generation {
	TAILQ_ENTRY(generation) entry;
	uint32_t number;
	struct config cfg;
	/* NULL: no service. A next generation may share that of the current
	 * one; the master decides when it is closed. */
	struct listener *listener;
	struct place preflight;
	bool started;  /* its preflight has gone well */
	bool draining; /* nobody is replaced */
	bool frozen;   /* it has no workers, but for those that leave */
	size_t n_places;
	struct place
	    places[]; /* services first, that for the quarantine last */
};

TAILQ_HEAD(generations, generation);

/*
 * Takes over the content of cfg, which is left empty, also on failure. No place
 * is planned to be filled. NULL when memory is short.
 */
struct generation *generation_create(
    uint32_t number, struct config *cfg, enum config_roles roles);

/* Does not close the listener. */
void generation_free(struct generation *gen);

/* The place of a living child, or NULL. */
struct place *generation_find(struct generation *gen, pid_t pid);

/* The place whose child reports there, or NULL. */
struct place *generation_find_reporter(struct generation *gen, int status_fd);

/* The place that is filled on demand; NULL without workers. */
struct place *generation_alone(struct generation *gen);

/* It was started, and every place that is always to be filled is. */
bool generation_is_ready(const struct generation *gen);
bool generation_is_empty(const struct generation *gen); /* no child left */

/* To every child but the preflight: its log is that file from now on. */
void generation_send_log(const struct generation *gen, int log_fd);

/* Plans all places to be filled now that always are. */
void generation_start(struct generation *gen);

/* Asks the children to leave, by their shutdown time-out from now on. */
void generation_drain(struct generation *gen);

/* The same of the workers, and no other starts; then they are started again. */
void generation_freeze(struct generation *gen);
void generation_thaw(struct generation *gen);

/* Workers that have not left. */
size_t generation_n_workers(const struct generation *gen);

#endif
