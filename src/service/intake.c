/* SPDX-License-Identifier: ISC */
#include "service/intake.h"

#include <stdlib.h>

#include "service/api.h"
#include "service/service.h"

static struct intake *
intake_of(struct store_job *job)
{
	return (struct intake *)((char *)job - offsetof(struct intake, job));
}

static void
run(struct store *store, struct store_job *job)
{
	struct intake *intake = intake_of(job);

	intake->status = store_add_events(
	    store, intake->adds, intake->n_running, &intake->err);
}

/* An event that is due earlier than its worker would wake wakes it. */
static void
announce(struct intake *intake, const struct exchange *x)
{
	const struct child *child = intake->service->child;

	switch (x->add.outcome) {
	case ADD_CREATED:
		metric_add(child->score, METRIC_EVENTS_ADDED, 1);
		scoreboard_event_added(
		    child->sb, x->add.shard, x->event.expiry_ms);
		break;
	case ADD_SAME:
		metric_add(child->score, METRIC_EVENTS_REPEATED, 1);
		break;
	case ADD_CONFLICT:
		metric_add(child->score, METRIC_EVENTS_CONFLICTING, 1);
		break;
	case ADD_NO_ROOM:
		metric_add(child->score, METRIC_EVENTS_REFUSED, 1);
		break;
	}
}

static void
done(struct store_job *job)
{
	struct intake *intake = intake_of(job);
	struct exchange *x;

	intake->busy = false;
	if (intake->status == STORE_OK)
		metric_add(
		    intake->service->child->score, METRIC_ADD_COMMITS, 1);
	/* Workers first: answering takes longer than waking. */
	if (intake->status == STORE_OK)
		STAILQ_FOREACH(x, &intake->running, entry)
			announce(intake, x);
	while ((x = STAILQ_FIRST(&intake->running)) != NULL) {
		STAILQ_REMOVE_HEAD(&intake->running, entry);
		x->status = intake->status;
		x->err = intake->err;
		api_added(x);
	}
	intake->n_running = 0;
}

int
intake_init(struct intake *intake, struct service *service, size_t max)
{
	intake->service = service;
	intake->job.run = run;
	intake->job.done = done;
	STAILQ_INIT(&intake->waiting);
	STAILQ_INIT(&intake->running);
	intake->n_waiting = intake->n_running = 0;
	intake->busy = false;
	intake->max = max;
	intake->adds = calloc(max, sizeof(struct store_add *));
	return intake->adds == NULL ? -1 : 0;
}

void
intake_fini(struct intake *intake)
{
	free(intake->adds);
	intake->adds = NULL;
}

void
intake_add(struct intake *intake, struct exchange *x)
{
	STAILQ_INSERT_TAIL(&intake->waiting, x, entry);
	intake->n_waiting++;
}

void
intake_commit(struct intake *intake)
{
	struct exchange *x;

	if (intake->busy || intake->n_waiting == 0)
		return;
	while (intake->n_running < intake->max &&
	       (x = STAILQ_FIRST(&intake->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&intake->waiting, entry);
		intake->n_waiting--;
		STAILQ_INSERT_TAIL(&intake->running, x, entry);
		intake->adds[intake->n_running++] = &x->add;
	}
	intake->busy = true;
	store_thread_submit(intake->service->store, &intake->job);
}
