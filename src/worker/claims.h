/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_CLAIMS_H
#define CASSATA_WORKER_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/child.h"
#include "store/store_thread.h"
#include "worker/claim_size.h"
#include "worker/damaged.h"
#include "worker/dbclock.h"
#include "worker/holdings.h"
#include "worker/leases.h"

/*
 * Writes the results of what has finished, and claims what is due: one call to
 * the datastore does both. When it refuses one, results and claims go apart,
 * and the results in smaller parts, until the one that it does not take is
 * known: that is set aside, and asked again from time to time. So is one whose
 * end somebody is to be told of, while there is no memory for that.
 */
struct claims {
	struct child *child;
	struct holdings *holdings;
	const struct leases *leases;
	const struct dbclock *clock;
	const struct delivery_policy *policy;
	const struct store_pauses *pauses; /* NULL: there are none, ever */
	struct claim_size size;
	int64_t poll_due_ms; /* monotonic: claim even if nothing seems due */
	int64_t idle_ms;     /* monotonic: alone, and nothing to do, since; 0 */
	struct damaged damaged;

	/* After a refusal. */
	size_t results_max;            /* of a call; SIZE_MAX: all */
	bool apart;                    /* a call with a claim was refused */
	bool settled;                  /* the last call wrote results, */
	bool asking_refused;           /* or the first of these: */
	struct delivery_queue refused; /* what is set aside */
	size_t n_refused;
	int64_t refused_due_ms; /* monotonic: the first is asked again */

	/* The call to the datastore: until it is done the thread's. */
	struct store_job job;
	struct claim_request request;
	struct claim_reply reply;
	enum store_status status;
	struct err err;
	struct delivery_queue writing; /* its results, */
	struct store_result *results;  /* as the datastore takes them */
	size_t cap_results;
};

/* Deliveries that are claimed get that policy. done(job) is called after a
 * call, on the loop. 0, or -1 when memory is short. */
int claims_init(struct claims *claims, struct child *child,
    struct holdings *holdings, const struct leases *leases,
    const struct dbclock *clock, const struct delivery_policy *policy,
    void (*done)(struct store_job *job));
void claims_fini(struct claims *claims);

/* Milliseconds from mono_ms until a call makes sense: 0 now, INT64_MAX never by
 * the mere passing of time. */
int64_t claims_wait_ms(const struct claims *claims, int64_t mono_ms);

/* The next call. */
struct store_job *claims_submit(struct claims *claims, int64_t mono_ms);

struct claims_change {
	bool in_doubt; /* rows may be ours that we do not hold */
	bool lost;     /* leases that we counted on are another's */
	bool idle;     /* alone, and nothing has come for a while */
};

/* The call is over: takes what was claimed into memory, and what was written
 * out of it; or keeps the results. */
struct claims_change claims_done(struct claims *claims, int64_t mono_ms);

/* A drain: what the datastore refuses is left to it. */
void claims_drain(struct claims *claims);

#endif
