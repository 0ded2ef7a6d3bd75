/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_CLOCK_H
#define CASSATA_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Milliseconds that never go back, from an arbitrary start, sleep of the
 * machine included: for intervals.
 */
int64_t clock_mono_ms(void);

/* Milliseconds since 1970-01-01 UTC: for logs, and to compare hosts. */
int64_t clock_wall_ms(void);

/*
 * The same, for what clients ask for and are shown: when events are due, made,
 * attempted and over. Leases, time-outs and the retention go by the clocks
 * above.
 */
int64_t clock_event_ms(void);

/* How far the time of events is ahead of any clock: 0 but for a test clock. */
int64_t clock_ahead_ms(void);

/* Both, of one moment as far as can be: who does not get the processor between
 * the readings reads again. */
struct clock_reading {
	int64_t mono_ms, wall_ms;
};

struct clock_reading clock_read(void);

/* Of two waits, INT64_MAX for ever. */
static inline int64_t
clock_sooner_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- a test clock ---- */

/* Ten years: what a test clock may be ahead in all. */
#define CLOCK_AHEAD_MAX_MS (INT64_C(3650) * 86400000)

/*
 * Before any fork: the time of events is ahead_ms ahead, and can be advanced,
 * for this process and those that it forks. 0, or -1 with errno.
 */
int clock_test_begin(int64_t ahead_ms);

/* Whether clock_test_begin went well, here or in a process before the fork. */
bool clock_is_test(void);

/* From from_ms to to_ms ahead; false where somebody else was faster, the clock
 * is held, or that is no way forward. */
bool clock_advance(int64_t from_ms, int64_t to_ms);

/* While another program takes it over, nobody advances it. */
void clock_hold(bool held);
bool clock_is_held(void);

/*
 * Replace the sources, for tests of code that asks the time. NULL restores the
 * system's clock.
 */
void clock_mono_replace(int64_t (*mono_ms)(void));
void clock_wall_replace(int64_t (*wall_ms)(void));

#endif
