/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_JOBS_H
#define CASSATA_WORKER_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store_thread.h"

/*
 * Jobs that change many events: whoever holds the first shard looks for them
 * and takes their steps, in turn. Each has its rate; a step is of a size that
 * takes a moment, and is followed by a rest of all of them, several times as
 * long, so that they stand in nobody's way, however many there are. One call is
 * under way at a time, a look or a step.
 */
struct jobs_entry {
	struct job_id id;
	unsigned rate;  /* 0: not known yet */
	int64_t due_ms; /* monotonic: its next step */
	size_t most;    /* events of a step that takes no longer than it may */
	size_t n_look;
	/* Of a count: what it has come to, and when (monotonic) its row was
	 * written. */
	struct job_tally tally;
	int64_t written_ms;
};

struct jobs {
	int64_t retention_ms; /* of those that ended; 0: for ever */
	/* Monotonic: when to look, when it did, when to forget some. */
	int64_t look_ms, looked_ms, forget_ms;
	int64_t rested_ms; /* the same: no step of any of them before */
	size_t n;
	struct jobs_entry list[JOBS_DUE_MAX];

	/* The call to the datastore: until it is done the thread's. */
	struct store_job job;
	bool under_way;
	bool steps; /* of list[at]; else it looks */
	size_t at;
	int64_t begun_ms; /* monotonic */
	struct job_step step;
	size_t n_found;
	struct job_id found[JOBS_DUE_MAX];
	int64_t forget_before_ms;
	enum store_status status;
	struct err err;
};

/* done(job) is called after a call, on the loop. */
void jobs_init(struct jobs *jobs, int64_t retention_ms, int64_t mono_ms,
    void (*done)(struct store_job *job));

/* Milliseconds from mono_ms until a look is due, INT64_MAX never. */
int64_t jobs_wait_ms(struct jobs *jobs, uint64_t shards, int64_t mono_ms);

/* Until a step is; INT64_MAX when there is none that has not begun. */
int64_t jobs_step_wait_ms(const struct jobs *jobs, int64_t mono_ms);

/* Somebody may have made a job: whoever does, or learns of it (newest), says
 * that an event of the first shard is due. */
void jobs_hurry(struct jobs *jobs);

/* The look that is due; now_ms is the datastore's time. */
struct store_job *jobs_submit(
    struct jobs *jobs, int64_t mono_ms, int64_t now_ms);

/* The step. */
struct store_job *jobs_submit_step(
    struct jobs *jobs, int64_t mono_ms, int64_t now_ms);

/* The call went well. The events that a step made wait are in it: how many. */
size_t jobs_done(struct jobs *jobs, int64_t mono_ms);

/* It did not. */
void jobs_failed(struct jobs *jobs, int64_t mono_ms);

#endif
