/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_SUPERVISE_H
#define CASSATA_MASTER_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When the place of a dead child is filled again. Pure. A crash loop is
 * throttled, a crash is not: a child that worked is replaced at once, or else
 * whoever can crash a session could stop the service.
 */
enum {
	SUPERVISE_THROTTLE_MIN_MS = 2000,
	SUPERVISE_THROTTLE_MAX_MS = 60000,
	/* Between two starts in one place, so that children that die as soon as
	 * they are ready do not make the master a fork loop. */
	SUPERVISE_START_GAP_MS = 1000,
	SUPERVISE_NEVER = -1,
};

/* What one place has seen; zero at birth. */
struct supervise {
	int64_t throttle_ms; /* the last wait after a failed start, or 0 */
};

struct supervise_exit {
	int wait_status; /* as waitpid wrote it */
	bool was_ready;
	int64_t age_ms;
};

/* A child of the place was ready: waits begin with the least again. */
void supervise_on_ready(struct supervise *history);

/*
 * Milliseconds from now until the replacement starts, 0 for at once, or
 * SUPERVISE_NEVER.
 */
int64_t supervise_on_exit(
    struct supervise *history, const struct supervise_exit *end);

#endif
