/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DISPATCH_H
#define CASSATA_WORKER_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/child.h"
#include "worker/dbclock.h"
#include "worker/holdings.h"
#include "worker/leases.h"
#include "worker/share.h"
#include "worker/wire.h"

/*
 * Starts what is held when it is due, as far as slots, shares and leases reach,
 * and takes what has ended back. What has to wait for its share is queued, or
 * goes back to the datastore.
 */
struct dispatch {
	const struct child *child;
	struct holdings *holdings;
	const struct leases *leases;
	const struct dbclock *clock;
	const struct store_pauses *pauses; /* NULL: there are none, ever */
	void (*start)(struct delivery *delivery); /* tests: another */
	struct shares apps, hosts, addresses;
	struct wire wire;
	bool serving;    /* a queue, now */
	bool unserved;   /* a share has room for those in its queue */
	int64_t shed_ms; /* monotonic: next look for who waits too long */
	int64_t want_ms; /* monotonic: last line about what is short */
	/* Whose share is full may be another one since it was told; how many
	 * were told, and monotonic: not again before. */
	bool full_changed;
	size_t n_full;
	int64_t full_ms;
};

void dispatch_init(struct dispatch *dispatch, const struct child *child,
    struct holdings *holdings, const struct leases *leases,
    const struct dbclock *clock);

/* So much of n is a share, at the most. */
unsigned dispatch_share_of(const struct config_worker *cfg, int n);

/* Starts what can be. Returns the milliseconds from mono_ms until there may be
 * more to start, or INT64_MAX. */
int64_t dispatch_run(struct dispatch *dispatch, int64_t mono_ms);

/*
 * Gives back what was not begun: of shards of others, what was claimed before
 * others may have had it, what a pause is of, and in a drain all.
 */
void dispatch_release_unbegun(struct dispatch *dispatch);

/* The policy's: of a delivery that asks for it (see delivery.h). */
void dispatch_ended(void *dispatch, struct delivery *delivery);
bool dispatch_may_send(void *dispatch, const struct delivery *delivery);
bool dispatch_may_connect(
    void *dispatch, struct delivery *delivery, struct slice ip);

#endif
