/* SPDX-License-Identifier: ISC */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

enum {
	APART_MS = 25, /* no longer one moment */
	TRIES_MAX = 10,
};

static int64_t
read_ms(clockid_t id)
{
	struct timespec now;

	/* Fails only for an unknown clock. */
	(void)clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t
system_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

static int64_t
system_mono_ms(void)
{
	/* CLOCK_MONOTONIC stands still while the machine sleeps: leases do not.
	 */
	return read_ms(CLOCK_BOOTTIME);
}

static int64_t (*wall_clock)(void) = system_wall_ms;
static int64_t (*mono_clock)(void) = system_mono_ms;

int64_t
clock_mono_ms(void)
{
	return mono_clock();
}

int64_t
clock_wall_ms(void)
{
	return wall_clock();
}

struct clock_reading
clock_read(void)
{
	struct clock_reading now;
	int64_t before_ms;
	int tries = 0;

	now.mono_ms = clock_mono_ms();
	do {
		before_ms = now.mono_ms;
		now.wall_ms = clock_wall_ms();
		now.mono_ms = clock_mono_ms();
	} while (now.mono_ms - before_ms >= APART_MS && ++tries < TRIES_MAX);
	return now;
}

void
clock_mono_replace(int64_t (*mono_ms)(void))
{
	mono_clock = mono_ms == NULL ? system_mono_ms : mono_ms;
}

void
clock_wall_replace(int64_t (*wall_ms)(void))
{
	wall_clock = wall_ms == NULL ? system_wall_ms : wall_ms;
}
