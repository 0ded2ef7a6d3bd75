/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_GIVEN_UP_H
#define CASSATA_WORKER_GIVEN_UP_H

#include <stdint.h>

#include "base/loop.h"
#include "base/slice.h"

/*
 * The lines about events that are given up: one each, but so many a second
 * (log.maxFailuresPerSecond) and then one that counts the rest, since a
 * receiver that is gone may fail thousands.
 */
struct given_up {
	struct loop_timer *timer; /* the end of the second */
	int max_lines;
	int n_lines; /* of this second */
	uint64_t n_rest;
};

/* 0, or -1 when memory is short. */
int given_up_init(struct given_up *g, struct loop *loop, int max_lines);

/* Tells of the rest, too. One that was not initialised is zero. */
void given_up_fini(struct given_up *g);

/*
 * The ids are written as in the paths of the API. The reason is the status, if
 * there was one, and the error, if that is not empty.
 */
void given_up_tell(struct given_up *g, struct slice app, struct slice id,
    unsigned attempts, int status, struct slice error);

/* So many that nothing more is known of. */
void given_up_count(struct given_up *g, size_t n);

#endif
