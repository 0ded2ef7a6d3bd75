/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DBCLOCK_H
#define CASSATA_WORKER_DBCLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * The datastore's clock against ours, as the answers to our lease calls tell.
 * Pure: who asks brings the time.
 *
 * After a step of our wall clock the datastore's goes on as before, until it is
 * measured again; a step forward may be the end of a pause of the whole
 * machine, in which no clock of it went on: then nobody knows whether our lease
 * lasts.
 */
struct dbclock {
	int64_t offset_ms;      /* the datastore's minus our wall clock */
	int64_t wall_offset_ms; /* our wall minus our monotonic clock */
	int64_t told_skew_ms;   /* the offset that was last worth a line */
	/* Steps forward of our wall clock: seen, before the last call, and
	 * before the last that was answered. */
	unsigned n_leaps, n_leaps_asked, n_leaps_answered;
	struct clock_reading asked;
};

/* Until the datastore has told its time, that is this host's. */
void dbclock_init(struct dbclock *clock, const struct clock_reading *now);

/*
 * The time of events at our wall_ms: what that and the datastore's clock both
 * say has come, so the earlier of the two. Whichever is ahead, nobody's event
 * is early by it.
 */
int64_t dbclock_now_ms(const struct dbclock *clock, int64_t wall_ms);

/* ---- steps of our wall clock ---- */

/* Takes a step since the last look into account, and returns it; 0 for none.
 * After one the datastore's clock is to be measured. */
int64_t dbclock_check_step(
    struct dbclock *clock, const struct clock_reading *now);

/* Whether there was a step forward since dbclock_check_step. */
bool dbclock_leapt(
    const struct dbclock *clock, const struct clock_reading *now);

/* No step forward was seen since the last lease call that was answered. */
bool dbclock_is_sure(const struct dbclock *clock);

/* ---- lease calls ---- */

/* A lease call goes out. */
void dbclock_asked(struct dbclock *clock, const struct clock_reading *now);

struct dbclock_news {
	bool spoilt;    /* our clock was stepped meanwhile: to be asked again */
	bool is_skewed; /* its offset is worth a line */
};

/* The answer: the datastore's time was offset_ms ahead of our wall clock. */
struct dbclock_news dbclock_answered(
    struct dbclock *clock, const struct clock_reading *now, int64_t offset_ms);

#endif
