/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_THREAD_H
#define CASSATA_STORE_STORE_THREAD_H

#include <sys/queue.h>

#include "base/err.h"
#include "base/loop.h"
#include "store/store.h"

/*
 * The one thread of a child that talks to the datastore, so that the loop goes
 * on while a commit runs: jobs go in, come out done, in order. The mutex of
 * this module is the only thing the two threads share; a job belongs to the
 * thread between submit and done.
 */
struct store_thread;

struct store_job {
	/* On the thread. */
	void (*run)(struct store *store, struct store_job *job);
	/* On the loop, afterwards; may free the job or submit it again. */
	void (*done)(struct store_job *job);
	STAILQ_ENTRY(store_job) entry; /* private */
};

/*
 * Takes the store over; the thread has all signals blocked. NULL with err, and
 * then the store stays the caller's.
 */
struct store_thread *store_thread_create(
    struct store *store, struct loop *loop, struct err *err);

/* The job, the caller's, must stay until done was called. */
void store_thread_submit(struct store_thread *thread, struct store_job *job);

/* store_server of its store, for the loop. */
unsigned store_thread_server(const struct store_thread *thread);
/* store_goes_on, for the loop of who has one job at a time, while there is
 * none. */
bool store_thread_goes_on(const struct store_thread *thread);

/*
 * Waits for the job that runs, drops the ones that wait (for run or done) and
 * closes the store. Not from within done. *thread may be NULL, and is after.
 */
void store_thread_free(struct store_thread **thread);

#endif
