/* SPDX-License-Identifier: ISC */
#include "worker/pauses.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "board/shardboard.h"
#include "store/pauses.h"

enum {
	TOLD_GAP_MS = 20,
	SWEEP_MS = 60000,
	BACK_ROWS = 256,
	BACK_GAP_MS = 50,
};

/* On the datastore's thread. */
static void
pauses_run(struct store *store, struct store_job *job)
{
	struct pauses *p = container_of(job, struct pauses, job);

	p->status = store_heed_pauses(store, &p->request, &p->reply, &p->err);
}

void
worker_pauses_init(struct pauses *p, const struct child *child,
    const struct leases *leases, const struct dbclock *clock,
    void (*done)(struct store_job *job))
{
	*p = (struct pauses){
	    .child = child,
	    .leases = leases,
	    .clock = clock,
	    .job = {.run = pauses_run, .done = done},
	};
	pauses_init(&p->list);
	pauses_init(&p->read);
	p->reply.pauses = &p->read;
}

void
worker_pauses_fini(struct pauses *p)
{
	pauses_fini(&p->list);
	pauses_fini(&p->read);
}

void
worker_pauses_gained(struct pauses *p)
{
	p->back = true;
}

void
worker_pauses_doubt(struct pauses *p)
{
	p->doubt = true;
}

static int64_t
event_time_ms(const struct pauses *p)
{
	return dbclock_now_ms(p->clock, clock_event_ms());
}

static int64_t
end_wait_ms(const struct pauses *p)
{
	int64_t end_ms = INT64_MAX;

	for (size_t i = 0; i < p->list.n; i++)
		if (p->list.list[i].until_ms != 0)
			end_ms =
			    clock_sooner_ms(end_ms, p->list.list[i].until_ms);
	return end_ms == INT64_MAX ? INT64_MAX : end_ms - event_time_ms(p);
}

int64_t
worker_pauses_wait_ms(const struct pauses *p, int64_t mono_ms)
{
	int64_t due_ms = p->asked_ms + SWEEP_MS, wait_ms;

	if (!p->known)
		return 0;
	if (p->child->draining)
		return INT64_MAX;
	if (p->doubt || shardboard_pauses_told(p->child->sb) != p->told)
		due_ms = p->asked_ms + TOLD_GAP_MS;
	if (p->back)
		due_ms = clock_sooner_ms(due_ms, p->back_ms);
	wait_ms = clock_sooner_ms(due_ms - mono_ms, end_wait_ms(p));
	return wait_ms > 0 ? wait_ms : 0;
}

struct store_job *
worker_pauses_submit(struct pauses *p, int64_t mono_ms)
{
	uint64_t told = shardboard_pauses_told(p->child->sb);
	bool back = (p->back && mono_ms >= p->back_ms) ||
		    mono_ms - p->swept_ms >= SWEEP_MS;

	p->was_told = p->doubt || told != p->told;
	p->doubt = false;
	p->told = told;
	p->made = shardboard_pauses_made(p->child->sb);
	p->asked_ms = mono_ms;
	if (back) {
		p->back = false;
		p->swept_ms = mono_ms;
	}
	p->request = (struct pauses_request){
	    .now_ms = event_time_ms(p),
	    .shards = back ? p->leases->shards : 0,
	    .max = BACK_ROWS,
	};
	return &p->job;
}

/* Who was told is not the only one; and nobody else sees what has come to its
 * end later. */
static void
tell_others(const struct pauses *p, bool was_known)
{
	const struct ring ring = {.what = RING_PAUSES};

	if (was_known && !p->was_told)
		shardboard_hear(p->child->sb, &ring);
}

bool
worker_pauses_done(struct pauses *p, int64_t mono_ms)
{
	bool was_known = p->known, changed;
	struct store_pauses former = p->list;

	check(p->status == STORE_OK);
	changed = !pauses_equal(&p->list, &p->read);
	p->known = true;
	atomic_store(&p->child->score->pauses_read, p->made);
	p->back_ms = mono_ms + BACK_GAP_MS;
	if (p->reply.rest)
		p->back = true;
	if (p->reply.n_put_back > 0)
		atomic_store(&p->child->score->wake_at_ms, 0);
	if (!changed)
		return false;
	p->list = p->read;
	p->read = former;
	p->back = true;
	p->back_ms = mono_ms;
	atomic_store(&p->child->score->n_pauses, (int)p->list.n);
	tell_others(p, was_known);
	return true;
}
