/* SPDX-License-Identifier: ISC */
#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
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

/* Shared with all that was forked; NULL: there is no test clock. */
static _Atomic int64_t *ahead;

/* Beside the milliseconds, so that none are added behind its back. */
#define HELD (INT64_C(1) << 62)

int64_t
clock_ahead_ms(void)
{
	return ahead == NULL ? 0 : atomic_load(ahead) & ~HELD;
}

int64_t
clock_event_ms(void)
{
	return clock_wall_ms() + clock_ahead_ms();
}

int
clock_test_begin(int64_t ahead_ms)
{
	void *page = mmap(NULL, sizeof(*ahead), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -1;
	ahead = page;
	atomic_store(ahead, ahead_ms);
	return 0;
}

bool
clock_is_test(void)
{
	return ahead != NULL;
}

bool
clock_advance(int64_t from_ms, int64_t to_ms)
{
	return ahead != NULL && to_ms > from_ms &&
	       to_ms <= CLOCK_AHEAD_MAX_MS &&
	       atomic_compare_exchange_strong(ahead, &from_ms, to_ms);
}

void
clock_hold(bool held)
{
	if (ahead == NULL)
		return;
	if (held)
		(void)atomic_fetch_or(ahead, HELD);
	else
		(void)atomic_fetch_and(ahead, ~HELD);
}

bool
clock_is_held(void)
{
	return ahead != NULL && (atomic_load(ahead) & HELD) != 0;
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
