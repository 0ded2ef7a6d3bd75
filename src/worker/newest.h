/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_NEWEST_H
#define CASSATA_WORKER_NEWEST_H

#include <stdint.h>

#include "proc/child.h"
#include "store/store_thread.h"
#include "worker/dbclock.h"

enum { NEWEST_MAX = 500 }; /* rows of a look */

/*
 * Events that somebody has added whom this host does not hear: a service on
 * another host, or one whose event went into a shard that has just come here.
 * One worker of a host asks a database server which rows are new, many times a
 * second, and wakes those of this host that hold their shards.
 *
 * Where that is news to nobody for a minute it asks less often: on hosts that
 * are alone, and where nothing is added. Where events came that were due
 * already it does so only after ten minutes, and looks twice as often for some
 * seconds: those wait for the look, all others for their time.
 *
 * What a service of this host may be adding at that moment is told to its
 * worker, but is no such news: it was seen before the service could tell of it.
 * Nor is what a worker may have claimed since it was seen.
 *
 * Where more are new than a look reads, the others may be hidden behind them
 * for as long as that lasts: then all workers of the host look for themselves,
 * some times a second.
 *
 * With that it learns what other hosts do: of a pause, and of a job, there are
 * marks, which it asks for some times a second, however often it looks for
 * events. When one is another it tells those of this host, for a while: the
 * nodes that they ask may have the change a moment later.
 *
 * Rows have their ids from the clock of the service, before they are
 * committed. So each look goes back by more than clocks should differ and a
 * commit takes, and sees a row many times: whoever has looked for it knows it,
 * and who just looks may have missed it, and is told the next time.
 */
struct newest {
	const struct child *child;
	const struct dbclock *clock;
	int64_t asked_ms; /* monotonic: for events, and for marks: last */
	int64_t marked_ms;
	int64_t hurried_ms; /* monotonic: asks often up to here, */
	int64_t pressed_ms; /* twice as often up to here */
	int64_t swept_ms;   /* the host was told to look at everything; and */
	int64_t said_ms;    /* that a row is damaged; both monotonic: last */
	struct store_marks marks;
	bool known;                 /* they are */
	int64_t pauses_ms, jobs_ms; /* monotonic: told up to here */

	/* Of the workers here, when it asked. */
	uint64_t looks[SCOREBOARD_WORKER_SLOTS];

	/* The call to the datastore: until it is done the thread's. */
	struct store_job job;
	struct newest_request request;
	enum store_status status;
	struct err err;
	struct store_news news[NEWEST_MAX];
	struct newest_reply reply;
};

/* done(job) is called after a call, on the loop. */
void newest_init(struct newest *newest, const struct child *child,
    const struct dbclock *clock, void (*done)(struct store_job *job));

/* Milliseconds from mono_ms until the next look; INT64_MAX: not ours, as things
 * are. */
int64_t newest_wait_ms(const struct newest *newest, int64_t mono_ms);

/* The next call. */
struct store_job *newest_submit(struct newest *newest, int64_t mono_ms);

/* It went well. Whether the pauses may be others than they were: all of this
 * host are told, but for us. */
bool newest_done(struct newest *newest, int64_t mono_ms);

#endif
