/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_LIVENESS_H
#define CASSATA_WORKER_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store_types.h"

/*
 * Who of the registered workers lives, by what we have seen of them: pure,
 * times are monotonic milliseconds of whoever looks. A sign that stood still
 * for its owner's lease, while looks at the datastore went well and close to
 * each other, tells that the owner is lost; it has stopped to send by its own
 * clock, which began when it asked for its last renewal. No clock is compared
 * with another one. Of a long time between two looks little counts, and nothing
 * where one between them failed: a datastore that stood still has kept
 * everybody from renewing.
 */
struct liveness {
	struct sighting {
		struct store_sign sign;
		int64_t lease_ms;
		int64_t since_ms;  /* no other sign was seen from then on, less
			      what does not count */
		int64_t silent_ms; /* at the begin of the last look */
	} seen[STORE_INSTANCES_MAX]; /* by owner */
	size_t n;
	int64_t looked_ms; /* when the last look was answered */
	bool failed;       /* one since then */
};

/* A look was asked for and answered: these are registered. Sorts them. */
void liveness_saw(struct liveness *liveness, int64_t asked_ms,
    int64_t answered_ms, struct store_instance *instances, size_t n);

/* A look failed. */
void liveness_failed(struct liveness *liveness);

/* Those of others than self that are lost, up to max; their number. */
size_t liveness_lost(const struct liveness *liveness, uint64_t self,
    struct store_sign *lost, size_t max);

/* Whether the owner has not renewed for half of its lease: as of that sign. */
bool liveness_is_quiet(
    const struct liveness *liveness, uint64_t owner, struct store_sign *sign);

/* When to look next, so that the looks are close enough for all leases and the
 * first that is lost is found at once; INT64_MAX: nobody is there. */
int64_t liveness_due_ms(const struct liveness *liveness, uint64_t self);

#endif
