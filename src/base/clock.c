/* SPDX-License-Identifier: ISC */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

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

static int64_t (*wall_clock)(void) = system_wall_ms;

int64_t
clock_mono_ms(void)
{
	/* CLOCK_MONOTONIC stands still while the machine sleeps: leases do not.
	 */
	return read_ms(CLOCK_BOOTTIME);
}

int64_t
clock_wall_ms(void)
{
	return wall_clock();
}

void
clock_wall_replace(int64_t (*wall_ms)(void))
{
	wall_clock = wall_ms == NULL ? system_wall_ms : wall_ms;
}
