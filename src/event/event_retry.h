/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_RETRY_H
#define CASSATA_EVENT_EVENT_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json_scan.h"
#include "event/outcome.h"
#include "event/retry.h"

struct json_writer;

enum { EVENT_ATTEMPTS_MAX = 1001 }; /* httpRetryCount has 1000 */

/*
 * What an event says of its own retries: {"attempts": 8, "delays": ["10s",
 * "1m"], "jitter": 20, "on": ["5xx", "429", "connect", "timeout"]}. What it
 * leaves out is as configured. All 0 for nothing.
 */
struct event_retry {
	unsigned attempts; /* in all, the first one too; 0: as configured */
	unsigned n_delays; /* 0: as configured */
	uint32_t delay_ms[RETRY_DELAYS_MAX];
	bool has_jitter;
	unsigned jitter_percent;
	struct outcome_rules on;
};

/* What is wrong with it: where, as the rest of an RFC 6901 pointer, and how. */
struct event_retry_error {
	char where[32]; /* "", "/attempts", "/delays/3" */
	char reason[160];
};

/*
 * Reads the value of "retry", as a client or the datastore has it. 0, or -1 with
 * error.
 */
int event_retry_read(const struct json_value *value,
    const struct event_retry_limits *limits, struct event_retry *retry,
    struct event_retry_error *error);

/* So that event_retry_read reads the same; nothing when there is nothing. */
void event_retry_write(
    struct json_writer *w, const char *name, const struct event_retry *retry);

/* What counts for the event, of its own and of what is configured. */
void event_retry_policy(const struct event_retry *retry,
    const struct retry_policy *configured, struct retry_policy *policy);

#endif
