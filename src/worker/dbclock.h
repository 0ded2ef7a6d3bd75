/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DBCLOCK_H
#define CASSATA_WORKER_DBCLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * The datastore's clock, as far as we know it from the answers to our lease
 * calls. Pure: who asks brings the time.
 *
 * Two clocks may be stepped. After a step of ours the datastore's goes on as
 * before, until it is measured again; a step forward may be the end of a pause
 * of the whole machine, in which no clock of it went on: then nobody knows
 * whether our lease lasts. After a step of the datastore's, all leases look
 * expired, or valid for long: until their owners have had the time to renew
 * them they are judged by the time as it was. So they are after an outage.
 */
struct dbclock {
	int64_t lease_ms;
	int64_t call_ms; /* what a call of the datastore takes at most */

	int64_t offset_ms;      /* the datastore's minus our wall clock */
	int64_t wall_offset_ms; /* our wall minus our monotonic clock */
	int64_t told_skew_ms;   /* the offset that was last worth a line */
	/* Steps forward of our wall clock: seen, before the last call, and
	 * before the last that was answered. */
	unsigned n_leaps, n_leaps_asked, n_leaps_answered;

	struct clock_reading asked;
	/* The datastore's clock at base_mono_ms, or 0 for unknown; and how much
	 * older it may be. */
	int64_t base_ms, base_mono_ms, base_error_ms;
	bool missed;             /* a call failed while nothing was known */
	int64_t stepped_mono_ms; /* its step was first seen, or 0 */
	/* What others' leases are judged by until lapsed_until_mono_ms. */
	int64_t lapsed_ms, lapsed_until_mono_ms;
};

void dbclock_init(struct dbclock *clock, int64_t lease_ms, int64_t call_ms,
    const struct clock_reading *now);

/*
 * The time of events at our wall_ms: what that and the datastore's clock both
 * say has come, so the earlier of the two. Whichever is ahead, nobody's event
 * is early by it.
 */
int64_t dbclock_now_ms(const struct dbclock *clock, int64_t wall_ms);

/* ---- steps of our wall clock ---- */

/* Takes a step since the last look into account; whether there was one: then
 * the datastore's clock is to be measured. */
bool dbclock_check_step(struct dbclock *clock, const struct clock_reading *now);

/* Whether there was a step forward since dbclock_check_step. */
bool dbclock_leapt(
    const struct dbclock *clock, const struct clock_reading *now);

/* No step forward was seen since the last lease call that was answered. */
bool dbclock_is_sure(const struct dbclock *clock);

/* ---- lease calls ---- */

/*
 * What others of this host know: the datastore's time db_ms at mono_ms. One
 * that was started in an outage knows from it when that began. Only of use
 * while nothing is known, which dbclock_is_known tells.
 */
bool dbclock_is_known(const struct dbclock *clock);
void dbclock_inherit(struct dbclock *clock, int64_t db_ms, int64_t mono_ms);

/*
 * A lease call goes out. Returns the datastore's time by which leases of others
 * end, at most; 0: by its own; 1: by none, they have not ended.
 */
int64_t dbclock_ask(struct dbclock *clock, const struct clock_reading *now);

/* It failed: so it may have gone to all, for longer than we know. */
void dbclock_failed(struct dbclock *clock);

struct dbclock_news {
	bool spoilt;  /* our clock was stepped meanwhile: to be asked again */
	bool is_base; /* the datastore's clock is known as of now */
	int64_t step_ms; /* it was seen to be stepped by that much, or 0 */
	bool is_skewed;  /* its offset is worth a line */
};

/* The answer: the datastore's time was db_ms, offset_ms ahead of our wall
 * clock. */
struct dbclock_news dbclock_answered(struct dbclock *clock,
    const struct clock_reading *now, int64_t db_ms, int64_t offset_ms);

#endif
