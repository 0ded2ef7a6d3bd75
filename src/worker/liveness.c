/* SPDX-License-Identifier: ISC */
#include "worker/liveness.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"

enum {
	/* Parts of a lease: from look to look; how far apart they may be, and
	 * what counts of a longer time. */
	LOOKS = 5,
	GAPS = 2,
	GAP_COUNTS = 4,
	/* What a datastore says is not believed. */
	LEASE_MIN_MS = 1000,
	LEASE_MAX_MS = 3600000,
};

void
liveness_failed(struct liveness *liveness)
{
	liveness->failed = true;
}

static int
compare_instances(const void *a, const void *b)
{
	const struct store_instance *x = a, *y = b;

	return (x->sign.owner > y->sign.owner) -
	       (x->sign.owner < y->sign.owner);
}

static int
compare_owner(const void *owner, const void *sighting)
{
	const uint64_t *x = owner;
	const struct sighting *y = sighting;

	return (*x > y->sign.owner) - (*x < y->sign.owner);
}

static const struct sighting *
sighting_of(const struct liveness *liveness, uint64_t owner)
{
	return liveness->n == 0 ? NULL
				: bsearch(&owner, liveness->seen, liveness->n,
				      sizeof(liveness->seen[0]), compare_owner);
}

static int64_t
lease_of(const struct store_instance *instance)
{
	if (instance->lease_ms < LEASE_MIN_MS)
		return LEASE_MIN_MS;
	return instance->lease_ms < LEASE_MAX_MS ? instance->lease_ms
						 : LEASE_MAX_MS;
}

/* Since when the owner shows no other sign, as far as we have seen. */
static int64_t
shown_since_ms(const struct liveness *liveness,
    const struct store_instance *instance, int64_t answered_ms)
{
	const struct sighting *before =
	    sighting_of(liveness, instance->sign.owner);
	int64_t gap_ms = answered_ms - liveness->looked_ms;

	if (before == NULL || before->sign.sign != instance->sign.sign)
		return answered_ms;
	if (gap_ms <= before->lease_ms / GAPS)
		return before->since_ms;
	if (liveness->failed)
		return answered_ms;
	return before->since_ms + gap_ms - before->lease_ms / GAP_COUNTS;
}

void
liveness_saw(struct liveness *liveness, int64_t asked_ms, int64_t answered_ms,
    struct store_instance *instances, size_t n)
{
	int64_t since_ms[STORE_INSTANCES_MAX];

	check(n <= STORE_INSTANCES_MAX);
	qsort(instances, n, sizeof(*instances), compare_instances);
	for (size_t i = 0; i < n; i++)
		since_ms[i] =
		    shown_since_ms(liveness, &instances[i], answered_ms);
	for (size_t i = 0; i < n; i++)
		liveness->seen[i] = (struct sighting){
		    .sign = instances[i].sign,
		    .lease_ms = lease_of(&instances[i]),
		    .since_ms = since_ms[i],
		    .silent_ms = asked_ms - since_ms[i],
		};
	liveness->n = n;
	liveness->failed = false;
	liveness->looked_ms = answered_ms;
}

size_t
liveness_lost(const struct liveness *liveness, uint64_t self,
    struct store_sign *lost, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < liveness->n && n < max; i++) {
		const struct sighting *s = &liveness->seen[i];

		if (s->sign.owner != self && s->silent_ms >= s->lease_ms)
			lost[n++] = s->sign;
	}
	return n;
}

bool
liveness_is_quiet(
    const struct liveness *liveness, uint64_t owner, struct store_sign *sign)
{
	const struct sighting *s = sighting_of(liveness, owner);

	if (s == NULL || s->silent_ms < s->lease_ms / 2)
		return false;
	*sign = s->sign;
	return true;
}

int64_t
liveness_due_ms(const struct liveness *liveness, uint64_t self)
{
	int64_t due_ms = INT64_MAX;

	for (size_t i = 0; i < liveness->n; i++) {
		const struct sighting *s = &liveness->seen[i];

		if (s->sign.owner == self)
			continue;
		due_ms = clock_sooner_ms(
		    due_ms, liveness->looked_ms + s->lease_ms / LOOKS);
		due_ms = clock_sooner_ms(due_ms, s->since_ms + s->lease_ms);
	}
	return due_ms;
}
