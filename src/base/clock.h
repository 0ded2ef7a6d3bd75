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

/*
 * Replaces the source of clock_wall_ms, for tests of code that asks the time.
 * NULL restores the system's clock.
 */
void clock_wall_replace(int64_t (*wall_ms)(void));

#endif
