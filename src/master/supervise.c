/* SPDX-License-Identifier: ISC */
#include "master/supervise.h"

#include <sys/wait.h>

#include "board/role.h"

void
supervise_on_ready(struct supervise *history)
{
	history->throttle_ms = 0;
}

static int64_t
throttle(struct supervise *history)
{
	if (history->throttle_ms == 0)
		history->throttle_ms = SUPERVISE_THROTTLE_MIN_MS;
	else if (history->throttle_ms > SUPERVISE_THROTTLE_MAX_MS / 2)
		history->throttle_ms = SUPERVISE_THROTTLE_MAX_MS;
	else
		history->throttle_ms *= 2;
	return history->throttle_ms;
}

int64_t
supervise_on_exit(struct supervise *history, const struct supervise_exit *end)
{
	if (WIFEXITED(end->wait_status) &&
	    WEXITSTATUS(end->wait_status) == EXIT_NO_RESPAWN)
		return SUPERVISE_NEVER;
	if (!end->was_ready)
		return throttle(history);
	if (end->age_ms < SUPERVISE_START_GAP_MS)
		return SUPERVISE_START_GAP_MS - end->age_ms;
	return 0;
}
