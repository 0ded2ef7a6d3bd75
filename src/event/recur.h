/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_RECUR_H
#define CASSATA_EVENT_RECUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/tzif.h"
#include "base/zones.h"
#include "event/cron.h"

/* When a run's time comes, and the one before has not ended. */
enum recur_overlap {
	RECUR_SKIP,  /* it is left out */
	RECUR_QUEUE, /* it waits for that */
	RECUR_ALLOW, /* it is begun beside it */
};

/* Which times are made up for that have passed without a run being begun. */
enum recur_catch_up {
	RECUR_NONE, /* what is a minute late is left out */
	RECUR_LAST, /* the last of them */
	RECUR_ALL,  /* each, one after the other */
};

/* Times that come again and again, in seconds since 1970-01-01 UTC. */
struct recur {
	int64_t every_s; /* 0: those of cron, in a zone */
	struct cron cron;
	enum cron_gap gap;
	char zone[ZONE_NAME_MAX + 1];
	int64_t start_s, end_s; /* none before, none after; 0: any */
	int64_t count;          /* of runs; 0: any */
	enum recur_overlap overlap;
	enum recur_catch_up catch_up;
	int64_t window_s;  /* what is later is not made up for; 0: ever */
	int64_t jitter_ms; /* a run comes up to so much after its time */
};

/*
 * A schedule at work: since_s is when it was made, from which `every` counts
 * where it has no start; tz is that of its zone, NULL with every.
 */
struct recurring {
	const struct recur *recur;
	const struct tzif *tz;
	int64_t since_s;
};

/* The first time after after_s: true and *next_s > after_s; false where there
 * is none. */
bool recur_next(const struct recurring *at, int64_t after_s, int64_t *next_s);

/* The last time up to until_s, where from_s is one of them. */
int64_t recur_last(const struct recurring *at, int64_t from_s, int64_t until_s);

/*
 * Which run it is to be in place of that of run_s, for which nothing was begun
 * before now_s: that one, a later one, or, false, none any more.
 */
bool recur_wanted(const struct recurring *at, int64_t run_s, int64_t now_s,
    int64_t *wanted_s);

/* Whether it is more than late: another time has come meanwhile, or a minute
 * has passed. */
bool recur_is_missed(const struct recurring *at, int64_t run_s, int64_t now_s);

/* Up to max times after after_s; how many there are. */
size_t recur_times(
    const struct recurring *at, int64_t after_s, int64_t *times_s, size_t max);

/* How long after its time a run comes: the same for the same seed. */
int64_t recur_jitter_ms(
    const struct recur *recur, uint64_t seed, int64_t run_s);

#endif
