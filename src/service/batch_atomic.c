/* SPDX-License-Identifier: ISC */
#include "service/batch_atomic.h"

#include <stdlib.h>

#include "http/http_conn.h"
#include "service/batch_group.h"
#include "service/problem.h"
#include "service/state.h"
#include "service/writes.h"

struct batch_atomic {
	struct group group;
	struct buf scratch;
	struct store_add **adds;
	bool added; /* all of them */
	int64_t soon_ms;
};

static void
atomic_free(struct batch_atomic *a)
{
	group_fini(&a->group);
	buf_free(&a->scratch);
	free(a->adds);
	free(a);
}

/* NULL when memory is short. */
static struct batch_atomic *
atomic_create(struct call *call, size_t max)
{
	struct buf_budget *budget = call->x->in.budget;
	struct batch_atomic *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	group_init(&a->group, budget, 0, max);
	buf_init_within(&a->scratch, 2 * (size_t)EVENT_SCRATCH_MAX, budget);
	if (buf_reserve(&a->scratch, EVENT_SCRATCH_MAX) == -1) {
		atomic_free(a);
		return NULL;
	}
	return a;
}

/* ---- the answer ---- */

/* What is wrong with one is no one's fault but its own. */
static int
status_of_first_refused(const struct group *group)
{
	const char *refusal;
	int status;

	for (size_t i = 0; i < group->n; i++) {
		const struct group_entry *entry = group_entry(group, i);

		if (entry->status != 0)
			return entry->status;
	}
	for (size_t i = 0; i < group->n; i++) {
		const struct group_entry *entry = group_entry(group, i);

		refusal = incoming_refusal(&entry->incoming.item.add, &status);
		if (refusal != NULL && status != INCOMING_UNDONE)
			return status;
	}
	return 500;
}

static void
write_results(
    const struct batch_atomic *a, struct json_writer *w, const char *name)
{
	json_array(w, name);
	for (size_t i = 0; i < a->group.n; i++)
		group_write_answer(&a->group, group_entry(&a->group, i), w);
	json_end_array(w);
	if (a->group.refusals.failed)
		w->out->failed = true;
}

static void
answer_none(struct call *call, const struct batch_atomic *a)
{
	struct json_writer w = problem_begin(call->x,
	    problem_status(status_of_first_refused(&a->group)),
	    "none of the events was added: see the results");

	write_results(a, &w, "results");
	(void)problem_end(call->x, &w);
}

static void
answer_all(struct call *call, const struct batch_atomic *a)
{
	struct json_writer w = {.out = &call->x->body};

	http_exchange_answer(call->x, 200, "application/json");
	write_results(a, &w, NULL);
	buf_append_char(&call->x->body, '\n');
}

/* ---- the datastore ---- */

static void
add_all(struct store *store, struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct batch_atomic *a = call->u.atomic;

	call->status = STORE_UNAVAILABLE;
	if (intake_place(call->service->child, a->adds, a->group.n, &a->soon_ms,
		&call->err) == 0)
		call->status = store_add_all(
		    store, a->adds, a->group.n, &a->added, &call->err);
}

static void
atomic_added(struct store_job *job)
{
	struct call *call = call_of_job(job);
	struct batch_atomic *a = call->u.atomic;

	writes_end(call);
	if (call_store_ok(call)) {
		if (a->added)
			metric_add(
			    call->service->child->score, METRIC_ADD_COMMITS, 1);
		for (size_t i = 0; i < a->group.n; i++) {
			intake_announce(
			    call->service->child, a->adds[i], a->soon_ms);
			call_note_room(call, a->adds[i]->outcome);
		}
		if (a->added)
			answer_all(call, a);
		else
			answer_none(call, a);
	}
	atomic_free(a);
	http_conn_answered(call->x);
}

/* ---- the events ---- */

/* 0, or -1 with the answer made. */
static int
read_events(
    struct call *call, struct batch_atomic *a, const struct json_value *array)
{
	struct group *group = &a->group;
	char *base = call->x->in.p;
	const char *at = NULL;
	struct json_value value;

	while (json_next_element(array, &at, &value) == 1) {
		if (group_is_full(group)) {
			(void)problem(call->x, 413,
			    "more events than are added at once: see "
			    "service.maxAtomicEvents");
			return -1;
		}
		if (group_add_part(group, (size_t)(value.raw.p - base),
			value.raw.len) == -1) {
			(void)problem_no_memory(call->x);
			return -1;
		}
	}
	group_read(group, base, &a->scratch, &call->service->context);
	a->adds = calloc(group->n + 1, sizeof(struct store_add *));
	if (a->adds == NULL) {
		(void)problem_no_memory(call->x);
		return -1;
	}
	return 0;
}

/* Whether the datastore may be asked: none was refused. */
static bool
gather(struct batch_atomic *a)
{
	bool good = true;

	for (size_t i = 0; i < a->group.n; i++) {
		struct group_entry *entry = group_entry(&a->group, i);

		a->adds[i] = &entry->incoming.item.add;
		a->adds[i]->outcome = ADD_UNDONE;
		good = good && entry->status == 0;
	}
	return good;
}

static enum verdict
run_atomic(
    struct call *call, struct batch_atomic *a, const struct json_value *array)
{
	if (read_events(call, a, array) == -1)
		return ANSWERED;
	if (!gather(a)) {
		answer_none(call, a);
		return ANSWERED;
	}
	if (a->group.n == 0) {
		answer_all(call, a);
		return ANSWERED;
	}
	if (!writes_begin(call))
		return ANSWERED;
	call->u.atomic = a;
	return call_submit(call, add_all, atomic_added);
}

enum verdict
batch_atomic_run(struct call *call, const struct json_value *array)
{
	size_t max = (size_t)call->service->cfg->service.max_atomic_events;
	struct batch_atomic *a = atomic_create(call, max);
	enum verdict verdict;

	if (a == NULL)
		return problem_no_memory(call->x);
	verdict = run_atomic(call, a, array);
	if (verdict == ANSWERED)
		atomic_free(a);
	return verdict;
}
