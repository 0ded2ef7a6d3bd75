/* SPDX-License-Identifier: ISC */
#include "worker/purge.h"

#include <stdbool.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"

enum {
	STEP = 500,          /* events */
	PAUSE_MS = 50,       /* while there are more */
	INTERVAL_MS = 60000, /* otherwise */
};

/* One of all workers: who has that shard. */
static bool
mends(uint64_t shards)
{
	return (shards & 1) != 0;
}

/* On the datastore's thread. */
static void
purge_run(struct store *store, struct store_job *job)
{
	struct purge *p = container_of(job, struct purge, job);

	p->status = STORE_OK;
	if (p->retention_ms > 0)
		p->status = store_purge(store, p->shards, p->before_ms, STEP,
		    &p->n_purged, &p->err);
	if (p->status == STORE_OK && mends(p->shards) && p->n_purged < STEP)
		p->status = store_mend_schedules(store, &p->mend, &p->err);
}

void
purge_init(struct purge *p, int64_t retention_ms, int64_t mono_ms,
    struct zones *zones, void (*done)(struct store_job *job))
{
	*p = (struct purge){
	    .retention_ms = retention_ms,
	    .due_ms = mono_ms + INTERVAL_MS,
	    .mend.zones = zones,
	    .job = {.run = purge_run, .done = done},
	};
}

int64_t
purge_wait_ms(const struct purge *p, uint64_t shards, int64_t mono_ms)
{
	if (shards == 0 || (p->retention_ms == 0 && !mends(shards)))
		return INT64_MAX;
	return p->due_ms > mono_ms ? p->due_ms - mono_ms : 0;
}

struct store_job *
purge_submit(struct purge *p, uint64_t shards, int64_t now_ms)
{
	p->shards = shards;
	/* No test clock takes away what a test looks at afterwards. */
	p->before_ms = now_ms - clock_ahead_ms() - p->retention_ms;
	p->mend.now_ms = now_ms;
	p->n_purged = 0;
	p->mend.rest = false;
	return &p->job;
}

size_t
purge_done(struct purge *p, int64_t mono_ms)
{
	check(p->status == STORE_OK && p->n_purged <= STEP);
	p->due_ms =
	    mono_ms +
	    (p->n_purged == STEP || p->mend.rest ? PAUSE_MS : INTERVAL_MS);
	return p->n_purged;
}
