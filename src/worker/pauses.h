/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_PAUSES_H
#define CASSATA_WORKER_PAUSES_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/child.h"
#include "store/store_thread.h"
#include "worker/dbclock.h"
#include "worker/leases.h"

/*
 * Of what nothing is delivered for the time being. The table is read when
 * somebody has changed it, and when the first of the pauses comes to its end.
 * The scoreboard or the bell tells what services of this host have changed, and
 * the worker that looks for what other hosts do (newest) the rest. Everybody
 * reads it once a minute.
 *
 * What pauses have parked that are over is put back, of the shards that are
 * held: so much at a time that what is due is claimed, and spread, meanwhile.
 */
struct pauses {
	const struct child *child;
	const struct leases *leases;
	const struct dbclock *clock;
	struct store_pauses list; /* those that last */
	bool known;               /* it was read */
	bool back;                /* there may be something to put back */
	bool doubt;               /* it may be another one, and all know that */
	uint64_t told;            /* by the scoreboard, when it was last read */
	uint64_t made;            /* by services of this daemon, up to then */

	/* Monotonic milliseconds. */
	int64_t asked_ms;
	int64_t back_ms;  /* not before that: the next part */
	int64_t swept_ms; /* looked for it, for whatever reason */

	/* The call to the datastore: until it is done the thread's. */
	struct store_job job;
	struct pauses_request request;
	struct pauses_reply reply;
	enum store_status status;
	struct err err;
	struct store_pauses read;
	bool was_told;
};

/* done(job) is called after a call, on the loop. */
void worker_pauses_init(struct pauses *pauses, const struct child *child,
    const struct leases *leases, const struct dbclock *clock,
    void (*done)(struct store_job *job));
void worker_pauses_fini(struct pauses *pauses);

/* Shards have come whose last holder may have left something to put back. */
void worker_pauses_gained(struct pauses *pauses);

/* The table may be another one, which the others of this host are told. */
void worker_pauses_doubt(struct pauses *pauses);

/* Milliseconds from mono_ms until the next call; INT64_MAX: never. */
int64_t worker_pauses_wait_ms(const struct pauses *pauses, int64_t mono_ms);

/* The next call. */
struct store_job *worker_pauses_submit(struct pauses *pauses, int64_t mono_ms);

/* It went well: whether the list is another one. */
bool worker_pauses_done(struct pauses *pauses, int64_t mono_ms);

#endif
