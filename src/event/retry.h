/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_RETRY_H
#define CASSATA_EVENT_RETRY_H

#include <stddef.h>
#include <stdint.h>

#include "event/outcome.h"

enum { RETRY_DELAYS_MAX = 32, RETRY_ON_MAX = 32 };

struct retry_policy {
	unsigned max_retries;               /* after the first attempt */
	size_t n_delays;                    /* 1 to RETRY_DELAYS_MAX */
	int64_t delay_ms[RETRY_DELAYS_MAX]; /* the last one repeats */
	unsigned jitter_percent;            /* 0 to 100 */
	int64_t retry_after_max_ms;
	size_t n_on;             /* words that on was given */
	struct outcome_rules on; /* what is worth another attempt */
};

/* What the operator lets an event ask for. */
struct event_retry_limits {
	unsigned max_attempts;
	int64_t min_delay_ms;
};

/*
 * How long to wait before the attempt after attempt number attempt (1 is the
 * first), or -1 when there is none. random is any 32 random bits; the delay is
 * spread evenly over ±jitter_percent. retry_after_ms (0 for none), cut to
 * retry_after_max_ms, may only lengthen the wait. Pure.
 */
int64_t retry_wait_ms(const struct retry_policy *policy, unsigned attempt,
    int64_t retry_after_ms, uint32_t random);

#endif
