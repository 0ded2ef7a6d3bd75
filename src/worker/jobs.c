/* SPDX-License-Identifier: ISC */
#include "worker/jobs.h"

#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/container_of.h"
#include "base/log.h"

enum {
	LOOK_INTERVAL_MS = 10000,
	LOOK_AGAIN_MS = 500, /* not sooner after another look */
	FORGET_INTERVAL_MS = 60000,
	AGAIN_MS = 5000, /* after a failure */
	STEP_MS = 20,    /* a step may take; */
	RESTS = 3, /* so many times as long it rests, */
	COUNT_RESTS = 19,        /* and one that counts; */
	REST_MAX_MS = 60000,     /* that is enough after one that was stopped */
	COUNT_MS = 100,          /* after so long it begins no other look */
	STEPS_PER_SECOND = 4,    /* of a job with a high rate */
	MOST_LEAST = 8,          /* events, however long they take */
	COUNT_WRITTEN_MS = 1000, /* between two writes of a count */
};

/* On the datastore's thread. */
static void
jobs_call(struct store *store, struct store_job *job)
{
	struct jobs *j = container_of(job, struct jobs, job);

	j->status = j->steps ? store_job_step(store, &j->step, &j->err)
			     : store_jobs_due(store, j->forget_before_ms,
				   j->found, &j->n_found, &j->err);
}

void
jobs_init(struct jobs *j, int64_t retention_ms, int64_t mono_ms,
    void (*done)(struct store_job *job))
{
	*j = (struct jobs){
	    .retention_ms = retention_ms,
	    .look_ms = mono_ms,
	    .looked_ms = mono_ms - LOOK_AGAIN_MS,
	    .forget_ms = mono_ms + FORGET_INTERVAL_MS,
	    .job = {.run = jobs_call, .done = done},
	};
}

/* The one that is due first. */
static size_t
next_entry(const struct jobs *j)
{
	size_t next = 0;

	for (size_t i = 1; i < j->n; i++)
		if (j->list[i].due_ms < j->list[next].due_ms)
			next = i;
	return next;
}

int64_t
jobs_wait_ms(struct jobs *j, uint64_t shards, int64_t mono_ms)
{
	if (j->under_way)
		return INT64_MAX;
	if ((shards & 1) == 0) {
		j->n = 0;
		j->look_ms = mono_ms;
		return INT64_MAX;
	}
	return j->look_ms > mono_ms ? j->look_ms - mono_ms : 0;
}

int64_t
jobs_step_wait_ms(const struct jobs *j, int64_t mono_ms)
{
	int64_t due_ms;

	if (j->under_way || j->n == 0)
		return INT64_MAX;
	due_ms = j->list[next_entry(j)].due_ms;
	if (due_ms < j->rested_ms)
		due_ms = j->rested_ms;
	return due_ms > mono_ms ? due_ms - mono_ms : 0;
}

void
jobs_hurry(struct jobs *j)
{
	j->look_ms = clock_sooner_ms(j->look_ms, j->looked_ms + LOOK_AGAIN_MS);
}

/* As many events as its rate has in a quarter of a second. */
static size_t
size_of_step(const struct jobs_entry *entry)
{
	size_t n = entry->rate / STEPS_PER_SECOND;

	if (n > entry->most)
		n = entry->most;
	return n == 0 ? 1 : n;
}

static void
begin_job_step(struct jobs *j, struct jobs_entry *entry, int64_t now_ms)
{
	j->step = (struct job_step){
	    .id = entry->id,
	    .now_ms = now_ms,
	    .max = size_of_step(entry),
	    .n_look = entry->n_look,
	    .rests = RESTS,
	    .count_rests = COUNT_RESTS,
	    .look_ms = COUNT_MS,
	    .writes = j->begun_ms >= entry->written_ms + COUNT_WRITTEN_MS,
	    .tally = entry->tally,
	};
}

static void
begin_call(struct jobs *j, bool steps, int64_t mono_ms)
{
	check(!j->under_way);
	j->under_way = true;
	j->steps = steps;
	j->begun_ms = mono_ms;
}

struct store_job *
jobs_submit(struct jobs *j, int64_t mono_ms, int64_t now_ms)
{
	begin_call(j, false, mono_ms);
	j->forget_before_ms = 0;
	if (j->retention_ms > 0 && mono_ms >= j->forget_ms)
		j->forget_before_ms =
		    now_ms - clock_ahead_ms() - j->retention_ms;
	return &j->job;
}

struct store_job *
jobs_submit_step(struct jobs *j, int64_t mono_ms, int64_t now_ms)
{
	begin_call(j, true, mono_ms);
	check(j->n > 0);
	j->at = next_entry(j);
	begin_job_step(j, &j->list[j->at], now_ms);
	return &j->job;
}

static const struct jobs_entry *
entry_of(const struct jobs *j, const struct job_id *id)
{
	for (size_t i = 0; i < j->n; i++)
		if (strcmp(j->list[i].id.text, id->text) == 0)
			return &j->list[i];
	return NULL;
}

/* Those that were there go on as before. */
static void
take_found(struct jobs *j, int64_t mono_ms)
{
	struct jobs_entry list[JOBS_DUE_MAX] = {0};

	check(j->n_found <= JOBS_DUE_MAX);
	for (size_t i = 0; i < j->n_found; i++) {
		const struct jobs_entry *known = entry_of(j, &j->found[i]);

		list[i] = known != NULL ? *known
					: (struct jobs_entry){
					      .id = j->found[i],
					      .due_ms = mono_ms,
					      .most = MOST_LEAST,
					      .n_look = LIST_LOOK_MAX,
					  };
	}
	memcpy(j->list, list, j->n_found * sizeof(list[0]));
	j->n = j->n_found;
	j->looked_ms = mono_ms;
	j->look_ms = mono_ms + LOOK_INTERVAL_MS;
	if (j->forget_before_ms > 0)
		j->forget_ms = mono_ms + FORGET_INTERVAL_MS;
}

static void
tell_end(const struct job_step *step)
{
	const struct job_record *job = &step->job;

	if (job->state == JOB_FAILED)
		log_warnx("job %s failed: it cannot be read", step->id.text);
	else
		log_info("job %s is done: %" PRId64 " events matched, %" PRId64
			 " were changed, %" PRId64 " passed over",
		    step->id.text, job->matched, job->done, job->skipped);
}

/* Where the events lie close together no more rows than it takes. */
static void
choose_size(
    struct jobs_entry *entry, const struct job_step *step, int64_t took_ms)
{
	bool long_one = took_ms > STEP_MS;

	if (step->counted)
		return;
	entry->n_look =
	    step->n_listed < step->max ? LIST_LOOK_MAX : 2 * step->max;
	if (long_one && entry->most > MOST_LEAST)
		entry->most = entry->most / 2 + MOST_LEAST / 2;
	else if (step->n_listed == entry->most && entry->most < JOB_STEP_MAX)
		entry->most++;
}

/* All of them rest, however many there are, and at least for a moment. */
static void
rest(struct jobs *j, int64_t took_ms, int64_t mono_ms)
{
	if (took_ms <= 0)
		took_ms = 1;
	j->rested_ms = mono_ms + clock_sooner_ms(took_ms * RESTS, REST_MAX_MS);
}

/* When the next one is due, and of what size it is. */
static void
plan_step(const struct jobs *j, struct jobs_entry *entry, int64_t took_ms)
{
	const struct job_step *step = &j->step;
	int64_t paced_ms = 0;

	if (step->job.spec.rate > 0)
		entry->rate = step->job.spec.rate;
	if (!step->counted && entry->rate > 0)
		paced_ms = ((int64_t)step->n_listed * 1000 + entry->rate - 1) /
			   entry->rate;
	entry->due_ms = j->begun_ms + paced_ms;
	if (entry->due_ms < j->rested_ms)
		entry->due_ms = j->rested_ms;
	entry->tally = step->tally;
	if (!step->tally.held)
		entry->written_ms = entry->due_ms;
	choose_size(entry, step, took_ms);
}

size_t
jobs_done(struct jobs *j, int64_t mono_ms)
{
	int64_t took_ms; /* without its look, which had its rests */

	check(j->under_way && j->status == STORE_OK);
	j->under_way = false;
	if (!j->steps) {
		take_found(j, mono_ms);
		return 0;
	}
	check(j->at < j->n && j->step.n_news <= JOB_STEP_MAX);
	took_ms = mono_ms - j->begun_ms - j->step.look_took_ms;
	rest(j, took_ms, mono_ms);
	if (j->step.ended)
		tell_end(&j->step);
	if (j->step.ended || j->step.idle)
		j->list[j->at] = j->list[--j->n];
	else
		plan_step(j, &j->list[j->at], took_ms);
	return j->step.n_news;
}

void
jobs_failed(struct jobs *j, int64_t mono_ms)
{
	j->under_way = false;
	if (j->steps)
		j->list[j->at].due_ms = mono_ms + AGAIN_MS;
	else
		j->look_ms = mono_ms + AGAIN_MS;
}
