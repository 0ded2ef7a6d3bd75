/* SPDX-License-Identifier: ISC */
#include "event/retry.h"

#include "base/check.h"

/* From 0 to range - 1, in proportion to random; the product needs 96 bits. */
static int64_t
spread(int64_t range, uint32_t random)
{
	uint64_t high = (uint64_t)range >> 32, low = range & UINT32_MAX;

	return (int64_t)(high * random + (low * random >> 32));
}

int64_t
retry_wait_ms(const struct retry_policy *policy, unsigned attempt,
    int64_t retry_after_ms, uint32_t random)
{
	int64_t delay, jitter, wait;
	size_t last = policy->n_delays;

	check(attempt >= 1 && last >= 1 && last <= RETRY_DELAYS_MAX);
	if (attempt > policy->max_retries)
		return -1;
	delay = policy->delay_ms[(attempt < last ? attempt : last) - 1];
	jitter = delay / 100 * policy->jitter_percent +
		 delay % 100 * policy->jitter_percent / 100;
	wait = delay - jitter + spread(2 * jitter + 1, random);

	if (retry_after_ms > policy->retry_after_max_ms)
		retry_after_ms = policy->retry_after_max_ms;
	return wait > retry_after_ms ? wait : retry_after_ms;
}
