/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_CLOCK_H
#define CASSATA_BASE_CLOCK_H

#include <stdint.h>

/*
 * Milliseconds that never go back, from an arbitrary start, sleep of the
 * machine included: for intervals.
 */
int64_t clock_mono_ms(void);

/* Milliseconds since 1970-01-01 UTC: only for what a client asked for. */
int64_t clock_wall_ms(void);

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

/*
 * Replace the sources, for tests of code that asks the time. NULL restores the
 * system's clock.
 */
void clock_mono_replace(int64_t (*mono_ms)(void));
void clock_wall_replace(int64_t (*wall_ms)(void));

#endif
