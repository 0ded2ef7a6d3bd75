/* SPDX-License-Identifier: ISC */
#include "store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store_backend.h"

/* The pause after a failure doubles while failures follow one another. */
enum {
	PAUSE_MIN_MS = 100,
	PAUSE_MAX_MS = 1000,
	PAUSE_FORGET_MS = 10000, /* so long without a failure: starts again */
	FULL_LOG_MS = 60000,     /* between two complaints */
};

struct store {
	const struct store_ops *ops;
	struct store_backend *backend;
	struct err err; /* of the last call that failed */
	bool away;
	bool broken;     /* and the log says why */
	bool full;       /* so, too */
	int64_t full_ms; /* monotonic: when it last said so; 0: never */
	int64_t pause_ms;
	int64_t failed_ms; /* monotonic, as retry_ms */
	int64_t retry_ms;
};

static const struct store_ops *
ops_of_url(const char *url)
{
	static const struct store_ops *const all[] = {
	    &store_sqlite_ops, &store_mysql_ops};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t len = strlen(all[i]->kind);

		if (strncmp(url, all[i]->kind, len) == 0 && url[len] == ':')
			return all[i];
	}
	return NULL;
}

int
store_open(
    const struct store_params *params, struct store **store, struct err *err)
{
	const struct store_ops *ops = ops_of_url(params->url);
	struct store *s;

	*store = NULL;
	/* Not quoted: it may hold a password. */
	if (ops == NULL)
		return err_set(err, "a datastore URL is sqlite:PATH or "
				    "mysql://user:password@host:port/name");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_errno(err, "cannot make the store");
	s->ops = ops;
	if (ops->create(params, &s->backend, err) == -1) {
		free(s);
		return -1;
	}
	*store = s;
	return 0;
}

void
store_close(struct store **store)
{
	if (*store == NULL)
		return;
	(*store)->ops->destroy((*store)->backend);
	free(*store);
	*store = NULL;
}

const char *
store_kind(const struct store *store)
{
	return store->ops->kind;
}

const char *
store_target(const struct store *store)
{
	return store->backend->target;
}

/* Every operation runs between begin (when that is STORE_OK) and end. */
static enum store_status
begin(struct store *store)
{
	/* store->err still has the reason. */
	if (store->away && clock_mono_ms() < store->retry_ms)
		return STORE_UNAVAILABLE;
	if (store->backend->connected &&
	    (store->ops->alive == NULL || store->ops->alive(store->backend)))
		return STORE_OK;
	return store->ops->connect(store->backend, &store->err);
}

static void
note_failure(struct store *store, int64_t now_ms)
{
	if (!store->away)
		log_warnx("datastore is away: %s", store->err.text);
	if (store->pause_ms == 0 || now_ms - store->failed_ms > PAUSE_FORGET_MS)
		store->pause_ms = PAUSE_MIN_MS;
	else if (store->pause_ms < PAUSE_MAX_MS / 2)
		store->pause_ms *= 2;
	else
		store->pause_ms = PAUSE_MAX_MS;
	store->away = true;
	store->failed_ms = now_ms;
	store->retry_ms = now_ms + store->pause_ms;
}

static enum store_status
end(struct store *store, enum store_status status, struct err *err)
{
	int64_t now_ms = clock_mono_ms();

	if (status == STORE_OK) {
		if (store->away)
			log_info("datastore is back: %s", store_target(store));
		store->away = store->broken = false;
		return STORE_OK;
	}
	if (status == STORE_BROKEN && !store->broken)
		log_errorx("datastore: %s", store->err.text);
	store->broken = store->broken || status == STORE_BROKEN;
	if (status == STORE_UNAVAILABLE && now_ms >= store->retry_ms)
		note_failure(store, now_ms);
	(void)err_set(err, "%s", store->err.text);
	return status;
}

enum store_status
store_check(struct store *store, bool create, struct err *err)
{
	enum store_status status = STORE_OK;

	/* Its caller reports the reason: no pause, no line in the log. */
	if (!store->backend->connected)
		status = store->ops->connect(store->backend, &store->err);
	if (status == STORE_OK)
		status = store->ops->check(store->backend, create, &store->err);
	if (status != STORE_OK)
		(void)err_set(err, "%s", store->err.text);
	return status;
}

enum store_status
store_ping(struct store *store, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = store->ops->ping(store->backend, &store->err);
	return end(store, status, err);
}

static enum store_status
draw_shards(struct store_add **adds, size_t n, struct err *err)
{
	/* So many come whole, however long one has to wait. */
	uint8_t lots[256];

	static_assert(256 % EVENT_SHARDS == 0, "each is as likely");
	for (size_t i = 0; i < n; i++) {
		if (i % sizeof(lots) == 0 &&
		    getrandom(lots, sizeof(lots), 0) == -1) {
			(void)err_errno(err, "getrandom");
			return STORE_UNAVAILABLE;
		}
		adds[i]->shard = lots[i % sizeof(lots)] % EVENT_SHARDS;
	}
	return STORE_OK;
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

enum store_status
store_add_events(
    struct store *store, struct store_add **adds, size_t n, struct err *err)
{
	enum store_status status;

	assert(adds != NULL && n > 0);
	status = draw_shards(adds, n, err);
	if (status != STORE_OK)
		return status;
	status = begin(store);
	if (status == STORE_OK)
		status = store->ops->add(store->backend, adds, n, &store->err);
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
		status = store->ops->find(
		    store->backend, key, what, record, &store->err);
	return end(store, status, err);
}

void
store_record_free(struct store_record *record)
{
	free(record);
}

enum store_status
store_cancel_event(struct store *store, const struct event_key *key,
    enum cancel_outcome *outcome, enum event_state *state, struct err *err)
{
	enum store_status status = begin(store);

	if (status == STORE_OK)
		status = store->ops->cancel(
		    store->backend, key, outcome, state, &store->err);
	return end(store, status, err);
}

enum store_status
store_lease(struct store *store, const struct lease_request *request,
    struct lease_reply *reply, struct err *err)
{
	struct store_lease_turn turn = {
	    .owner = request->owner,
	    .lease_ms = request->lease_ms,
	    .leaving = request->leaving,
	    .alone = request->alone,
	    .in_doubt = request->in_doubt,
	    .dead = request->dead,
	    .n_dead = request->n_dead,
	    .away = request->away,
	    .n_away = request->n_away,
	    .max_attempts = request->max_attempts,
	    .expected_now_ms = request->expected_now_ms,
	};
	enum store_status status;

	assert(turn.owner != 0 && turn.lease_ms > 0);
	assert(turn.max_attempts > 0);
	assert(turn.dead != NULL || turn.n_dead == 0);
	for (size_t i = 0; i < turn.n_dead; i++)
		assert(turn.dead[i].owner != turn.owner);
	assert(turn.away != NULL || turn.n_away == 0);
	assert(request->known != NULL || request->n_known == 0);
	status = begin(store);
	if (status == STORE_OK)
		status = store->ops->lease(store->backend, &turn,
		    request->known, request->n_known, &store->err);
	*reply = (struct lease_reply){
	    .now_ms = turn.now_ms,
	    .shards = turn.shards,
	    .dropped = turn.dropped,
	    .lapsed = turn.lapsed,
	    .n_living = turn.n_living,
	    .clock_offset_ms = turn.clock_offset_ms,
	    .n_interrupted = turn.n_interrupted,
	    .buried = turn.buried,
	    .quarantined = turn.quarantined,
	    .n_strays = turn.n_strays,
	};
	memcpy(reply->strays, turn.strays, sizeof(turn.strays));
	return end(store, status, err);
}

void
store_claim_free(struct store_claim *claim)
{
	free(claim);
}

enum store_status
store_settle_and_claim(struct store *store, const struct claim_request *request,
    struct claim_reply *reply, struct err *err)
{
	struct store_turn turn = {
	    .owner = request->owner,
	    .alone = request->alone,
	    .shards = request->shards,
	    .results = request->results,
	    .n_results = request->n_results,
	    .claim_max = request->claim_max,
	    .claim_bytes = request->claim_bytes,
	    .horizon_ms = request->horizon_ms,
	    .claims = request->claims,
	    .next_due_ms = INT64_MAX,
	};
	enum store_status status;

	assert(turn.owner != 0);
	assert(turn.results != NULL || turn.n_results == 0);
	assert(turn.claims != NULL || turn.claim_max == 0);
	status = begin(store);
	if (status == STORE_OK)
		status = store->ops->turn(store->backend, &turn, &store->err);
	/* What was read before the failure was not claimed. */
	if (status != STORE_OK)
		store_forget_claims(&turn);
	*reply = (struct claim_reply){
	    .n_stale = turn.n_stale,
	    .owned = turn.owned,
	    .claims = turn.claims,
	    .n_claims = turn.n_claims,
	    .n_bytes = turn.n_bytes,
	    .cut = turn.cut,
	    .more = turn.more,
	    .next_due_ms = turn.next_due_ms,
	};
	return end(store, status, err);
}

enum store_status
store_purge(struct store *store, uint64_t shards, int64_t before_ms,
    size_t limit, size_t *n, struct err *err)
{
	enum store_status status;

	assert(limit > 0);
	*n = 0;
	status = begin(store);
	if (status == STORE_OK)
		status = store->ops->purge(
		    store->backend, shards, before_ms, limit, n, &store->err);
	return end(store, status, err);
}
