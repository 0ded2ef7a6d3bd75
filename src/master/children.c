/* SPDX-License-Identifier: ISC */
#include "master/children.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "board/shardboard.h"
#include "master/spawn.h"

enum { QUARANTINE_LOOK_MS = 1000 };

static struct place *
find_place(struct master *m, pid_t pid, struct generation **gen)
{
	TAILQ_FOREACH(*gen, &m->generations, entry) {
		struct place *place = generation_find(*gen, pid);

		if (place != NULL)
			return place;
	}
	return NULL;
}

/* States go forward only: so there are few reports of a child. */
static bool
is_credible(const struct place *place, const struct child_status *status)
{
	return status->pid == place->pid && status->state > place->reported;
}

static void
on_report(struct place *place, const struct child_status *status)
{
	place->reported = status->state;
	if (status->state == CHILD_FAILED) {
		(void)err_set(&place->reason, "%s", status->reason);
		return;
	}
	place->state = (enum child_state)status->state;
	if (place->role == ROLE_PREFLIGHT)
		(void)err_set(&place->reason, "%s", status->reason);
	if (place->state == CHILD_READY) {
		place->was_ready = true;
		supervise_on_ready(&place->history);
	}
}

/*
 * 1 with a report, 0 when there is none now, -1 at the end, with EBADMSG for
 * what no child of ours would say.
 */
static int
read_report(struct place *place)
{
	struct child_status status;
	int n = status_recv(place->status_fd, &status);

	if (n != 1)
		return n;
	if (!is_credible(place, &status)) {
		errno = EBADMSG;
		return -1;
	}
	on_report(place, &status);
	return 1;
}

static void
on_report_pipe(int fd, unsigned events, void *arg)
{
	struct master *m = arg;
	struct generation *gen;
	struct place *place = NULL;

	(void)events;
	TAILQ_FOREACH(gen, &m->generations, entry) {
		place = generation_find_reporter(gen, fd);
		if (place != NULL)
			break;
	}
	if (place == NULL || read_report(place) >= 0)
		return;
	/* One that was taken over must neither keep us busy nor fill the log.
	 * It is our child until we reaped it: there is nothing to fail. */
	if (errno == EBADMSG) {
		(void)err_set(&place->reason, "killed for a false report");
		(void)kill(place->pid, SIGKILL);
	}
	place_unwatch(place);
}

static void
on_preflight_end(const struct master *m, struct generation *gen,
    int wait_status, const char *description, struct finding *finding)
{
	const char *reason = gen->preflight.reason.text;

	if (gen != m->next)
		return;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_CHILD_OK)
		generation_start(gen);
	else
		finding_fail(finding, CAUSE_FAILED,
		    reason[0] == '\0' ? description : reason);
}

static void
plan_replacement(const struct master *m, const struct generation *gen,
    struct place *place, int wait_status, const char *description,
    struct finding *finding)
{
	int64_t now_ms = clock_mono_ms(), delay_ms;
	struct supervise_exit end = {
	    .wait_status = wait_status,
	    .was_ready = place->was_ready,
	    .age_ms = now_ms - place->started_ms,
	};

	delay_ms = supervise_on_exit(&place->history, &end);
	if (gen == m->next && (!end.was_ready || delay_ms == SUPERVISE_NEVER)) {
		finding_fail(finding, CAUSE_FAILED, description);
		return;
	}
	if (delay_ms == SUPERVISE_NEVER) {
		place->state = CHILD_FAILED;
		log_errorx("%s; it is not started again", description);
	} else {
		place->start_at_ms = now_ms + delay_ms;
		log_warnx("%s; its successor starts in %g s", description,
		    (double)delay_ms / 1000);
	}
}

/* By a freeze; a generation that drains asks all. */
static bool
was_asked(const struct generation *gen, const struct place *place)
{
	return !gen->draining && place->leave_by_ms != INT64_MAX;
}

static bool
may_leave(
    const struct generation *gen, const struct place *place, int wait_status)
{
	return gen->draining || was_asked(gen, place) ||
	       (place->alone && wait_status == 0);
}

/* A service says that it writes, a worker that it waits, or that its last call
 * failed. */
static bool
may_have_sent(const struct master *m, int slot)
{
	const struct scoreboard_slot *score = scoreboard_slot(&m->sb, slot);

	return atomic_load(&score->n_writing) != 0 ||
	       atomic_load(&score->asking_ms) != 0;
}

/* Of a child that has ended: nothing more comes into a file, but a server may
 * be at it as long as the child would have waited. */
static void
note_commit(struct master *m, const struct config_datastore *cfg)
{
	if (cfg->place.kind == SQL_MYSQL)
		m->may_commit_until_ms = clock_mono_ms() + cfg->timeout_ms;
}

void
children_reaped(
    struct master *m, pid_t pid, int wait_status, struct finding *finding)
{
	struct generation *gen;
	struct place *place = find_place(m, pid, &gen);
	struct err description;

	if (place == NULL)
		return;
	/* Its last report was written before it ended. */
	while (read_report(place) == 1)
		;
	place_describe_end(place, wait_status, &description);
	if (may_have_sent(m, place->slot))
		note_commit(m, &gen->cfg.datastore);
	spawn_vacate(m, place, wait_status);
	if (place == &gen->preflight)
		on_preflight_end(
		    m, gen, wait_status, description.text, finding);
	else if (!may_leave(gen, place, wait_status))
		plan_replacement(
		    m, gen, place, wait_status, description.text, finding);
	else if (wait_status != 0 && !place->killed)
		log_warnx("%s", description.text);
	else
		log_debug("%s", description.text);
	/* Thawed before it had left. */
	if (was_asked(gen, place) && !gen->frozen && !place->alone)
		place->start_at_ms = 0;
}

static void
start_place(struct master *m, struct generation *gen, struct place *place,
    struct finding *finding)
{
	static const struct supervise_exit stillborn = {.was_ready = false};
	struct err err;

	if (spawn_child(m, gen, place, on_report_pipe, &err) == 0)
		return;
	if (gen == m->next) {
		finding_fail(finding, CAUSE_FAILED, err.text);
		return;
	}
	log_errorx("%s", err.text);
	place->start_at_ms =
	    clock_mono_ms() + supervise_on_exit(&place->history, &stillborn);
}

static void
kill_late(const struct generation *gen, struct place *place)
{
	const struct config_master *cfg = &gen->cfg.master;

	if (place->leave_by_ms != INT64_MAX)
		log_warnx("%s %u (pid %ld) did not leave within %g s: killed",
		    place_name(place), place->number, (long)place->pid,
		    (double)cfg->shutdown_timeout_ms / 1000);
	else
		(void)err_set(&place->reason,
		    place->role == ROLE_PREFLIGHT
			? "the datastore did not answer within %g s"
			: "killed after %g s",
		    (double)cfg->start_timeout_ms / 1000);
	place->killed = true;
	/* Our child until we reaped it: there is nothing to fail. */
	(void)kill(place->pid, SIGKILL);
}

/* The time of what is due next in a place; what is due now, is done. */
static int64_t
place_deadline(struct generation *gen, struct place *place, int64_t now_ms)
{
	int64_t deadline_ms = INT64_MAX;

	if (place->pid == 0)
		return place->start_at_ms;
	if (place->killed)
		return INT64_MAX;
	if (place->leave_by_ms != INT64_MAX)
		deadline_ms = place->leave_by_ms;
	else if (place->state == CHILD_STARTING)
		deadline_ms =
		    place->started_ms + gen->cfg.master.start_timeout_ms;
	if (deadline_ms > now_ms)
		return deadline_ms;
	kill_late(gen, place);
	return INT64_MAX;
}

static int64_t
generation_deadline(struct generation *gen, int64_t now_ms)
{
	int64_t next_ms = place_deadline(gen, &gen->preflight, now_ms);

	for (size_t i = 0; i < gen->n_places; i++) {
		int64_t ms = place_deadline(gen, &gen->places[i], now_ms);

		if (ms < next_ms)
			next_ms = ms;
	}
	return next_ms;
}

static void
start_due(struct master *m, struct generation *gen, int64_t now_ms,
    struct finding *finding)
{
	if (gen->preflight.start_at_ms <= now_ms)
		start_place(m, gen, &gen->preflight, finding);
	for (size_t i = 0; i < gen->n_places; i++) {
		if (finding->cause == CAUSE_NONE &&
		    gen->places[i].start_at_ms <= now_ms)
			start_place(m, gen, &gen->places[i], finding);
	}
}

/*
 * Workers cannot wake us: we look whether they have seen events that are to be
 * delivered alone. The time of the next look.
 */
static int64_t
look_for_quarantine(const struct master *m, int64_t now_ms)
{
	struct place *place =
	    m->current == NULL ? NULL : generation_alone(m->current);

	if (place == NULL || m->current->draining || m->current->frozen ||
	    place->pid != 0 || place->start_at_ms != INT64_MAX ||
	    place->state == CHILD_FAILED)
		return INT64_MAX;
	if (!shardboard_sees_quarantine(&m->sb))
		return now_ms + QUARANTINE_LOOK_MS;
	place->start_at_ms = now_ms;
	return INT64_MAX;
}

void
children_start_due(struct master *m, int64_t now_ms, struct finding *finding)
{
	struct generation *gen;

	TAILQ_FOREACH(gen, &m->generations, entry) {
		if (finding->cause == CAUSE_NONE)
			start_due(m, gen, now_ms, finding);
	}
}

bool
children_kill(struct master *m, pid_t pid, const char *reason)
{
	struct generation *gen;
	struct place *place = pid == 0 ? NULL : find_place(m, pid, &gen);

	if (place == NULL)
		return false;
	(void)err_set(&place->reason, "%s", reason);
	/* Our child until we reaped it: there is nothing to fail. */
	(void)kill(place->pid, SIGKILL);
	return true;
}

int64_t
children_deadline(struct master *m, int64_t now_ms)
{
	int64_t next_ms = look_for_quarantine(m, now_ms);
	struct generation *gen;

	TAILQ_FOREACH(gen, &m->generations, entry) {
		int64_t ms = generation_deadline(gen, now_ms);

		if (ms < next_ms)
			next_ms = ms;
	}
	return next_ms;
}
