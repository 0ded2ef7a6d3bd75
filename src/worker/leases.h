/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_LEASES_H
#define CASSATA_WORKER_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/child.h"
#include "store/store_thread.h"
#include "worker/dbclock.h"
#include "worker/hostclock.h"
#include "worker/liveness.h"

/* What is seen of all workers that are registered. Few are, most of it is never
 * touched. */
struct leases_others {
	struct liveness seen;
	struct store_instance instances[STORE_INSTANCES_MAX];
	struct store_sign lost[STORE_INSTANCES_MAX];
};

/*
 * Which shards a worker holds, and for how long: it registers as living, renews
 * before its leases end, takes what is free and gives up what is above its
 * share. Others of the host learn through the scoreboard.
 *
 * When it was not registered for a while, what it had claimed before may have
 * been delivered by others, or deleted: then the epoch rises.
 */
struct leases {
	const struct child *child;
	struct dbclock *clock;
	uint64_t owner;  /* our token, of our master */
	uint64_t shards; /* held, a bit each */
	uint64_t epoch;
	bool in_doubt; /* the datastore may have claims of ours unknown to us */
	bool lapsed;   /* the epoch will rise, once a call has gone well */
	bool has_strangers; /* workers of other masters are registered, or were
			     * of late */
	struct hostclock hostclock;
	bool is_spokesman; /* since a call at least, of the workers of the host
			    */

	/* Monotonic milliseconds. */
	int64_t until_ms; /* nothing is started beyond it */
	int64_t due_ms;   /* next renewal */
	int64_t sweep_ms; /* next look for strays without a doubt */
	int64_t sent_ms;
	int64_t strangers_until_ms;
	uint64_t membership; /* of the scoreboard, when we last looked */

	/* The call to the datastore: until it is done the thread's. */
	struct store_job job;
	struct lease_request request;
	struct lease_reply reply;
	enum store_status status;
	struct err err;
	struct store_death dead[SCOREBOARD_DEAD];
	int64_t *dead_wire; /* the rows of all of these */
	size_t n_dead_wire, cap_dead_wire;
	uint64_t n_dead_listed; /* of the master's, ever */
	struct store_sign away[SCOREBOARD_WORKER_SLOTS];
	struct leases_others *others;
};

/* done(job) is called after a call, on the loop. 0, or -1 when memory is
 * short. */
int leases_init(struct leases *leases, const struct child *child,
    struct dbclock *clock, void (*done)(struct store_job *job));
void leases_fini(struct leases *leases);

/* ---- what is held ---- */

/* Whether a shard is ours: others may deliver what is in it, unless that has
 * begun. */
bool leases_hold(const struct leases *leases, unsigned shard);

/* Whether they last, as far as we know. */
bool leases_are_open(const struct leases *leases);

/* Whether what was claimed in that epoch may go out now: nobody else has had
 * it. */
bool leases_let_send(const struct leases *leases, uint64_t epoch);

/* Our wall clock was stepped? Then they are measured at once. */
void leases_check_clock(struct leases *leases);

/* ---- calls ---- */

/* To be asked for at once. */
void leases_hurry(struct leases *leases);

/* A claim may be committed that we do not know: to be looked for at once. */
void leases_doubt(struct leases *leases);

/* A call to the datastore failed, ours or another's of this worker: its commit
 * may have gone well. */
void leases_failed(struct leases *leases, bool ours);

/* Milliseconds from mono_ms until the next call; 0: now. */
int64_t leases_wait_ms(struct leases *leases, int64_t mono_ms);

/* The next call, of a worker that knows of these rows, sorted. */
struct store_job *leases_submit(
    struct leases *leases, const int64_t *known, size_t n_known);

struct lease_change {
	uint64_t gained, lost; /* shards */
	bool lapsed;           /* the epoch has risen */
	size_t n_strays;       /* rows to be given back */
	const int64_t *strays;
	bool left; /* there is nothing more to do */
};

/* It went well. */
struct lease_change leases_done(struct leases *leases);

#endif
