/* SPDX-License-Identifier: ISC */
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/ack.h"
#include "store/add.h"
#include "store/cancel.h"
#include "store/change.h"
#include "store/claim.h"
#include "store/durability.h"
#include "store/find.h"
#include "store/job.h"
#include "store/job_step.h"
#include "store/lease.h"
#include "store/list.h"
#include "store/move_mark.h"
#include "store/newest.h"
#include "store/parked.h"
#include "store/pause.h"
#include "store/purge.h"
#include "store/registrations.h"
#include "store/schedule_change.h"
#include "store/schedule_mend.h"
#include "store/schema.h"
#include "store/upcoming.h"
#include "store/why.h"

/* The pause after a failure doubles while failures follow one another. */
enum {
	PAUSE_MIN_MS = 100,
	PAUSE_MAX_MS = 1000,
	PAUSE_FORGET_MS = 10000, /* so long without a failure: starts again */
	FULL_LOG_MS = 60000,     /* between two complaints */
};

struct store {
	struct sql *sql;
	size_t max_event_bytes;
	char weakness[256];
	struct err err; /* of the last call that failed */
	bool away;
	bool broken;     /* and the log says why */
	bool full;       /* so, too */
	int64_t full_ms; /* monotonic: when it last said so; 0: never */
	int64_t pause_ms;
	int64_t failed_ms; /* monotonic, as retry_ms */
	int64_t retry_ms;
	unsigned server; /* of several, where the last call was; 0: nowhere */
};

static const struct sql_driver *
driver_of_url(const char *url)
{
	static const struct sql_driver *const all[] = {&sql_sqlite, &sql_mysql};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t len = strlen(all[i]->scheme);

		if (strncmp(url, all[i]->scheme, len) == 0 && url[len] == ':')
			return all[i];
	}
	return NULL;
}

int
store_open(
    const struct store_params *params, struct store **store, struct err *err)
{
	const struct sql_driver *driver = driver_of_url(params->url);

	*store = NULL;
	/* Not quoted: it may hold a password. */
	if (driver == NULL)
		return err_set(err, "a datastore URL is sqlite:PATH or "
				    "mysql://user:password@host:port,.../name");
	return store_open_with(driver, params, store, err);
}

int
store_open_with(const struct sql_driver *driver,
    const struct store_params *params, struct store **store, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));

	*store = NULL;
	if (s == NULL)
		return err_errno(err, "cannot make the store");
	if (driver->create(params, &s->sql, err) == -1) {
		free(s);
		return -1;
	}
	s->max_event_bytes = params->max_event_bytes;
	*store = s;
	return 0;
}

void
store_close(struct store **store)
{
	if (*store == NULL)
		return;
	(*store)->sql->driver->destroy((*store)->sql);
	free(*store);
	*store = NULL;
}

const char *
store_kind(const struct store *store)
{
	return store->sql->driver->scheme;
}

const char *
store_target(const struct store *store)
{
	return store->sql->target;
}

const char *
store_where(const struct store *store)
{
	return sql_where(store->sql);
}

unsigned
store_server(const struct store *store)
{
	return atomic_load(&store->sql->server);
}

bool
store_goes_on(const struct store *store)
{
	return store->sql->elsewhere;
}

/* It may change without a failure: what was idle was ended, or the way back to
 * a better one is free. */
static void
note_server(struct store *store)
{
	unsigned server = store_server(store);

	if (server != store->server && store->server != 0 && !store->away)
		log_info("datastore: now at %s", store_target(store));
	store->server = server;
}

/* Every operation runs between begin (when that is STORE_OK) and end. */
static enum store_status
begin(struct store *store)
{
	enum store_status status = STORE_OK;

	/* store->err still has the reason. */
	if (store->away && clock_mono_ms() < store->retry_ms)
		return STORE_UNAVAILABLE;
	if (!store->sql->connected || !store->sql->driver->alive(store->sql))
		status = store->sql->driver->open(store->sql, &store->err);
	if (status == STORE_OK)
		note_server(store);
	return status;
}

static void
note_failure(struct store *store, int64_t now_ms)
{
	if (!store->away)
		log_warnx("datastore is away: %s", store->err.text);
	store->away = true;
	store->retry_ms = now_ms;
	/* Only after a whole round of the servers. */
	if (store->sql->elsewhere)
		return;
	if (store->pause_ms == 0 || now_ms - store->failed_ms > PAUSE_FORGET_MS)
		store->pause_ms = PAUSE_MIN_MS;
	else if (store->pause_ms < PAUSE_MAX_MS / 2)
		store->pause_ms *= 2;
	else
		store->pause_ms = PAUSE_MAX_MS;
	store->failed_ms = now_ms;
	store->retry_ms = now_ms + store->pause_ms;
}

static enum store_status
end(struct store *store, enum store_status status, struct err *err)
{
	int64_t now_ms = clock_mono_ms();

	if (status == STORE_OK || status == STORE_DAMAGED) {
		if (store->away)
			log_info("datastore is back: %s", store_target(store));
		store->away = store->broken = false;
	}
	if (status == STORE_OK)
		return STORE_OK;
	if (status == STORE_BROKEN && !store->broken)
		log_errorx("datastore: %s", store->err.text);
	store->broken = store->broken || status == STORE_BROKEN;
	if (status == STORE_UNAVAILABLE && now_ms >= store->retry_ms)
		note_failure(store, now_ms);
	(void)err_set(err, "%s", store->err.text);
	return status;
}

/* Its caller reports the reason: no pause, no line in the log. */
static enum store_status
connect_quietly(struct store *store)
{
	enum store_status status = STORE_OK;

	if (!store->sql->connected)
		do
			status =
			    store->sql->driver->open(store->sql, &store->err);
		while (status == STORE_UNAVAILABLE && store->sql->elsewhere);
	return status;
}

enum store_status
store_check(struct store *store, bool create, struct err *err)
{
	enum store_status status = connect_quietly(store);

	if (status == STORE_OK)
		status = schema_check(
		    store->sql, create, store->max_event_bytes, &store->err);
	if (status == STORE_OK)
		status = move_mark_refuse(store->sql, &store->err);
	/* A server that does not tell may still be a good one. */
	if (status == STORE_OK &&
	    durability_read(store->sql, store->weakness,
		sizeof(store->weakness), &store->err) != STORE_OK)
		(void)snprintf(store->weakness, sizeof(store->weakness),
		    "the server does not tell whether it keeps what it has "
		    "committed: %.100s",
		    store->err.text);
	if (status != STORE_OK)
		(void)err_set(err, "%s", store->err.text);
	return status;
}

enum store_status
store_registrations(struct store *store, struct store_registration *list,
    size_t max, size_t *n, unsigned *n_free, int64_t *now_ms, struct err *err)
{
	enum store_status status = connect_quietly(store);

	check(max > 0);
	if (status == STORE_OK)
		status = schema_look(store->sql, &store->err);
	if (status == STORE_OK)
		status = read_registrations(
		    store->sql, list, max, n, n_free, now_ms, &store->err);
	if (status != STORE_OK)
		(void)err_set(err, "%s", store->err.text);
	return status;
}

const char *
store_weakness(const struct store *store)
{
	return store->weakness[0] == '\0' ? NULL : store->weakness;
}

enum store_status
store_ping(struct store *store, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = store->sql->driver->ping(store->sql, &store->err);
	return end(store, status, err);
}

/* Near the limit it comes and goes with each commit. */
static void
note_room(struct store *store, struct store_add *const *adds, size_t n)
{
	int64_t now_ms = clock_mono_ms();
	bool refused = false, created = false;

	for (size_t i = 0; i < n; i++) {
		refused |= adds[i]->outcome == ADD_NO_ROOM;
		created |= adds[i]->outcome == ADD_CREATED;
	}
	if (refused && !store->full &&
	    (store->full_ms == 0 || now_ms - store->full_ms >= FULL_LOG_MS)) {
		log_warnx("no room for adds: %s", store->err.text);
		store->full = true;
		store->full_ms = now_ms;
	} else if (created && !refused && store->full) {
		log_info("room for adds again: %s", store_target(store));
		store->full = false;
	}
}

static void
check_placed(struct store_add *const *adds, size_t n)
{
	check(adds != NULL && n > 0);
	for (size_t i = 0; i < n; i++)
		check(adds[i]->shard < EVENT_SHARDS);
}

enum store_status
store_add_events(
    struct store *store, struct store_add **adds, size_t n, struct err *err)
{
	enum store_status status;

	check_placed(adds, n);
	status = begin(store);
	if (status == STORE_OK)
		status = add_new_events(store->sql, adds, n, &store->err);
	if (status == STORE_OK)
		note_room(store, adds, n);
	return end(store, status, err);
}

enum store_status
store_add_all(struct store *store, struct store_add **adds, size_t n,
    bool *added, struct err *err)
{
	enum store_status status;

	check_placed(adds, n);
	*added = false;
	status = begin(store);
	if (status == STORE_OK)
		status =
		    add_all_events(store->sql, adds, n, added, &store->err);
	if (status == STORE_OK)
		note_room(store, adds, n);
	return end(store, status, err);
}

enum store_status
store_find_event(struct store *store, const struct event_key *key,
    enum store_find what, struct store_record **record, struct err *err)
{
	enum store_status status = begin(store);

	*record = NULL;
	if (status == STORE_OK)
		status = find_event(store->sql, key, what, record, &store->err);
	return end(store, status, err);
}

struct list_place
store_list_begin(const struct list_query *query)
{
	return list_begin(query);
}

enum store_status
store_list(struct store *store, struct list_step *step, struct err *err)
{
	enum store_status status;

	check(step->query->states != 0 && step->n_wanted > 0);
	step->n_looked = step->n_damaged = 0;
	status = begin(store);
	if (status == STORE_OK)
		status = list_go_on(store->sql, step, &store->err);
	return end(store, status, err);
}

enum store_status
store_cancel_event(struct store *store, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status =
		    cancel_event(store->sql, key, outcome, state, &store->err);
	return end(store, status, err);
}

enum store_status
store_change_event(
    struct store *store, struct store_change *change, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = change_event(store->sql, change, &store->err);
	return end(store, status, err);
}

enum store_status
store_ack_event(struct store *store, struct store_ack *ack, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = ack_event(store->sql, ack, &store->err);
	return end(store, status, err);
}

enum store_status
store_put_schedule(
    struct store *store, struct schedule_put *put, struct err *err)
{
	enum store_status status;

	check(put->name.len > 0 && put->name.len <= SCHEDULE_ID_MAX);
	status = begin(store);
	if (status == STORE_OK)
		status = put_schedule(store->sql, put, &store->err);
	return end(store, status, err);
}

enum store_status
store_change_schedule(
    struct store *store, struct schedule_change *change, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = change_schedule(store->sql, change, &store->err);
	return end(store, status, err);
}

enum store_status
store_find_schedule(struct store *store, struct slice app, struct slice name,
    struct store_schedule **schedule, struct err *err)
{
	enum store_status status = begin(store);

	*schedule = NULL;
	if (status == STORE_OK)
		status =
		    find_schedule(store->sql, app, name, schedule, &store->err);
	return end(store, status, err);
}

enum store_status
store_mend_schedules(
    struct store *store, struct schedule_mend *mend, struct err *err)
{
	enum store_status status;

	check(mend->shard < EVENT_SHARDS);
	status = begin(store);
	if (status == STORE_OK)
		status = mend_schedules(store->sql, mend, &store->err);
	return end(store, status, err);
}

enum store_status
store_list_schedules(
    struct store *store, const struct schedule_list *list, struct err *err)
{
	enum store_status status;

	check(list->max > 0);
	status = begin(store);
	if (status == STORE_OK)
		status = list_schedules(store->sql, list, &store->err);
	return end(store, status, err);
}

enum store_status
store_change_pause(
    struct store *store, struct store_pause_change *change, struct err *err)
{
	enum store_status status;

	check(change->max <= STORE_PAUSES_MAX);
	status = begin(store);
	if (status == STORE_OK)
		status = pause_change(store->sql, change, &store->err);
	return end(store, status, err);
}

enum store_status
store_list_pauses(struct store *store, int64_t now_ms,
    struct store_pauses *pauses, struct err *err)
{
	enum store_status status = begin(store);
	bool over;

	if (status == STORE_OK)
		status = sql_catch_up(store->sql, &store->err);
	if (status == STORE_OK)
		status = pause_read(
		    store->sql, now_ms, true, pauses, &over, &store->err);
	return end(store, status, err);
}

enum store_status
store_why(struct store *store, const struct event_key *key,
    struct store_why *why, struct err *err)
{
	enum store_status status = begin(store);

	why->record = NULL;
	if (status == STORE_OK)
		status = find_why(store->sql, key, why, &store->err);
	return end(store, status, err);
}

enum store_status
store_upcoming(
    struct store *store, struct store_upcoming *upcoming, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = find_upcoming(store->sql, upcoming, &store->err);
	return end(store, status, err);
}

enum store_status
store_heed_pauses(struct store *store, const struct pauses_request *request,
    struct pauses_reply *reply, struct err *err)
{
	enum store_status status = begin(store);
	bool over = false;

	reply->n_put_back = 0;
	reply->rest = false;
	if (status == STORE_OK)
		status = pause_read(store->sql, request->now_ms, false,
		    reply->pauses, &over, &store->err);
	if (status == STORE_OK && over)
		status =
		    pause_delete_over(store->sql, request->now_ms, &store->err);
	if (status == STORE_OK)
		status =
		    parked_put_back(store->sql, request, reply, &store->err);
	return end(store, status, err);
}

enum store_status
store_lease(struct store *store, const struct lease_request *request,
    struct lease_reply *reply, struct err *err)
{
	enum store_status status;

	check(request->owner != 0 && request->lease_ms > 0);
	check(request->max_attempts > 0);
	check(request->dead != NULL || request->n_dead == 0);
	for (size_t i = 0; i < request->n_dead; i++)
		check(request->dead[i].owner != request->owner);
	check(request->away != NULL || request->n_away == 0);
	check(request->known != NULL || request->n_known == 0);
	*reply = (struct lease_reply){0};
	status = begin(store);
	if (status == STORE_OK)
		status = lease_shards(store->sql, request, reply, &store->err);
	return end(store, status, err);
}

enum store_status
store_settle_and_claim(struct store *store, const struct claim_request *request,
    struct claim_reply *reply, struct err *err)
{
	enum store_status status;

	check(request->owner != 0);
	check(request->results != NULL || request->n_results == 0);
	check(request->claims != NULL || request->claim_max == 0);
	*reply = (struct claim_reply){
	    .claims = request->claims, .next_due_ms = INT64_MAX};
	status = begin(store);
	if (status == STORE_OK)
		status =
		    settle_and_claim(store->sql, request, reply, &store->err);
	return end(store, status, err);
}

enum store_status
store_newest(struct store *store, const struct newest_request *request,
    struct store_news *news, struct newest_reply *reply, struct err *err)
{
	enum store_status status;

	check(request->max > 0);
	*reply = (struct newest_reply){0};
	status = begin(store);
	if (status == STORE_OK)
		status = find_newest(
		    store->sql, request, news, reply, &store->err);
	return end(store, status, err);
}

enum store_status
store_purge(struct store *store, uint64_t shards, int64_t before_ms,
    size_t limit, size_t *n, struct err *err)
{
	enum store_status status;

	check(limit > 0);
	*n = 0;
	status = begin(store);
	if (status == STORE_OK)
		status = purge_ended(
		    store->sql, shards, before_ms, limit, n, &store->err);
	return end(store, status, err);
}

enum store_status
store_job_make(struct store *store, const struct job_new *new,
    enum job_outcome *outcome, struct err *err)
{
	enum store_status status;

	check(new->max_active > 0);
	status = begin(store);
	if (status == STORE_OK)
		status = job_make(store->sql, new, outcome, &store->err);
	return end(store, status, err);
}

enum store_status
store_jobs(struct store *store, const struct jobs_query *query, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = job_list(store->sql, query, &store->err);
	return end(store, status, err);
}

enum store_status
store_job_order(struct store *store, struct slice app, const struct job_id *id,
    enum job_order order, int64_t now_ms, job_taker take, void *arg,
    enum job_outcome *outcome, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = job_order(store->sql, app, id, order, now_ms, take,
		    arg, outcome, &store->err);
	return end(store, status, err);
}

enum store_status
store_jobs_due(struct store *store, int64_t forget_ms, struct job_id *list,
    size_t *n, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = jobs_due(store->sql, forget_ms, list, n, &store->err);
	return end(store, status, err);
}

enum store_status
store_job_step(struct store *store, struct job_step *step, struct err *err)
{
	enum store_status status;

	check(step->max > 0 && step->max <= JOB_STEP_MAX && step->n_look > 0);
	step->idle = step->ended = step->counted = false;
	step->n_looked = step->n_listed = step->n_done = step->n_news = 0;
	step->look_took_ms = 0;
	status = begin(store);
	if (status == STORE_OK)
		status = job_step(store->sql, step, &store->err);
	return end(store, status, err);
}
