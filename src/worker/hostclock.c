/* SPDX-License-Identifier: ISC */
#include "worker/hostclock.h"

#include <string.h>

enum {
	SLACK_MS = 1000,
	GAP_MS = 60000,
};

static const char *
host_of(const struct store_instance *instances, size_t n, uint64_t owner)
{
	for (size_t i = 0; i < n; i++)
		if (instances[i].sign.owner == owner)
			return instances[i].host;
	return "";
}

/* Who is ahead on our own host has not renewed since its clock was set back. */
static const struct store_instance *
furthest_ahead(const struct store_instance *instances, size_t n,
    const char *our_host, int64_t wall_ms)
{
	const struct store_instance *found = NULL;
	int64_t most_ms = wall_ms + SLACK_MS;

	for (size_t i = 0; i < n; i++)
		if (instances[i].wall_ms > most_ms &&
		    strncmp(instances[i].host, our_host, STORE_HOST_MAX) != 0) {
			found = &instances[i];
			most_ms = found->wall_ms;
		}
	return found;
}

const struct store_instance *
hostclock_saw(struct hostclock *clock, const struct clock_reading *now,
    const struct store_instance *instances, size_t n, uint64_t self)
{
	const struct store_instance *found = furthest_ahead(
	    instances, n, host_of(instances, n, self), now->wall_ms);

	if (now->mono_ms < clock->again_ms)
		return NULL;
	if (found == NULL) {
		clock->host[0] = '\0';
		return NULL;
	}
	if (strncmp(found->host, clock->host, sizeof(clock->host)) == 0)
		return NULL;
	memcpy(clock->host, found->host, sizeof(clock->host));
	clock->again_ms = now->mono_ms + GAP_MS;
	return found;
}
