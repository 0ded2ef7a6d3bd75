/* SPDX-License-Identifier: ISC */
#include "base/pace.h"

#include <time.h>

/* Not base/clock's: of microseconds, and never a test's. */
static int64_t
moment_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
pace_begin(struct pace *pace)
{
	if (pace->since_us == 0)
		pace->since_us = moment_us();
}

void
pace_rest(struct pace *pace)
{
	int64_t worked_us = moment_us() - pace->since_us;
	int64_t rest_us = worked_us * pace->rests;
	int64_t enough_us = PACE_REST_MS * 1000;
	struct timespec rest;

	if (pace->rests == 0 || worked_us < PACE_STRETCH_US)
		return;
	/* What took that long has waited itself. */
	if (enough_us < worked_us)
		enough_us = worked_us;
	if (enough_us > PACE_REST_MAX_MS * 1000)
		enough_us = PACE_REST_MAX_MS * 1000;
	if (rest_us > enough_us)
		rest_us = enough_us;
	rest.tv_sec = rest_us / 1000000;
	rest.tv_nsec = (long)(rest_us % 1000000) * 1000;
	(void)nanosleep(&rest, NULL);
	pace->since_us = moment_us();
}
