/* SPDX-License-Identifier: ISC */
#include "worker/destination.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>

#include "worker/delivery.h"

struct destination {
	unsigned active;
	STAILQ_HEAD(, delivery) waiting;
	LIST_ENTRY(destination) entry;
	size_t len;
	char origin[]; /* scheme, host and port as in the URL, lower case */
};

void
destinations_init(struct destinations *set, unsigned cap)
{
	set->cap = cap;
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
	d = malloc(sizeof(*d) + origin.len);
	if (d == NULL)
		return NULL;
	d->active = 0;
	d->len = origin.len;
	memcpy(d->origin, origin.p, origin.len);
	STAILQ_INIT(&d->waiting);
	LIST_INSERT_HEAD(&set->buckets[bucket], d, entry);
	return d;
}

bool
destination_admit(struct destinations *set, struct slice url,
    struct delivery *delivery, struct destination **destination)
{
	struct destination *d;

	*destination = NULL;
	if (set->cap == 0)
		return true;
	d = find_or_create(set, origin_of(url));
	if (d == NULL)
		return true;
	*destination = d;
	if (d->active == set->cap) {
		STAILQ_INSERT_TAIL(&d->waiting, delivery, queue);
		return false;
	}
	d->active++;
	return true;
}

struct delivery *
destination_done(struct destination *d)
{
	struct delivery *next;

	if (d == NULL)
		return NULL;
	next = STAILQ_FIRST(&d->waiting);
	if (next != NULL) {
		STAILQ_REMOVE_HEAD(&d->waiting, queue);
		return next;
	}
	if (--d->active == 0) {
		LIST_REMOVE(d, entry);
		free(d);
	}
	return NULL;
}
