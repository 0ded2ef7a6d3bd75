/* SPDX-License-Identifier: ISC */
#include "service/intake.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "board/placement.h"
#include "board/shardboard.h"

enum {
	/* So many bytes of them come whole, however long one has to wait. */
	LOTS = 256 / sizeof(uint32_t),
	SINGLE_MS = 1000, /* as long there may be more of them */
};

static struct intake *
intake_of(struct store_job *job)
{
	return container_of(job, struct intake, job);
}

int
intake_place(const struct child *child, struct store_add **adds, size_t n,
    int64_t *soon_ms, struct err *err)
{
	const struct config_worker *cfg = &child->cfg->worker;
	struct placement placement;
	uint32_t lots[LOTS];

	placement_read(&placement, child->sb,
	    cfg->polling_interval_ms + cfg->claim_ahead_ms);
	*soon_ms = placement.soon_ms;
	for (size_t i = 0; i < n; i++) {
		struct store_add *add = adds[i];

		if (i % LOTS == 0 && getrandom(lots, sizeof(lots), 0) == -1)
			return err_errno(err, "getrandom");
		/* One that is put off may be due at once, after all. */
		add->shard = placement_shard(&placement,
		    add->event->debounce_max_ms > 0 ? 0
						    : event_due_ms(add->event),
		    lots[i % LOTS]);
	}
	return 0;
}

/* On the datastore's thread. */
static void
add_running(struct store *store, struct store_job *job)
{
	struct intake *intake = intake_of(job);

	intake->status = STORE_UNAVAILABLE;
	if (intake_place(intake->child, intake->adds, intake->n_running,
		&intake->soon_ms, &intake->err) == 0)
		intake->status = store_add_events(
		    store, intake->adds, intake->n_running, &intake->err);
}

static void
wake_worker(
    const struct child *child, const struct store_add *add, int64_t soon_ms)
{
	int64_t due_ms = event_due_ms(add->event);

	/* One that was put off for too long. */
	if (add->outcome == ADD_REPLACED && add->expiry_ms < due_ms)
		due_ms = add->expiry_ms;
	if (due_ms < soon_ms)
		shardboard_event_added(child->sb, add->shard, due_ms);
}

void
intake_announce(
    const struct child *child, const struct store_add *add, int64_t soon_ms)
{
	switch (add->outcome) {
	case ADD_CREATED:
		metric_add(child->score, METRIC_EVENTS_ADDED, 1);
		wake_worker(child, add, soon_ms);
		break;
	case ADD_REPLACED:
		metric_add(child->score, METRIC_EVENTS_REPLACED, 1);
		wake_worker(child, add, soon_ms);
		break;
	case ADD_KEPT:
	case ADD_SAME:
		metric_add(child->score, METRIC_EVENTS_REPEATED, 1);
		break;
	case ADD_CONFLICT:
		metric_add(child->score, METRIC_EVENTS_CONFLICTING, 1);
		break;
	case ADD_NO_ROOM:
	case ADD_TOO_LARGE:
		metric_add(child->score, METRIC_EVENTS_REFUSED, 1);
		break;
	case ADD_BROKEN:
		metric_add(child->score, METRIC_STORE_FAILURES, 1);
		break;
	case ADD_UNDONE:
		break;
	default:
		check(false);
	}
}

static void
put_into_commit(struct intake *intake, struct intake_item *item)
{
	STAILQ_INSERT_TAIL(&intake->running, item, entry);
	intake->adds[intake->n_running++] = &item->add;
}

/* Single ones until the next commit has max, or there are no more. */
static void
take_singles(struct intake *intake, size_t max)
{
	struct intake_item *item;

	while (intake->n_running < max &&
	       (item = STAILQ_FIRST(&intake->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&intake->waiting, entry);
		put_into_commit(intake, item);
	}
}

/* One of each call. */
static void
take_turns(struct intake *intake, size_t max)
{
	struct intake_turn *turn;

	while (intake->n_running < max &&
	       (turn = STAILQ_FIRST(&intake->turns)) != NULL) {
		put_into_commit(intake, container_of(sweep_take(&turn->sweep),
					    struct intake_item, node));
		STAILQ_REMOVE_HEAD(&intake->turns, entry);
		if (!sweep_is_empty(&turn->sweep))
			STAILQ_INSERT_TAIL(&intake->turns, turn, entry);
	}
}

static void
fill_commit(struct intake *intake)
{
	int64_t now_ms = clock_mono_ms();
	size_t max = intake->max;

	if (!STAILQ_EMPTY(&intake->waiting))
		intake->single_ms = now_ms;
	if (max > INTAKE_BESIDE_MAX && !STAILQ_EMPTY(&intake->turns) &&
	    now_ms - intake->single_ms < SINGLE_MS)
		max = INTAKE_BESIDE_MAX;
	intake->odd = !intake->odd; /* a commit of one has nothing else */
	take_singles(intake,
	    STAILQ_EMPTY(&intake->turns) ? max : (max + intake->odd) / 2);
	take_turns(intake, max);
	take_singles(intake, max);
}

void
intake_commit(struct intake *intake)
{
	if (intake->busy ||
	    (STAILQ_EMPTY(&intake->waiting) && STAILQ_EMPTY(&intake->turns)))
		return;
	fill_commit(intake);
	intake->busy = true;
	atomic_store(&intake->child->score->adding_ms, clock_event_ms());
	store_thread_submit(intake->store, &intake->job);
}

static void
added_running(struct store_job *job)
{
	struct intake *intake = intake_of(job);
	struct intake_items added = STAILQ_HEAD_INITIALIZER(added);
	enum store_status status = intake->status;
	struct err err = intake->err;
	struct intake_item *item;

	check(intake->busy);
	intake->busy = false;
	if (status == STORE_OK) {
		metric_add(intake->child->score, METRIC_ADD_COMMITS, 1);
		/* Workers first: answering takes longer than waking. */
		STAILQ_FOREACH(item, &intake->running, entry)
			intake_announce(
			    intake->child, &item->add, intake->soon_ms);
	}
	atomic_store(&intake->child->score->adding_ms, 0);
	STAILQ_CONCAT(&added, &intake->running);
	intake->n_running = 0;
	/* The next are written while these are answered. */
	intake_commit(intake);
	while ((item = STAILQ_FIRST(&added)) != NULL) {
		STAILQ_REMOVE_HEAD(&added, entry);
		item->done(item, status, &err);
	}
}

int
intake_init(struct intake *intake, struct child *child,
    struct store_thread *store, size_t max)
{
	*intake = (struct intake){
	    .child = child,
	    .store = store,
	    .job = {.run = add_running, .done = added_running},
	    .max = max,
	    .single_ms = -SINGLE_MS,
	    .adds = calloc(max, sizeof(struct store_add *)),
	};
	STAILQ_INIT(&intake->waiting);
	STAILQ_INIT(&intake->turns);
	STAILQ_INIT(&intake->running);
	return intake->adds == NULL ? -1 : 0;
}

void
intake_fini(struct intake *intake)
{
	free(intake->adds);
	intake->adds = NULL;
}

void
intake_add(struct intake *intake, struct intake_item *item)
{
	struct intake_turn *turn = item->turn;

	if (turn == NULL) {
		STAILQ_INSERT_TAIL(&intake->waiting, item, entry);
		return;
	}
	if (sweep_is_empty(&turn->sweep))
		STAILQ_INSERT_TAIL(&intake->turns, turn, entry);
	item->node.key = item->add.key.bytes;
	sweep_add(&turn->sweep, &item->node);
}
