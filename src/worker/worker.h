/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_WORKER_H
#define CASSATA_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proc/child.h"
#include "store/store_thread.h"
#include "worker/batch.h"
#include "worker/dbclock.h"
#include "worker/delivery.h"
#include "worker/holdings.h"
#include "worker/purge.h"
#include "worker/share.h"
#include "worker/transport.h"
#include "worker/wire.h"

/*
 * The state of a worker child. One that is alone (child->alone) takes no
 * shards, but one event at a time of those that may have been the end of a
 * worker, and has nothing else on the wire: what ends it is that event. Files:
 * worker.c has the clock and what is in memory, shards.c the leases, turn.c
 * results and claims. One job of the datastore is under way at a time, so that
 * what we hold and what it knows of us can be compared.
 */
struct worker {
	struct child *child;
	const struct config_worker *cfg;
	struct loop *loop;
	struct loop_io *wake_io;
	struct loop_timer *timer, *drain_timer;
	struct store_thread *store;
	struct transport *transport;
	struct delivery_policy policy;
	struct shares apps, hosts, addresses;

	/* Deliveries. */
	struct holdings holdings;
	int64_t shed_ms; /* monotonic: next look for who waits too long */
	struct wire wire;
	int64_t told_want_ms; /* monotonic: last line about what is short */

	/* Leases. */
	uint64_t owner;  /* our token, of our master */
	uint64_t shards; /* held, a bit each */
	bool in_doubt; /* the datastore may have claims of ours unknown to us */
	bool lapsed;   /* epoch will rise, once a lease turn has gone well */
	bool unserved; /* a share has room for those in its queue */
	int64_t sweep_ms; /* monotonic: next look for them without a doubt */
	int64_t lease_until_ms; /* monotonic: not started beyond it */
	/* Rises when we were not registered for a while: what was claimed
	 * before that may have been delivered by others, or deleted. */
	uint64_t epoch;
	int64_t lease_due_ms; /* monotonic: next renewal */
	uint64_t membership;  /* of the scoreboard, when we last looked */
	struct store_job lease_job;
	struct lease_request lease_request;
	struct lease_reply lease_reply;
	struct store_death dead[SCOREBOARD_DEAD];
	int64_t *dead_wire; /* the rows of all of these */
	size_t n_dead_wire, cap_dead_wire;
	uint64_t away[SCOREBOARD_WORKER_SLOTS];
	const int64_t *known; /* row ids we hold, sorted */
	size_t n_known;
	int64_t lease_sent_ms;
	struct dbclock clock;

	/* Results and claims. */
	struct batch batch;
	int64_t poll_due_ms; /* monotonic: claim even if nothing seems due */
	struct store_job turn_job;
	struct claim_request claim_request;
	struct claim_reply claim_reply;
	int64_t idle_ms; /* monotonic: alone, and nothing to do, since; 0 */
	struct delivery_queue writing; /* results of the turn under way */
	struct store_result *written;  /* the same for the datastore */
	size_t cap_written;

	struct purge purge;

	bool busy;              /* a job is under way */
	int64_t store_retry_ms; /* monotonic: no job before, after a failure */
	enum store_status status; /* of the last job */
	struct err err;
	int64_t drain_until_ms; /* monotonic */
};

/* The database's clock, as far as we know it. */
int64_t worker_now_ms(const struct worker *w);

/* Whether its shard is ours: others may deliver it, unless it has begun. */
bool worker_holds(const struct worker *w, const struct delivery *delivery);

/* Whether its request may go out now: nobody else has had the event. */
bool worker_may_send(void *worker, const struct delivery *delivery);

/*
 * Gives back what was not begun: of shards of others, what was claimed before
 * others may have had it, and in a drain all.
 */
void worker_release_unbegun(struct worker *w);

/* Hands a job to the datastore's thread. */
void worker_submit(struct worker *w, struct store_job *job);

/* What a delivery calls at its end. */
void worker_ended(void *arg, struct delivery *delivery);

/*
 * A job of the datastore failed: waits before the next one and compares what
 * we hold with what it knows before anything else. Returns true when so.
 */
bool worker_store_failed(struct worker *w);

/* shards.c */
/*
 * Our wall clock was stepped? Then the database's time goes on as before, and a
 * lease turn measures it at once.
 */
void shards_check_clock(struct worker *w);
/*
 * Whether our lease lasts, as far as we know. A step forward of the wall clock
 * may be the end of a pause of the whole machine, in which no clock of it went
 * on: then nobody knows before the next lease turn.
 */
bool shards_open(const struct worker *w);
/* Whether there was such a step since shards_check_clock. */
bool shards_leapt(const struct worker *w);
void shards_init(struct worker *w);
void shards_fini(struct worker *w);
bool shards_due(struct worker *w, int64_t mono_ms);
void shards_submit(struct worker *w);

/* turn.c */
int turn_init(struct worker *w);
void turn_fini(struct worker *w);
/* Milliseconds from mono_ms until a turn makes sense: 0 now, INT64_MAX never
 * by the mere passing of time. */
int64_t turn_wait_ms(const struct worker *w, int64_t mono_ms);
void turn_submit(struct worker *w);

#endif
