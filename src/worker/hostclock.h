/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_HOSTCLOCK_H
#define CASSATA_WORKER_HOSTCLOCK_H

#include "base/clock.h"
#include "store/store_types.h"

/*
 * Hosts whose clocks are ahead of ours by more than a second, as their
 * registrations tell: of two that differ, the workers of the one that is behind
 * see it, whatever time a renewal and a look take. Pure: who asks brings the
 * time.
 */
struct hostclock {
	char
	    host[STORE_HOST_MAX]; /* that was named last, and is ahead; or "" */
	int64_t again_ms;         /* monotonic: before that none is named */
};

/* Who is to be named, as the furthest ahead, or NULL: once per change, and once
 * a minute at most. self is our owner token: its host is ours. */
const struct store_instance *hostclock_saw(struct hostclock *clock,
    const struct clock_reading *now, const struct store_instance *instances,
    size_t n, uint64_t self);

#endif
