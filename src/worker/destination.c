/* SPDX-License-Identifier: ISC */
#include "worker/destination.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include "worker/delivery.h"

enum { DEFER_MIN_MS = 1000, DEFER_MAX_MS = 60000, MEAN_OF = 8 };

struct destination {
	unsigned active, queued;
	double mean_ms;	  /* of a delivery, lately */
	double served_ms; /* monotonic: those sent away before are done */
	STAILQ_HEAD(, delivery) waiting;
	LIST_ENTRY(destination) entry;
	size_t len;
	char origin[]; /* scheme, host and port as in the URL, lower case */
};

void
destinations_init(
    struct destinations *set, unsigned cap, unsigned queue_max)
{
	set->cap = cap;
	set->queue_max = queue_max;
	for (size_t i = 0; i < DESTINATION_BUCKETS; i++)
		LIST_INIT(&set->buckets[i]);
}

/* "http://host:80" of "http://host:80/path?query". */
static struct slice
origin_of(struct slice url)
{
	size_t slashes = 0;

	for (size_t i = 0; i < url.len; i++) {
		char c = url.p[i];

		if (c == '?' || c == '#' || (c == '/' && ++slashes == 3))
			return slice_of(url.p, i);
	}
	return url;
}

/* FNV-1a, folded to lower case. */
static size_t
bucket_of(struct slice origin)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < origin.len; i++)
		hash = (hash ^ (unsigned)tolower((unsigned char)origin.p[i])) *
		    16777619u;
	return hash % DESTINATION_BUCKETS;
}

static struct destination *
find_or_create(struct destinations *set, struct slice origin)
{
	size_t bucket = bucket_of(origin);
	struct destination *d;

	LIST_FOREACH(d, &set->buckets[bucket], entry)
		if (slice_ieq(slice_of(d->origin, d->len), origin))
			return d;
	d = calloc(1, sizeof(*d) + origin.len);
	if (d == NULL)
		return NULL;
	d->len = origin.len;
	memcpy(d->origin, origin.p, origin.len);
	STAILQ_INIT(&d->waiting);
	LIST_INSERT_HEAD(&set->buckets[bucket], d, entry);
	return d;
}

enum admission
destination_admit(struct destinations *set, struct slice url,
    struct delivery *delivery, struct destination **destination)
{
	struct destination *d;

	*destination = NULL;
	if (set->cap == 0)
		return ADMISSION_NOW;
	d = find_or_create(set, origin_of(url));
	if (d == NULL)
		return ADMISSION_NOW;
	*destination = d;
	if (d->active < set->cap) {
		d->active++;
		return ADMISSION_NOW;
	}
	if (d->queued == set->queue_max)
		return ADMISSION_FULL;
	STAILQ_INSERT_TAIL(&d->waiting, delivery, queue);
	d->queued++;
	return ADMISSION_QUEUED;
}

int64_t
destination_defer_ms(
    const struct destinations *set, struct destination *d, int64_t now_ms)
{
	double now = (double)now_ms, each_ms = d->mean_ms / set->cap;
	double queued_ms = now + each_ms * d->queued;
	double latest_ms = now + DEFER_MAX_MS;

	if (d->served_ms < queued_ms)
		d->served_ms = queued_ms;
	d->served_ms += each_ms;
	if (d->served_ms > latest_ms)
		d->served_ms = latest_ms;
	return d->served_ms < now + DEFER_MIN_MS
		   ? DEFER_MIN_MS
		   : (int64_t)(d->served_ms - now);
}

void
destinations_unqueue(struct destinations *set,
    bool (*stays)(void *arg, struct delivery *delivery), void *arg)
{
	struct destination *d;

	for (size_t i = 0; i < DESTINATION_BUCKETS; i++)
		LIST_FOREACH(d, &set->buckets[i], entry)
			for (unsigned n = d->queued; n > 0; n--) {
				struct delivery *next =
				    STAILQ_FIRST(&d->waiting);

				STAILQ_REMOVE_HEAD(&d->waiting, queue);
				if (stays(arg, next))
					STAILQ_INSERT_TAIL(
					    &d->waiting, next, queue);
				else
					d->queued--;
			}
}

struct delivery *
destination_done(struct destination *d, int64_t elapsed_ms)
{
	struct delivery *next;

	if (d == NULL)
		return NULL;
	d->mean_ms += ((double)elapsed_ms - d->mean_ms) /
		      (d->mean_ms > 0 ? MEAN_OF : 1);
	next = STAILQ_FIRST(&d->waiting);
	if (next != NULL) {
		STAILQ_REMOVE_HEAD(&d->waiting, queue);
		d->queued--;
		return next;
	}
	if (--d->active == 0) {
		LIST_REMOVE(d, entry);
		free(d);
	}
	return NULL;
}
