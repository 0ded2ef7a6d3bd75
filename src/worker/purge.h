/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_PURGE_H
#define CASSATA_WORKER_PURGE_H

#include <stdint.h>

#include "store/store_thread.h"

/*
 * Removes events that ended longer ago than they are kept, of the shards that
 * are held: a few at a time, with a pause between, so that it stands in
 * nobody's way. Who has the first shard mends schedules, too.
 */
struct purge {
	int64_t retention_ms; /* 0: for ever */
	int64_t due_ms;       /* monotonic */

	/* The call to the datastore: until it is done the thread's. */
	struct store_job job;
	uint64_t shards;
	int64_t before_ms;
	struct schedule_mend mend;
	enum store_status status;
	struct err err;
	size_t n_purged;
};

/* done(job) is called after a call, on the loop. zones are the thread's. */
void purge_init(struct purge *purge, int64_t retention_ms, int64_t mono_ms,
    struct zones *zones, void (*done)(struct store_job *job));

/* Milliseconds from mono_ms until there is something to do, INT64_MAX never. */
int64_t purge_wait_ms(
    const struct purge *purge, uint64_t shards, int64_t mono_ms);

/* The next call; now_ms is the datastore's time. */
struct store_job *purge_submit(
    struct purge *purge, uint64_t shards, int64_t now_ms);

/* It went well: how many events are gone. */
size_t purge_done(struct purge *purge, int64_t mono_ms);

#endif
