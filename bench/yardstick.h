/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BENCH_YARDSTICK_H
#define CASSATA_BENCH_YARDSTICK_H

#include <err.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#include "base/slice.h"

/* What the yardstick programs share. */

/* Monotonic, in seconds. */
static inline double
yardstick_now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* CPU time of this process (or RUSAGE_CHILDREN), in microseconds. */
static inline double
yardstick_cpu_us(int who)
{
	struct rusage use;

	if (getrusage(who, &use) == -1)
		return 0;
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* The number of an option, 1 to max; ends the program otherwise. */
static inline uint64_t
yardstick_number(const char *text, uint64_t max)
{
	uint64_t value;

	if (slice_to_u64(slice_from_string(text), max, &value) == -1 ||
	    value == 0)
		errx(2, "%s: not a number from 1 to %llu", text,
		    (unsigned long long)max);
	return value;
}

#endif
