/* SPDX-License-Identifier: ISC */
/*
 * The store's contract, case by case, against the datastore that the URL in
 * CASSATA_TEST_DATASTORE names (its content is lost), or a fresh SQLite file.
 * What only SQLite can meet is tested on SQLite files in any case.
 */
#include "store/columns.h"
#include "store/store.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/zones.h"
#ifdef TWIN
#include "sql_twin.h"
#endif
#include "sqlite_plans.h"
#include "event/event_options.h"
#include "sql/sql_url.h"
#include "sql/sqlite_room.h"
#include "store/pauses.h"
#include "store/schema.h"
#include "sql/write_lock.h"
#include "suite.h"

#define DEFAULT_URL "sqlite:test.db"

#define ALL UINT64_MAX

/* A slice in the initialiser of a static table. */
#define BYTES(text)                                                            \
	{                                                                      \
		(text), sizeof(text) - 1                                       \
	}

/* Owner tokens; the first looks negative where numbers have a sign. */
#define A       UINT64_C(0xfedcba9876543210)
#define B       UINT64_C(2)
#define C       UINT64_C(3)
#define SWEEPER UINT64_C(4)

enum {
	LEASE_MS = 60000,
	WAIT_MS = 20000, /* for what must come true soon */
	MAX_ATTEMPTS = 3,
	CLAIMS_MAX = 600,
	SKIPPED = 77,
};

static char state_dir[64];
static char dir[80]; /* of the files, in it */
static const char *url;
static struct store *store;
static struct err err;
static struct store_claim *claims[CLAIMS_MAX];
static struct zones *zones;

#define ok(call)                                                               \
	do {                                                                   \
		enum store_status status_ = (call);                            \
		ck_assert_msg(status_ == STORE_OK, "%s", err.text);            \
		next_node();                                                   \
	} while (0)

/* With NODES, each call goes through another node of a cluster than the last
 * one; whose nodes wait for each other, or the contract would not hold. */
#ifdef NODES
enum { HAS_NODES = true };
#else
enum { HAS_NODES = false };
#endif
enum { NODES_MAX = 8 };
static const char *node_urls[NODES_MAX];
static struct store *nodes[NODES_MAX];
static unsigned n_nodes, at_node;

static void
next_node(void)
{
	if (n_nodes > 0)
		store = nodes[++at_node % n_nodes];
}

/* With TWIN, every transaction first meets another one, and is repeated. */
#ifdef TWIN
enum { IS_TWIN = true };
#define open_driver(params, s)                                                 \
	(twin.meets = true, store_open_with(&sql_twin, params, s, &err))
#else
enum { IS_TWIN = false };
#define open_driver(params, s) store_open(params, s, &err)
#endif

static struct store *
open_url(const char *which, int64_t timeout_ms, struct write_lock *lock)
{
	const struct store_params params = {.url = which,
	    .state_dir = state_dir,
	    .connect_timeout_ms = 5000,
	    .timeout_ms = timeout_ms,
	    .write_lock = lock};
	struct store *s;

	ck_assert_msg(open_driver(&params, &s) == 0, "%s", err.text);
	return s;
}

static void
open_stores(struct write_lock *lock)
{
	for (unsigned i = 0; i < n_nodes; i++)
		nodes[i] = open_url(node_urls[i], 5000, lock);
	if (n_nodes > 0)
		store = nodes[0];
	else
		store = open_url(url, 5000, lock);
}

static void
close_stores(void)
{
	for (unsigned i = 0; i < n_nodes; i++)
		store_close(&nodes[i]);
	if (n_nodes > 0)
		store = NULL;
	store_close(&store);
	ck_assert_ptr_null(store);
}

/* ---- events ---- */

static struct event
event_of(const char *id, int64_t expiry_ms)
{
	return (struct event){
	    .app = SLICE_LITERAL("app"),
	    .id = slice_from_string(id),
	    .method = SLICE_LITERAL("POST"),
	    .url = SLICE_LITERAL("http://127.0.0.1/"),
	    .headers = SLICE_LITERAL("Content-Type: application/json\n"),
	    .body = SLICE_LITERAL("{}"),
	    .expiry_ms = expiry_ms,
	};
}

static struct store_add
add_of(const struct event *ev)
{
	/* Over all shards, with their neighbours apart. */
	static unsigned n_made;
	struct store_add add = {
	    .event = ev, .shard = n_made++ * 37 % EVENT_SHARDS};

	ck_assert_int_eq(event_key_make(ev->app, ev->id, &add.key), 0);
	ck_assert_int_eq(event_fingerprint(ev, add.fingerprint), 0);
	return add;
}

/* The last ones that were added, by their ids. */
static struct {
	char id[64];
	unsigned shard;
} added_last[16];

static struct store_add
add_event(const struct event *ev)
{
	static size_t n_added;
	size_t i = n_added++ % (sizeof(added_last) / sizeof(added_last[0]));
	struct store_add add = add_of(ev), *adds = &add;

	ok(store_add_events(store, &adds, 1, &err));
	(void)snprintf(added_last[i].id, sizeof(added_last[i].id), "%.*s",
	    (int)ev->id.len, ev->id.p);
	added_last[i].shard = add.shard;
	return add;
}

static int64_t
add(const char *id, int64_t due_ms)
{
	const struct event ev = event_of(id, due_ms);
	struct store_add added = add_event(&ev);

	ck_assert_int_eq(added.outcome, ADD_CREATED);
	ck_assert_int_eq(added.state, EVENT_PENDING);
	return added.row_id;
}

static void
add_many(const char *prefix, int n, int64_t due_ms)
{
	char ids[256][32];
	struct event events[256];
	struct store_add list[256], *adds[256];

	ck_assert_int_le(n, 256);
	for (int i = 0; i < n; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%s%d", prefix, i);
		events[i] = event_of(ids[i], due_ms);
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
	}
	ok(store_add_events(store, adds, (size_t)n, &err));
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(list[i].outcome, ADD_CREATED);
}

static struct event_key
key_of(const char *id)
{
	struct event_key key;

	ck_assert_int_eq(
	    event_key_make(SLICE_LITERAL("app"), slice_from_string(id), &key),
	    0);
	return key;
}

static uint64_t
shard_bit(const char *id)
{
	for (size_t i = 0; i < sizeof(added_last) / sizeof(added_last[0]); i++)
		if (strcmp(added_last[i].id, id) == 0)
			return UINT64_C(1) << added_last[i].shard;
	ck_abort_msg("%s was not added", id);
}

static struct store_record *
find(const char *id)
{
	const struct event_key key = key_of(id);
	struct store_record *record;

	ok(store_find_event(store, &key, FIND_WHOLE, &record, &err));
	return record;
}

static void
expect(const char *id, enum event_state state, unsigned attempts, size_t n_log)
{
	struct store_record *record = find(id);

	ck_assert_msg(record != NULL, "%s", id);
	ck_assert_int_eq(record->state, state);
	ck_assert_uint_eq(record->attempts, attempts);
	ck_assert_uint_eq(record->n_log, n_log);
	store_record_free(record);
}

static int64_t
due_of(const char *id)
{
	struct store_record *record = find(id);
	int64_t due_ms = record->due_ms;

	store_record_free(record);
	return due_ms;
}

static void
expect_gone(const char *id)
{
	ck_assert_ptr_null(find(id));
}

/* ---- worker ---- */

static struct store_instance instances[STORE_INSTANCES_MAX];
static size_t n_instances; /* as of the last call */

static struct lease_reply
lease_with(struct lease_request request)
{
	struct lease_reply reply;

	request.instances = instances;
	if (request.lease_ms == 0)
		request.lease_ms = LEASE_MS;
	if (request.max_attempts == 0)
		request.max_attempts = MAX_ATTEMPTS;
	ok(store_lease(store, &request, &reply, &err));
	n_instances = reply.n_instances;
	return reply;
}

static struct lease_reply
lease(uint64_t owner)
{
	return lease_with((struct lease_request){.owner = owner});
}

/* What the registration of an owner shows to another. */
static struct store_sign
see(uint64_t owner, uint64_t other)
{
	(void)lease(owner);
	for (size_t i = 0; i < n_instances; i++)
		if (instances[i].sign.owner == other)
			return instances[i].sign;
	ck_abort_msg("it is not registered");
}

/* Takes over what another owner held, who was not heard of for long. */
static struct lease_reply
lose(uint64_t owner, uint64_t other)
{
	struct store_sign sign = see(owner, other);

	return lease_with(
	    (struct lease_request){.owner = owner, .lost = &sign, .n_lost = 1});
}

/* Takes over what another owner held, whose death left this. */
static struct lease_reply
bury(uint64_t owner, const struct store_death *death)
{
	return lease_with(
	    (struct lease_request){.owner = owner, .dead = death, .n_dead = 1});
}

/* One that had nothing on the wire. */
static struct lease_reply
lease_after(uint64_t owner, uint64_t dead)
{
	return bury(owner,
	    &(const struct store_death){.owner = dead, .wire_known = true});
}

static bool has_backlog; /* as the worker says it */

static struct claim_reply
claim(uint64_t owner, uint64_t shards, size_t max, int64_t horizon_ms)
{
	const struct claim_request request = {.owner = owner,
	    .shards = shards,
	    .claim_max = max,
	    .backlog = has_backlog,
	    .now_ms = horizon_ms,
	    .horizon_ms = horizon_ms,
	    .claims = claims};
	struct claim_reply reply;

	ck_assert_uint_le(max, CLAIMS_MAX);
	ok(store_settle_and_claim(store, &request, &reply, &err));
	ck_assert_uint_le(reply.n_claims, max);
	return reply;
}

static void
free_claims(const struct claim_reply *turn)
{
	for (size_t i = 0; i < turn->n_claims; i++)
		store_claim_free(turn->claims[i]);
}

static struct claim_reply
claim_alone(uint64_t owner)
{
	const struct claim_request request = {.owner = owner,
	    .alone = true,
	    .claim_max = 1,
	    .horizon_ms = clock_wall_ms() + WAIT_MS,
	    .claims = claims};
	struct claim_reply reply;

	ok(store_settle_and_claim(store, &request, &reply, &err));
	ck_assert_uint_le(reply.n_claims, 1);
	return reply;
}

static size_t
claim_one_alone(uint64_t owner)
{
	struct claim_reply turn = claim_alone(owner);

	free_claims(&turn);
	return turn.n_claims;
}

/* What waits next is told for certain, so that no look finds nothing; or, after
 * a backlog, that there is to be one. */
static void
expect_next(const struct claim_reply *turn, int64_t horizon_ms, int64_t next_ms)
{
	bool had_backlog = has_backlog;
	struct claim_reply again;

	ck_assert_int_le(turn->next_due_ms, next_ms);
	ck_assert_int_gt(
	    turn->next_due_ms, had_backlog ? horizon_ms : next_ms - 1);
	has_backlog = false;
	again = claim(A, ALL, CLAIMS_MAX, horizon_ms);
	has_backlog = had_backlog;
	ck_assert_uint_eq(again.n_claims, 0);
	ck_assert(!again.more);
	ck_assert_int_eq(again.next_due_ms, next_ms);
}

/* Claims all that is due, frees it, returns how many. */
static size_t
claim_all(uint64_t owner)
{
	struct claim_reply turn = claim(owner, ALL, CLAIMS_MAX, INT64_MAX);

	free_claims(&turn);
	return turn.n_claims;
}

/* The number of stale ones. */
static size_t
give(uint64_t owner, const struct store_result *results, size_t n)
{
	const struct claim_request request = {
	    .owner = owner, .shards = ALL, .results = results, .n_results = n};
	struct claim_reply reply;

	ok(store_settle_and_claim(store, &request, &reply, &err));
	ck_assert_uint_eq(reply.n_claims, 0);
	return reply.n_stale;
}

static size_t
give_one(uint64_t owner, int64_t row_id, unsigned attempt,
    enum result_kind kind, int code)
{
	const struct store_result result = {.row_id = row_id,
	    .kind = kind,
	    .attempt = attempt,
	    .at_ms = 5000,
	    .due_ms = 6000,
	    .code = code,
	    .response = SLICE_LITERAL("oh\0no")};

	return give(owner, &result, 1);
}

static void
complete_claims(uint64_t owner, const struct claim_reply *turn)
{
	struct store_result results[CLAIMS_MAX];

	for (size_t i = 0; i < turn->n_claims; i++)
		results[i] =
		    (struct store_result){.row_id = turn->claims[i]->row_id,
			.kind = RESULT_COMPLETED,
			.attempt = turn->claims[i]->attempt,
			.at_ms = 5000,
			.code = 200};
	ck_assert_uint_eq(give(owner, results, turn->n_claims), 0);
}

static size_t
purge(uint64_t shards, int64_t before_ms, size_t limit)
{
	size_t n;

	ok(store_purge(store, shards, before_ms, limit, &n, &err));
	return n;
}

enum { JOBS_MAX = 256 };

struct jobs {
	size_t n;
	struct job_record list[JOBS_MAX]; /* without bytes */
};

static bool
take_job(void *arg, const struct job_record *record)
{
	struct jobs *jobs = arg;

	ck_assert_uint_lt(jobs->n, JOBS_MAX);
	jobs->list[jobs->n++] = *record;
	return true;
}

/* Those of the application "app", the latest first. */
static struct jobs
list_jobs(void)
{
	struct jobs jobs = {0};
	const struct jobs_query query = {.app = SLICE_LITERAL("app"),
	    .before = INT64_MAX,
	    .max = JOBS_MAX,
	    .take = take_job,
	    .arg = &jobs};

	ok(store_jobs(store, &query, &err));
	return jobs;
}

static enum job_outcome
give_order(const struct job_id *id, enum job_order order)
{
	struct jobs jobs = {0};
	enum job_outcome outcome;

	ok(store_job_order(store, SLICE_LITERAL("app"), id, order, 9000,
	    take_job, &jobs, &outcome, &err));
	ck_assert_uint_eq(jobs.n, outcome == JOB_UNKNOWN ? 0 : 1);
	return outcome;
}

static void
sweep_jobs(void)
{
	struct jobs jobs = list_jobs();

	for (size_t i = 0; i < jobs.n; i++) {
		(void)give_order(&jobs.list[i].id, JOB_CANCEL);
		ck_assert_int_eq(
		    give_order(&jobs.list[i].id, JOB_REMOVE), JOB_MADE);
	}
}

static bool
delete_one(void *arg, struct store_schedule *s)
{
	struct schedule_change *change = arg;
	static char name[SCHEDULE_ID_MAX];

	memcpy(name, s->name.p, s->name.len);
	change->name = slice_of(name, s->name.len);
	store_schedule_free(s);
	return true;
}

static void
delete_schedules(void)
{
	struct schedule_change change = {
	    .app = SLICE_LITERAL("app"), .verb = SCHEDULE_DELETE};
	const struct schedule_list list = {
	    .app = change.app, .max = 1, .take = delete_one, .arg = &change};

	do {
		change.name.len = 0;
		ok(store_list_schedules(store, &list, &err));
		if (change.name.len > 0)
			ok(store_change_schedule(store, &change, &err));
	} while (change.name.len > 0);
}

/* ---- pauses ---- */

static struct store_pauses pauses; /* as they were last read */

static struct store_pause_change
change_pause(bool resume, enum pause_kind kind, const char *name,
    int64_t since_ms, int64_t until_ms)
{
	struct store_pause_change change = {.resume = resume,
	    .pause = {.kind = kind,
		.name = slice_from_string(name),
		.since_ms = since_ms,
		.until_ms = until_ms,
		.note = SLICE_LITERAL("it burns")},
	    .max = 3,
	    .found = &pauses};

	ok(store_change_pause(store, &change, &err));
	return change;
}

static enum pause_outcome
pause_app(const char *name)
{
	return change_pause(false, PAUSE_APP, name, 1000, 0).outcome;
}

static enum pause_outcome
resume_app(const char *name)
{
	return change_pause(true, PAUSE_APP, name, 1000, 0).outcome;
}

/* As a worker of the shards does, to the end; how many it has put back. */
static size_t
heed(uint64_t shards, int64_t now_ms)
{
	const struct pauses_request request = {
	    .now_ms = now_ms, .shards = shards, .max = 5};
	struct pauses_reply reply = {.pauses = &pauses};
	size_t n = 0;

	do {
		ok(store_heed_pauses(store, &request, &reply, &err));
		ck_assert_uint_le(reply.n_put_back, 5);
		n += reply.n_put_back;
	} while (reply.rest);
	return n;
}

static struct store_upcoming
upcoming(int64_t now_ms)
{
	struct store_upcoming next = {.now_ms = now_ms, .pauses = &pauses};

	ok(store_upcoming(store, &next, &err));
	return next;
}

static struct claim_reply
claim_but_paused(uint64_t owner, size_t max, bool alone)
{
	const struct claim_request request = {.owner = owner,
	    .alone = alone,
	    .shards = alone ? 0 : ALL,
	    .claim_max = max,
	    .backlog = has_backlog,
	    .horizon_ms = clock_wall_ms() + WAIT_MS,
	    .claims = claims,
	    .pauses = &pauses};
	struct claim_reply reply;

	ok(store_settle_and_claim(store, &request, &reply, &err));
	return reply;
}

static void
end_all_pauses(void)
{
	ok(store_list_pauses(store, 0, &pauses, &err));
	while (pauses.n > 0) {
		struct store_pause first = pauses.list[0];
		char name[STORE_PAUSE_NAME_MAX + 1];

		(void)snprintf(name, sizeof(name), "%.*s",
		    (int)first.name.len, first.name.p);
		(void)change_pause(true, first.kind, name, 0, 0);
		ok(store_list_pauses(store, 0, &pauses, &err));
	}
	(void)heed(ALL, 0);
}

/* Ends and deletes every event and schedule, whoever left it, and every lease
 * of ours. */
static void
sweep(void)
{
	static const struct store_death dead[] = {
	    {.owner = A, .wire_known = true}, {.owner = B, .wire_known = true},
	    {.owner = C, .wire_known = true}};
	struct claim_reply turn;

	(void)lease_with((struct lease_request){
	    .owner = SWEEPER, .dead = dead, .n_dead = 3});
	delete_schedules();
	pauses_init(&pauses);
	end_all_pauses();
	pauses_fini(&pauses);
	do {
		turn = claim(SWEEPER, ALL, 500, INT64_MAX);
		complete_claims(SWEEPER, &turn);
		free_claims(&turn);
	} while (turn.n_claims > 0);
	while ((turn = claim_alone(SWEEPER)).n_claims > 0) {
		complete_claims(SWEEPER, &turn);
		free_claims(&turn);
	}
	while (purge(ALL, INT64_MAX, 1000) > 0)
		;
	sweep_jobs();
	(void)lease_with(
	    (struct lease_request){.owner = SWEEPER, .leaving = true});
}

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
empty_dir(void)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	(void)closedir(d);
}

static void
setup(void)
{
	has_backlog = false;
	empty_dir();
	zones = zones_create(zones_directory());
	open_stores(NULL);
	ok(store_check(store, true, &err));
	sweep();
	pauses_init(&pauses);
}

/* What no function of the store shows: a log goes with its event. */
static void
expect_no_logs(void)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;

	ck_assert_int_eq(sqlite3_open(path_of("test.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM attempt",
			     -1, &stmt, NULL),
	    SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	ck_assert_int_eq(sqlite3_column_int(stmt, 0), 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
}

static void
teardown(void)
{
	pauses_fini(&pauses);
	sweep();
	close_stores();
	zones_free(&zones);
#ifdef TWIN
	ck_assert_uint_gt(twin.n_met, 0);
#endif
	if (strcmp(url, DEFAULT_URL) == 0)
		expect_no_logs();
}

/* ---- adding and finding ---- */

START_TEST(whole_event_comes_back)
{
	static char body[1 << 20];
	struct event ev = event_of("whole", 1234567890123);
	const struct event_key key = key_of("whole");
	struct store_record *record;
	struct store_add added;
	struct claim_reply turn;
	int64_t now_ms = clock_wall_ms();

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 31 >> 3);
	ev.headers = SLICE_LITERAL("A: \xc3\xa9\nB: '\"\\\n");
	ev.method = SLICE_LITERAL("PUT");
	ev.body = slice_of(body, sizeof(body));
	ev.body_is_text = true;
	ev.options = SLICE_LITERAL("{\"later\":\"\xc3\xa9\"}");
	added = add_event(&ev);

	record = find("whole");
	ck_assert_ptr_nonnull(record);
	ck_assert_int_eq(record->state, EVENT_PENDING);
	ck_assert_int_eq(record->due_ms, ev.expiry_ms);
	ck_assert_int_ge(record->created_ms, now_ms - WAIT_MS);
	ck_assert_int_le(record->created_ms, now_ms + WAIT_MS);
	ck_assert_int_eq(record->last_code, 0);
	ck_assert_uint_eq(record->last_error.len, 0);
	ck_assert(slice_eq(record->event.app, ev.app));
	ck_assert(slice_eq(record->event.id, ev.id));
	ck_assert(slice_eq(record->event.method, ev.method));
	ck_assert(slice_eq(record->event.url, ev.url));
	ck_assert(slice_eq(record->event.headers, ev.headers));
	ck_assert(slice_eq(record->event.body, ev.body));
	ck_assert(record->event.body_is_text);
	ck_assert(slice_eq(record->event.options, ev.options));
	ck_assert_int_eq(record->event.expiry_ms, ev.expiry_ms);
	store_record_free(record);

	ok(store_find_event(store, &key, FIND_STATUS, &record, &err));
	ck_assert(slice_eq(record->event.app, ev.app));
	ck_assert(slice_eq(record->event.id, ev.id));
	ck_assert_int_eq(record->event.expiry_ms, ev.expiry_ms);
	ck_assert_uint_eq(record->event.body.len, 0);
	store_record_free(record);

	(void)lease(A);
	turn = claim(A, ALL, 5, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert(slice_eq(claims[0]->event.app, ev.app));
	ck_assert(slice_eq(claims[0]->event.id, ev.id));
	ck_assert(slice_eq(claims[0]->event.method, ev.method));
	ck_assert(slice_eq(claims[0]->event.url, ev.url));
	ck_assert(slice_eq(claims[0]->event.headers, ev.headers));
	ck_assert(slice_eq(claims[0]->event.body, ev.body));
	ck_assert(claims[0]->event.body_is_text);
	ck_assert(slice_eq(claims[0]->event.options, ev.options));
	ck_assert_int_eq(claims[0]->due_ms, ev.expiry_ms);
	ck_assert_uint_eq(claims[0]->attempt, 1);
	ck_assert_uint_eq(claims[0]->shard, added.shard);
	free_claims(&turn);
}
END_TEST

START_TEST(empty_parts_come_back)
{
	struct event ev = event_of("empty", 1);
	struct store_record *record;

	ev.headers = slice_of(NULL, 0);
	ev.body = slice_of(NULL, 0);
	(void)add_event(&ev);
	record = find("empty");
	ck_assert_ptr_nonnull(record);
	ck_assert_uint_eq(record->event.headers.len, 0);
	ck_assert_uint_eq(record->event.body.len, 0);
	ck_assert(!record->event.body_is_text);
	store_record_free(record);
}
END_TEST

START_TEST(unknown_event)
{
	const struct event_key key = key_of("unknown");
	struct store_record *record;

	ok(store_find_event(store, &key, FIND_STATUS, &record, &err));
	ck_assert_ptr_null(record);
	expect_gone("unknown");
}
END_TEST

START_TEST(ids_are_compared_byte_for_byte)
{
	static const struct {
		struct slice app, id;
	} ids[] = {
	    {BYTES("app"), BYTES("a")},
	    {BYTES("app"), BYTES("A")},
	    {BYTES("app"), BYTES("a ")},
	    {BYTES("app"), BYTES("a\0")},
	    {BYTES("app"), BYTES("\xc3\xa4")},
	    {BYTES("app"), BYTES("a\xcc\x88")},
	    {BYTES("app "), BYTES("a")},
	    {BYTES("App"), BYTES("a")},
	    {BYTES("ap"), BYTES("pa")},
	};
	enum { N = sizeof(ids) / sizeof(ids[0]) };
	struct event events[N];
	struct store_add list[N], *adds[N];

	for (int i = 0; i < N; i++) {
		events[i] = event_of("", 1000 + i);
		events[i].app = ids[i].app;
		events[i].id = ids[i].id;
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
	}
	ok(store_add_events(store, adds, N, &err));
	for (int i = 0; i < N; i++) {
		struct store_record *record;

		ck_assert_int_eq(list[i].outcome, ADD_CREATED);
		ok(store_find_event(
		    store, &list[i].key, FIND_STATUS, &record, &err));
		ck_assert_ptr_nonnull(record);
		ck_assert_int_eq(record->event.expiry_ms, 1000 + i);
		ck_assert(slice_eq(record->event.app, ids[i].app));
		ck_assert(slice_eq(record->event.id, ids[i].id));
		store_record_free(record);
	}
}
END_TEST

START_TEST(same_and_conflict_across_batches)
{
	const struct event first = event_of("twice", 1000);
	const struct event other = event_of("twice", 2000);
	const struct store_add created = add_event(&first);
	struct store_add again = add_event(&first);

	ck_assert_int_eq(again.outcome, ADD_SAME);
	ck_assert_int_eq(again.state, EVENT_PENDING);
	ck_assert_int_eq(again.row_id, created.row_id);
	ck_assert_int_eq(created.expiry_ms, 1000);
	again = add_event(&other);
	ck_assert_int_eq(again.outcome, ADD_CONFLICT);
	ck_assert_int_eq(again.state, EVENT_PENDING);
	ck_assert_int_eq(again.expiry_ms, 1000);

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	again = add_event(&first);
	ck_assert_int_eq(again.outcome, ADD_SAME);
	ck_assert_int_eq(again.state, EVENT_PROCESSING);
	ck_assert_uint_eq(give_one(A, created.row_id, 1, RESULT_RETRY, 503), 0);
	again = add_event(&first);
	ck_assert_int_eq(again.state, EVENT_SERVICE_UNAVAILABLE);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(
	    give_one(A, created.row_id, 2, RESULT_COMPLETED, 200), 0);
	again = add_event(&other);
	ck_assert_int_eq(again.outcome, ADD_CONFLICT);
	ck_assert_int_eq(again.state, EVENT_COMPLETED);
}
END_TEST

START_TEST(same_and_conflict_within_a_batch)
{
	const struct event first = event_of("batch", 1000);
	const struct event other = event_of("batch", 2000);
	const struct event alone = event_of("alone", 3000);
	struct store_add list[] = {add_of(&first), add_of(&alone),
	    add_of(&first), add_of(&other), add_of(&other)};
	struct store_add *adds[] = {
	    &list[0], &list[1], &list[2], &list[3], &list[4]};
	int n[3] = {0};

	ok(store_add_events(store, adds, 5, &err));
	for (int i = 0; i < 5; i++)
		n[list[i].outcome]++;
	ck_assert_int_eq(n[ADD_CREATED], 2);
	ck_assert_int_eq(n[ADD_SAME], 1);
	ck_assert_int_eq(n[ADD_CONFLICT], 2);
	ck_assert_int_eq(list[1].outcome, ADD_CREATED);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 2);
}
END_TEST

static struct store_add
add_on_conflict(const char *id, enum event_on_conflict how, int64_t due_ms)
{
	struct event ev = event_of(id, due_ms);
	struct store_add added;

	ev.on_conflict = how;
	added = add_event(&ev);
	added.event = NULL;
	return added;
}

START_TEST(kept_on_conflict)
{
	struct store_add added;

	added = add_on_conflict("kept", ON_CONFLICT_IGNORE, 1000);
	ck_assert_int_eq(added.outcome, ADD_CREATED);
	added = add_on_conflict("kept", ON_CONFLICT_IGNORE, 1000);
	ck_assert_int_eq(added.outcome, ADD_SAME);
	added = add_on_conflict("kept", ON_CONFLICT_IGNORE, 2000);
	ck_assert_int_eq(added.outcome, ADD_KEPT);
	ck_assert_int_eq(added.expiry_ms, 1000);
	ck_assert_int_eq(added.state, EVENT_PENDING);
}
END_TEST

START_TEST(replaced_on_conflict)
{
	struct store_add first, second, third;
	struct store_record *record;

	first = add_on_conflict("r", ON_CONFLICT_REPLACE, 1000);
	ck_assert_int_eq(first.outcome, ADD_CREATED);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	/* What is under way stays, and its result is written. */
	second = add_on_conflict("r", ON_CONFLICT_REPLACE, 2000);
	ck_assert_int_eq(second.outcome, ADD_CONFLICT);
	ck_assert_int_eq(second.state, EVENT_PROCESSING);
	ck_assert_uint_eq(give_one(A, first.row_id, 1, RESULT_RETRY, 503), 0);
	second = add_on_conflict("r", ON_CONFLICT_REPLACE, 2000);
	ck_assert_int_eq(second.outcome, ADD_REPLACED);
	ck_assert_int_eq(second.state, EVENT_SERVICE_UNAVAILABLE);
	ck_assert_int_ne(second.row_id, first.row_id);
	record = find("r");
	ck_assert_int_eq(record->event.expiry_ms, 2000);
	ck_assert_uint_eq(record->attempts, 0);
	ck_assert_uint_eq(record->n_log, 0);
	store_record_free(record);
	/* The one that was is nobody's any more. */
	ck_assert_uint_eq(give_one(A, first.row_id, 2, RESULT_COMPLETED, 200), 1);
	ck_assert_int_eq(
	    add_on_conflict("r", ON_CONFLICT_REPLACE, 2000).outcome, ADD_SAME);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(
	    give_one(A, second.row_id, 1, RESULT_COMPLETED, 200), 0);
	third = add_on_conflict("r", ON_CONFLICT_REPLACE, 3000);
	ck_assert_int_eq(third.outcome, ADD_REPLACED);
	ck_assert_int_eq(third.state, EVENT_COMPLETED);
	ck_assert_uint_eq(claim_all(A), 1);
}
END_TEST

/* Each finds what the one before it has left. */
START_TEST(replaced_within_a_batch)
{
	struct event events[5];
	struct store_add list[5], *adds[5];
	const int64_t due_ms[5] = {2000, 3000, 3000, 4000, 1000};
	const enum event_on_conflict how[5] = {ON_CONFLICT_REPLACE,
	    ON_CONFLICT_REPLACE, ON_CONFLICT_REJECT, ON_CONFLICT_IGNORE,
	    ON_CONFLICT_REJECT};
	struct store_record *record;

	(void)add("many", 1000);
	for (size_t i = 0; i < 5; i++) {
		events[i] = event_of("many", due_ms[i]);
		events[i].on_conflict = how[i];
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
	}
	ok(store_add_events(store, adds, 5, &err));
	ck_assert_int_eq(list[0].outcome, ADD_REPLACED);
	ck_assert_int_eq(list[1].outcome, ADD_REPLACED);
	ck_assert_int_eq(list[2].outcome, ADD_SAME);
	ck_assert_int_eq(list[3].outcome, ADD_KEPT);
	ck_assert_int_eq(list[3].expiry_ms, 3000);
	ck_assert_int_eq(list[4].outcome, ADD_CONFLICT);
	record = find("many");
	ck_assert_int_eq(record->event.expiry_ms, 3000);
	store_record_free(record);
}
END_TEST

/* Whatever becomes of their neighbours, and of those of their own key. */
START_TEST(many_replaced)
{
	enum { N = 200, AGAIN = 20, ALL_OF_THEM = N + AGAIN };
	static const struct {
		enum event_on_conflict how;
		int64_t due_ms;
		enum add_outcome outcome;
	} kinds[] = {
	    {ON_CONFLICT_REPLACE, 2000, ADD_REPLACED},
	    {ON_CONFLICT_REPLACE, 1000, ADD_SAME},
	    {ON_CONFLICT_DEBOUNCE, 3000, ADD_REPLACED},
	    {ON_CONFLICT_REJECT, 2000, ADD_CONFLICT},
	    {ON_CONFLICT_IGNORE, 2000, ADD_KEPT},
	};
	static struct event events[ALL_OF_THEM];
	static struct store_add list[ALL_OF_THEM], *adds[ALL_OF_THEM];
	static char ids[N][16];
	struct store_record *record;
	struct claim_reply turn;
	char under_way[16];

	add_many("m", N, 1000);
	(void)lease(A);
	turn = claim(A, ALL, 1, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 1);
	(void)snprintf(under_way, sizeof(under_way), "%.*s",
	    (int)claims[0]->event.id.len, claims[0]->event.id.p);
	free_claims(&turn);
	for (int i = 0; i < ALL_OF_THEM; i++) {
		(void)snprintf(ids[i % N], sizeof(ids[0]), "m%d", i % N);
		events[i] = event_of(ids[i % N], kinds[i % 5].due_ms);
		events[i].on_conflict = kinds[i % 5].how;
		if (i >= N) { /* over again: what they put there, or did not */
			events[i].on_conflict = ON_CONFLICT_REPLACE;
			events[i].expiry_ms = 9000;
		}
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
	}
	ok(store_add_events(store, adds, ALL_OF_THEM, &err));
	for (int i = 0; i < ALL_OF_THEM; i++) {
		bool again = i < AGAIN || i >= N;
		enum add_outcome outcome =
		    i >= N ? ADD_REPLACED : kinds[i % 5].outcome;
		int64_t due_ms = again ? 9000
				 : outcome == ADD_REPLACED
				     ? kinds[i % 5].due_ms
				     : 1000;

		record = find(ids[i % N]);
		if (strcmp(ids[i % N], under_way) == 0) {
			ck_assert_int_eq(record->state, EVENT_PROCESSING);
			if (outcome == ADD_REPLACED)
				outcome = ADD_CONFLICT;
			due_ms = 1000;
		}
		ck_assert_int_eq(list[i].outcome, outcome);
		ck_assert_int_eq(record->event.expiry_ms, due_ms);
		store_record_free(record);
	}
}
END_TEST

/* One that is refused takes them back, and what they replaced is there again. */
START_TEST(replaced_all_or_none)
{
	struct event events[2] = {event_of("all", 2000), event_of("in", 2000)};
	struct store_add list[2], *adds[2] = {&list[0], &list[1]};
	struct store_record *record;
	bool added;

	(void)add("all", 1000);
	(void)add("in", 1000);
	events[0].on_conflict = ON_CONFLICT_REPLACE;
	for (size_t i = 0; i < 2; i++)
		list[i] = add_of(&events[i]);
	ok(store_add_all(store, adds, 2, &added, &err));
	ck_assert(!added);
	ck_assert_int_eq(list[0].outcome, ADD_UNDONE);
	ck_assert_int_eq(list[1].outcome, ADD_CONFLICT);
	record = find("all");
	ck_assert_int_eq(record->event.expiry_ms, 1000);
	store_record_free(record);
	events[1].on_conflict = ON_CONFLICT_IGNORE;
	adds[0] = &list[0];
	adds[1] = &list[1];
	ok(store_add_all(store, adds, 2, &added, &err));
	ck_assert(added);
	ck_assert_int_eq(list[0].outcome, ADD_REPLACED);
	ck_assert_int_eq(list[1].outcome, ADD_KEPT);
}
END_TEST

static struct store_add
debounce(const char *id, int64_t in_ms, int64_t max_ms)
{
	struct event ev = event_of(id, clock_wall_ms() + in_ms);
	struct store_add added;

	ev.time = EVENT_IN;
	ev.in_ms = in_ms;
	ev.on_conflict = ON_CONFLICT_DEBOUNCE;
	ev.debounce_max_ms = max_ms;
	added = add_event(&ev);
	added.event = NULL;
	return added;
}

START_TEST(debounced)
{
	enum { HOUR = 3600000 };
	int64_t created_ms;
	struct store_record *record;
	struct store_add first = debounce("d", HOUR, 0);
	struct store_add again;

	ck_assert_int_eq(first.outcome, ADD_CREATED);
	record = find("d");
	created_ms = record->created_ms;
	store_record_free(record);
	again = debounce("d", HOUR, 0); /* the same, from now on */
	ck_assert_int_eq(again.outcome, ADD_REPLACED);
	ck_assert_int_ge(again.expiry_ms, first.expiry_ms);
	/* However often, not for longer than that since the first. */
	again = debounce("d", 2 * HOUR, HOUR);
	ck_assert_int_eq(again.outcome, ADD_REPLACED);
	ck_assert_int_eq(again.expiry_ms, created_ms + HOUR);
	record = find("d");
	ck_assert_int_eq(record->event.expiry_ms, again.expiry_ms);
	ck_assert_int_eq(record->due_ms, again.expiry_ms);
	ck_assert_int_eq(record->created_ms, created_ms);
	store_record_free(record);
}
END_TEST

/* One that has ended pushes nothing away. */
START_TEST(debounced_anew)
{
	struct store_add first = debounce("d", 0, 1), again;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	again = debounce("d", 0, 1);
	ck_assert_int_eq(again.outcome, ADD_CONFLICT);
	ck_assert_int_eq(again.state, EVENT_PROCESSING);
	ck_assert_uint_eq(give_one(A, first.row_id, 1, RESULT_FAILED, 500), 0);
	again = debounce("d", 3600000, 1);
	ck_assert_int_eq(again.outcome, ADD_REPLACED);
	ck_assert_int_eq(again.state, EVENT_FAILED);
	ck_assert_int_ge(again.expiry_ms, first.expiry_ms + 3500000);
}
END_TEST

/* More than one statement of a backend holds, every third row known. */
START_TEST(large_batch)
{
	enum { N = 250 };
	char ids[N][32];
	struct event events[N];
	struct store_add list[N], *adds[N];

	for (int i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "large%d", i);
		events[i] = event_of(ids[i], 1000);
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
		if (i % 3 == 0)
			(void)add(ids[i], i % 2 == 0 ? 1000 : 2000);
	}
	ok(store_add_events(store, adds, N, &err));
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(list[i].outcome, i % 3 != 0   ? ADD_CREATED
						  : i % 2 == 0 ? ADD_SAME
							       : ADD_CONFLICT);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), N);
}
END_TEST

/* ---- cancelling ---- */

static enum cancel_outcome
cancel(const char *id, enum event_state *state)
{
	const struct event_key key = key_of(id);
	enum cancel_outcome outcome;

	ok(store_cancel_event(store, &key, &outcome, state, &err));
	return outcome;
}

START_TEST(cancel_waiting_or_unknown)
{
	enum event_state state;

	ck_assert_int_eq(cancel("c", &state), CANCEL_UNKNOWN);
	(void)add("c", 1000);
	(void)add("stays", 1000);
	ck_assert_int_eq(cancel("c", &state), CANCEL_DELETED);
	expect_gone("c");
	ck_assert_int_eq(cancel("c", &state), CANCEL_UNKNOWN);
	expect("stays", EVENT_PENDING, 0, 0);
	(void)add("c", 2000);
	expect("c", EVENT_PENDING, 0, 0);
}
END_TEST

START_TEST(cancel_between_attempts)
{
	enum event_state state;
	int64_t row_id = add("c", 1000);

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_RETRY, 503), 0);
	expect("c", EVENT_SERVICE_UNAVAILABLE, 1, 1);
	ck_assert_int_eq(cancel("c", &state), CANCEL_DELETED);
	expect_gone("c");
	(void)add("c", 1000);
	expect("c", EVENT_PENDING, 0, 0);
}
END_TEST

START_TEST(cancel_under_way)
{
	enum event_state state;
	int64_t row_id[2] = {add("c", 1000), add("f", 1000)};

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 2);
	ck_assert_int_eq(cancel("c", &state), CANCEL_REFUSED);
	ck_assert_int_eq(state, EVENT_PROCESSING);
	ck_assert_uint_eq(give_one(A, row_id[0], 1, RESULT_COMPLETED, 200), 0);
	ck_assert_uint_eq(give_one(A, row_id[1], 1, RESULT_FAILED, 404), 0);
	expect("f", EVENT_FAILED, 1, 1);
	ck_assert_int_eq(cancel("c", &state), CANCEL_DELETED);
	ck_assert_int_eq(state, EVENT_COMPLETED);
	ck_assert_int_eq(cancel("f", &state), CANCEL_DELETED);
	ck_assert_int_eq(state, EVENT_FAILED);
	expect_gone("c");
	expect_gone("f");
	/* What its worker says once more is of nothing. */
	ck_assert_uint_eq(give_one(A, row_id[0], 1, RESULT_COMPLETED, 200), 1);
	expect_gone("c");
}
END_TEST

/* ---- changes ---- */

static struct store_change
change(const char *id, enum change_verb verb, unsigned shard, int64_t now_ms)
{
	struct store_change change = {.key = key_of(id),
	    .verb = verb,
	    .shard = shard,
	    .now_ms = now_ms};

	ok(store_change_event(store, &change, &err));
	return change;
}

static enum change_outcome
retry(const char *id, int64_t now_ms)
{
	return change(id, CHANGE_RETRY, 5, now_ms).outcome;
}

START_TEST(retry_what_failed)
{
	int64_t row_id = add("f", 1000);
	struct claim_reply turn;
	struct store_record *record;
	struct store_change made;

	ck_assert_int_eq(retry("none", 1), CHANGE_UNKNOWN);
	ck_assert_int_eq(retry("f", 1), CHANGE_REFUSED);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	made = change("f", CHANGE_RETRY, 5, 1);
	ck_assert_int_eq(made.outcome, CHANGE_REFUSED);
	ck_assert_int_eq(made.state, EVENT_PROCESSING);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_FAILED, 404), 0);

	made = change("f", CHANGE_RETRY, 5, 7000);
	ck_assert_int_eq(made.outcome, CHANGE_MADE);
	ck_assert_int_eq(made.state, EVENT_PENDING);
	ck_assert_int_eq(made.due_ms, 7000);
	ck_assert_int_eq(made.expiry_ms, 1000);
	expect("f", EVENT_PENDING, 1, 1);
	ck_assert_int_eq(retry("f", 1), CHANGE_REFUSED);
	/* Its worker gives the result again: it knows of no answer. */
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_FAILED, 404), 1);
	expect("f", EVENT_PENDING, 1, 1);

	turn = claim(A, ALL, 5, 7000);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->attempt, 2);
	ck_assert_uint_eq(claims[0]->shard, 5);
	ck_assert(slice_eq(
	    claims[0]->event.options, SLICE_LITERAL("{\"forgiven\":1}")));
	free_claims(&turn);
	/* And again, now that it is claimed by the same worker. */
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_FAILED, 404), 1);
	expect("f", EVENT_PROCESSING, 2, 1);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_COMPLETED, 200), 0);
	record = find("f");
	ck_assert_int_eq(record->state, EVENT_COMPLETED);
	ck_assert_uint_eq(record->n_log, 1);
	ck_assert_int_eq(record->log[0].code, 404);
	store_record_free(record);
}
END_TEST

/* What it did is in no log until then. */
START_TEST(retry_what_was_delivered)
{
	int64_t row_id = add("d", 1000);
	struct store_record *record;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_COMPLETED, 204), 0);
	ck_assert_int_eq(retry("d", 7000), CHANGE_MADE);
	record = find("d");
	ck_assert_int_eq(record->state, EVENT_PENDING);
	ck_assert_int_eq(record->first_attempt_ms, 5000);
	ck_assert_uint_eq(record->n_log, 1);
	ck_assert_int_eq(record->log[0].code, 204);
	ck_assert_int_eq(record->log[0].at_ms, 5000);
	store_record_free(record);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_FAILED, 410), 0);
	expect("d", EVENT_FAILED, 2, 2);
	ck_assert_int_eq(retry("d", 8000), CHANGE_MADE);
	ck_assert_uint_eq(claim_all(A), 1);
	expect("d", EVENT_PROCESSING, 3, 2);
}
END_TEST

/* A worker that dies of it: only attempts since then count. */
START_TEST(retry_is_a_fresh_count)
{
	int64_t row_id = add("c", 1000);
	struct store_death death = {.owner = A, .culprit = row_id};

	(void)lease(A);
	for (unsigned n = 1; n <= MAX_ATTEMPTS; n++) {
		ck_assert_uint_eq(claim_all(A), 1);
		ck_assert_uint_eq(
		    give_one(A, row_id, n, RESULT_RETRY, 503), 0);
	}
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(
	    give_one(A, row_id, MAX_ATTEMPTS + 1, RESULT_FAILED, 503), 0);
	ck_assert_int_eq(retry("c", 7000), CHANGE_MADE);
	ck_assert_uint_eq(claim_all(A), 1);
	(void)bury(B, &death);
	expect("c", EVENT_SERVICE_UNAVAILABLE, MAX_ATTEMPTS + 2,
	    MAX_ATTEMPTS + 2);
}
END_TEST

START_TEST(run_what_waits)
{
	int64_t later = clock_wall_ms() + 3600 * 1000, row_id;
	struct store_change made;
	struct claim_reply turn;

	ck_assert_int_eq(
	    change("none", CHANGE_RUN, 5, 1).outcome, CHANGE_UNKNOWN);
	row_id = add("r", later);
	(void)lease(A);
	turn = claim(A, ALL, 5, 7000);
	ck_assert_uint_eq(turn.n_claims, 0);
	made = change("r", CHANGE_RUN, 5, 7000);
	ck_assert_int_eq(made.outcome, CHANGE_MADE);
	ck_assert_int_eq(made.state, EVENT_PENDING);
	ck_assert_int_eq(made.due_ms, 7000);
	ck_assert_int_eq(made.expiry_ms, later);
	/* Never later than it was. */
	made = change("r", CHANGE_RUN, 6, 8000);
	ck_assert_int_eq(made.outcome, CHANGE_MADE);
	ck_assert_int_eq(made.due_ms, 7000);
	turn = claim(A, UINT64_C(1) << 6, 5, 7000);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->attempt, 1);
	free_claims(&turn);
	made = change("r", CHANGE_RUN, 5, 7000);
	ck_assert_int_eq(made.outcome, CHANGE_REFUSED);
	ck_assert_int_eq(made.state, EVENT_PROCESSING);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_FAILED, 404), 0);
	made = change("r", CHANGE_RUN, 5, 7000);
	ck_assert_int_eq(made.outcome, CHANGE_REFUSED);
	ck_assert_int_eq(made.state, EVENT_FAILED);
}
END_TEST

/* ---- labels ---- */

static struct store_add
add_labelled(const char *id, int64_t due_ms, const char *options)
{
	struct event ev = event_of(id, due_ms);
	struct event_options parsed;
	struct event_labels labels;

	ev.options = slice_from_string(options);
	ck_assert_int_eq(event_options_parse(ev.options, &parsed, &err), 0);
	event_labels_parse(parsed.labels, &labels);
	ev.n_labels = labels.n;
	return add_event(&ev);
}

static char label_ids[4096];

static bool
take_labelled(void *arg, struct store_record *record)
{
	size_t len = strlen(label_ids);

	(void)arg;
	(void)snprintf(label_ids + len, sizeof(label_ids) - len, "%s%.*s",
	    len == 0 ? "" : " ", (int)record->event.id.len, record->event.id.p);
	store_record_free(record);
	return true;
}

/* Ids of those with all of these labels, in order. */
static const char *
list_between(const char *const labels[], int64_t from_ms, int64_t before_ms,
    bool descending)
{
	struct list_query query = {.app = SLICE_LITERAL("app"),
	    .states = (1U << EVENT_DELETED) - 1,
	    .from_ms = from_ms,
	    .before_ms = before_ms,
	    .descending = descending};
	struct list_step step = {
	    .query = &query, .n_look = 2, .take = take_labelled};

	for (size_t i = 0; labels[i] != NULL; i++) {
		ck_assert_ptr_null(event_labels_add(
		    &query.labels, slice_from_string(labels[i])));
		if (i == 0)
			query.first = query.labels.list[0];
	}
	step.place = store_list_begin(&query);
	label_ids[0] = '\0';
	while (!step.end) {
		step.n_wanted = 1;
		ok(store_list(store, &step, &err));
		ck_assert_uint_eq(step.n_damaged, 0);
	}
	return label_ids;
}

static const char *
list_labelled(const char *label)
{
	const char *const labels[] = {label, NULL};

	return list_between(labels, 0, STORE_LIST_END_MS, false);
}

/* whether an event is listed where its record says that it is due. */
static void
expect_listed(const char *id, const char *label, int64_t due_ms)
{
	const char *const labels[] = {label, NULL};
	struct store_record *record = find(id);

	ck_assert_int_eq(record->due_ms, due_ms);
	store_record_free(record);
	ck_assert_str_eq(list_between(labels, due_ms, due_ms + 1, false), id);
	ck_assert_str_eq(list_between(labels, due_ms, due_ms + 1, true), id);
	ck_assert_str_eq(list_labelled(label), id);
}

static size_t n_told;

static bool
count_told(void *arg, struct store_record *record)
{
	(void)arg;
	store_record_free(record);
	n_told++;
	return true;
}

/* 480 that have ended, and 960 that wait. */
static void
add_ended_and_waiting(void)
{
	struct claim_reply turn;

	for (int i = 0; i < 6; i++) {
		const char prefix[] = {(char)('a' + i), '\0'};

		add_many(prefix, 240, i < 2 ? 1000 : INT64_C(4102444800000));
	}
	(void)lease(A);
	turn = claim(A, ALL, 480, 2000);
	ck_assert_uint_eq(turn.n_claims, 480);
	complete_claims(A, &turn);
	free_claims(&turn);
}

/* However many states it is of, a page looks at what it tells, and little else.
 */
START_TEST(pages_look_at_what_they_tell)
{
	enum { LIMIT = 10 };
	const struct list_query query = {.app = SLICE_LITERAL("app"),
	    .states = (1U << EVENT_DELETED) - 1,
	    .before_ms = STORE_LIST_END_MS,
	    .descending = _i == 1};
	struct list_step step = {.query = &query,
	    .n_wanted = LIMIT,
	    .n_look = LIMIT,
	    .take = count_told,
	    .place = store_list_begin(&query)};

	add_ended_and_waiting();
	n_told = 0;
	while (n_told < 960 && !step.end) {
		size_t before = n_told;

		step.n_wanted = LIMIT;
		ok(store_list(store, &step, &err));
		ck_assert_uint_le(step.n_looked,
		    strcmp(store_kind(store), "sqlite") == 0 ? LIMIT : 400);
		ck_assert(step.end || n_told > before || step.n_looked == 0);
	}
	ck_assert_uint_ge(n_told, 960);
}
END_TEST

/* Whoever makes up a cursor is told what is there, which is nothing. */
START_TEST(list_ends_above_all)
{
	const struct list_query query = {.app = SLICE_LITERAL("app"),
	    .states = 1U << EVENT_PENDING,
	    .before_ms = STORE_LIST_END_MS};
	struct list_step step = {.query = &query,
	    .n_wanted = 1,
	    .n_look = 1,
	    .take = count_told,
	    .place = {INT64_MAX, INT64_MAX}};

	add_many("a", 1, 1000);
	n_told = 0;
	ok(store_list(store, &step, &err));
	ck_assert(step.end);
	ck_assert_uint_eq(n_told, 0);
}
END_TEST

/* What is before its range, or behind, is none of it, wherever a cursor is. */
START_TEST(list_keeps_within_its_range)
{
	static const struct {
		bool descending;
		int64_t before_ms;
		struct list_place place;
		const char *ids;
	} cases[] = {
	    {false, 3000, {3000, 0}, ""},
	    {false, 3000, {4000, 0}, ""},
	    {false, 3000, {1000, 0}, "two"},
	    {false, 3001, {3000, 0}, "three"},
	    {true, 3000, {3000, INT64_MAX}, "two"},
	    {true, 3000, {4000, 0}, "two"},
	    {true, 3000, {2000, INT64_MAX}, "two"},
	    {true, 3000, {2000, 0}, ""},
	    {true, 3000, {1999, INT64_MAX}, ""},
	};
	struct list_query query = {.app = SLICE_LITERAL("app"),
	    .states = 1U << EVENT_PENDING,
	    .from_ms = 2000,
	    .before_ms = cases[_i].before_ms,
	    .descending = cases[_i].descending};
	struct list_step step = {.query = &query,
	    .n_wanted = 9,
	    .n_look = 2,
	    .take = take_labelled};
	static const char label[] = "{\"labels\":{\"a\":\"1\"}}";

	(void)add_labelled("one", 1000, label);
	(void)add_labelled("two", 2000, label);
	(void)add_labelled("three", 3000, label);
	for (int i = 0; i < 2; i++) {
		step.place = cases[_i].place;
		step.end = false;
		label_ids[0] = '\0';
		while (!step.end)
			ok(store_list(store, &step, &err));
		ck_assert_str_eq(label_ids, cases[_i].ids);
		if (i == 0)
			ck_assert_ptr_null(event_labels_add(
			    &query.labels, SLICE_LITERAL("a=1")));
		query.first = query.labels.list[0];
	}
}
END_TEST

START_TEST(labels_are_listed)
{
	static const char *const a1[] = {"a=1", NULL};
	static const char *const both[][3] = {
	    {"a=1", "b=2", NULL}, {"b=2", "a=1", NULL}};
	struct store_add added;

	(void)add_labelled(
	    "three", 3000, "{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}");
	(void)add_labelled("one", 1000, "{\"labels\":{\"a\":\"1\"}}");
	(void)add_labelled("two", 2000, "{\"labels\":{\"a\":\"2\"}}");
	(void)add_labelled("five", 3000, "{\"labels\":{\"a\":\"1\"}}");
	(void)add_labelled("six", 3000, "{\"labels\":{\"a\":\"1\"}}");
	(void)add("none", 2500);
	ck_assert_str_eq(list_labelled("a=1"), "one three five six");
	ck_assert_str_eq(
	    list_between(a1, 0, STORE_LIST_END_MS, true), "six five three one");
	ck_assert_str_eq(list_between(a1, 1001, 3001, false), "three five six");
	ck_assert_str_eq(list_between(a1, 1000, 3000, true), "one");
	ck_assert_str_eq(
	    list_between(both[0], 0, STORE_LIST_END_MS, false), "three");
	ck_assert_str_eq(
	    list_between(both[1], 0, STORE_LIST_END_MS, true), "three");
	ck_assert_str_eq(list_labelled("a=3"), "");
	ck_assert_str_eq(list_labelled("b=1"), "");

	/* A repeat has no labels of its own. */
	added = add_labelled("one", 1000, "{\"labels\":{\"a\":\"1\"}}");
	ck_assert_int_eq(added.outcome, ADD_SAME);
	added = add_labelled("one", 1000, "{\"labels\":{\"a\":\"2\"}}");
	ck_assert_int_eq(added.outcome, ADD_CONFLICT);
	added = add_labelled("none", 2500, "{\"labels\":{\"a\":\"2\"}}");
	ck_assert_int_eq(added.outcome, ADD_CONFLICT);
	ck_assert_str_eq(list_labelled("a=2"), "two");
}
END_TEST

/* More rows than one statement has. */
START_TEST(labels_of_many)
{
	enum { N = 200 };
	static const char options[] =
	    "{\"labels\":{\"x\":\"1\",\"y\":\"2\",\"z\":\"3\"}}";
	static char ids[N][16];
	static struct event events[N];
	static struct store_add list[N];
	struct store_add *adds[N];
	size_t n = 0;

	for (int i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%d", i);
		events[i] = event_of(ids[i], 1000);
		events[i].options = slice_from_string(options);
		events[i].n_labels = 3;
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
	}
	ok(store_add_events(store, adds, N, &err));
	for (const char *p = "xyz"; *p != '\0'; p++) {
		char label[8];

		(void)snprintf(
		    label, sizeof(label), "%c=%d", *p, (int)(*p - 'x') + 1);
		n = 1;
		for (const char *q = list_labelled(label); *q != '\0'; q++)
			n += *q == ' ';
		ck_assert_uint_eq(n, N);
	}
}
END_TEST

static const struct store_result labelled_results[] = {
    {.kind = RESULT_COMPLETED, .at_ms = 5000, .code = 200},
    {.kind = RESULT_COMPLETED, .at_ms = 5000, .code = 200, .logged = true},
    {.kind = RESULT_FAILED, .at_ms = 5000, .code = 404},
    {.kind = RESULT_RETRY, .at_ms = 5000, .due_ms = 5000, .code = 503},
    {.kind = RESULT_RELEASED, .due_ms = 5000},
    {.kind = RESULT_RELEASED},
};

/* Where the event is, its labels are: whatever moves it. */
START_TEST(labels_follow_results)
{
	struct store_result result = labelled_results[_i];
	int64_t due_ms = result.at_ms + result.due_ms == 0 ? 1000 : 5000;
	enum event_state state;

	result.row_id =
	    add_labelled("moves", 1000, "{\"labels\":{\"m\":\"1\"}}").row_id;
	result.attempt = 1;
	result.labelled = true;
	expect_listed("moves", "m=1", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	expect_listed("moves", "m=1", 1000);
	/* That of another owner moves nothing. */
	ck_assert_uint_eq(give(B, &result, 1), 1);
	expect_listed("moves", "m=1", 1000);
	ck_assert_uint_eq(give(A, &result, 1), 0);
	expect_listed("moves", "m=1", due_ms);
	if (result.kind <= RESULT_FAILED) {
		ck_assert_int_eq(retry("moves", 7000), CHANGE_MADE);
		due_ms = 7000;
	} else {
		due_ms = 900;
		(void)change("moves", CHANGE_RUN, 5, due_ms);
	}
	expect_listed("moves", "m=1", due_ms);
	ck_assert_int_eq(cancel("moves", &state), CANCEL_DELETED);
	ck_assert_str_eq(list_labelled("m=1"), "");
}
END_TEST

static struct store_change
patch_labels(const char *id, const char *labels, int64_t expiry_ms)
{
	struct event_patch patch = {
	    .has_time = expiry_ms > 0, .values.expiry_ms = expiry_ms};
	struct store_change change = {.key = key_of(id),
	    .verb = CHANGE_PATCH,
	    .patch = &patch,
	    .body_max = 1000,
	    .shard = 7};

	if (labels != NULL) {
		patch.has_labels = true;
		ck_assert_int_eq(
		    json_scan(slice_from_string(labels), &patch.labels, &err),
		    0);
	}
	ok(store_change_event(store, &change, &err));
	return change;
}

START_TEST(labels_are_changed)
{
	static const char full[] =
	    "{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\","
	    "\"6\":\"\",\"7\":\"\",\"8\":\"\"}";
	struct store_record *record;

	(void)add_labelled("c", 1000,
	    "{\"labels\":{\"m\":\"1\",\"n\":\"2\"},\"not-after-ms\":9000}");
	ck_assert_int_eq(patch_labels("c", NULL, 2000).outcome, CHANGE_MADE);
	expect_listed("c", "m=1", 2000);
	ck_assert_int_eq(
	    patch_labels("c", "{\"m\":null,\"o\":\"3\"}", 0).outcome,
	    CHANGE_MADE);
	ck_assert_str_eq(list_labelled("m=1"), "");
	expect_listed("c", "n=2", 2000);
	expect_listed("c", "o=3", 2000);
	ck_assert_int_eq(
	    patch_labels("c", "{\"n\":\"\"}", 3000).outcome, CHANGE_MADE);
	expect_listed("c", "n=", 3000);
	expect_listed("c", "o=3", 3000);
	ck_assert_int_eq(patch_labels("c", full, 4000).outcome, CHANGE_LABELS);
	expect_listed("c", "o=3", 3000);
	ck_assert_int_eq(patch_labels("c", "null", 0).outcome, CHANGE_MADE);
	ck_assert_str_eq(list_labelled("o=3"), "");
	record = find("c");
	ck_assert(slice_eq(
	    record->event.options, SLICE_LITERAL("{\"not-after-ms\":9000}")));
	store_record_free(record);
	ck_assert_int_eq(patch_labels("c", full, 4000).outcome, CHANGE_MADE);
	expect_listed("c", "8=", 4000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_int_eq(patch_labels("c", "null", 0).outcome, CHANGE_REFUSED);
}
END_TEST


/* ---- jobs ---- */

#define STATES_WAITING                                                         \
	(1U << EVENT_PENDING | 1U << EVENT_SERVICE_UNAVAILABLE |               \
	    1U << EVENT_PROCESSING)

enum { HOUR_MS = 3600000 };

static struct job_spec
spec_of(enum job_verb verb)
{
	return (struct job_spec){.verb = verb,
	    .states =
		verb == JOB_RETRY ? 1U << EVENT_FAILED
		: verb == JOB_DELETE
		    ? STATES_WAITING | 1U << EVENT_COMPLETED | 1U << EVENT_FAILED
		    : STATES_WAITING,
	    .before_ms = INT64_MAX,
	    .rate = 100};
}

static enum job_outcome
try_job(struct job_id *id, const struct job_spec *spec, unsigned max_active)
{
	struct job_new new = {.app = SLICE_LITERAL("app"),
	    .spec = spec,
	    .now_ms = 1000,
	    .max_active = max_active};
	enum job_outcome outcome;

	ck_assert_int_eq(uuid_make_v7(1000, new.id.text), 0);
	*id = new.id;
	ok(store_job_make(store, &new, &outcome, &err));
	return outcome;
}

static struct job_id
make_job(struct job_spec spec)
{
	struct job_id id;

	ck_assert_int_eq(try_job(&id, &spec, 8), JOB_MADE);
	return id;
}

static struct job_step
step_job(const struct job_id *id, size_t max, int64_t now_ms)
{
	struct job_step step = {
	    .id = *id, .now_ms = now_ms, .max = max, .n_look = 512, .writes = true};

	ok(store_job_step(store, &step, &err));
	ck_assert_uint_le(step.n_news, max);
	return step;
}

static struct job_record
job_of(const struct job_id *id)
{
	struct jobs jobs = {0};
	const struct jobs_query query = {.app = SLICE_LITERAL("app"),
	    .id = id,
	    .take = take_job,
	    .arg = &jobs};

	ok(store_jobs(store, &query, &err));
	ck_assert_uint_eq(jobs.n, 1);
	return jobs.list[0];
}

/* Until all are counted. */
static void
count_job(const struct job_id *id, int64_t now_ms)
{
	while (job_of(id).state == JOB_COUNTING)
		(void)step_job(id, JOB_STEP_MAX, now_ms);
}

static struct job_record
run_job(const struct job_id *id, size_t max, int64_t now_ms)
{
	struct job_step step;

	do {
		step = step_job(id, max, now_ms);
		ck_assert(!step.idle);
	} while (!step.ended);
	step = step_job(id, max, now_ms);
	ck_assert(step.idle);
	return job_of(id);
}

static void
expect_job(const struct job_record *job, enum job_state state, int64_t matched,
    int64_t done, int64_t skipped)
{
	ck_assert_int_eq(job->state, state);
	ck_assert_int_eq(job->matched, matched);
	ck_assert_int_eq(job->done, done);
	ck_assert_int_eq(job->skipped, skipped);
}

/* So many that a count has several looks, on a server, too, where one may have
 * twice as many rows as it was asked for. */
enum { LOOKS = 2400 };

static void
add_many_looks(void)
{
	for (int i = 0; i < LOOKS / 240; i++) {
		const char prefix[] = {(char)('a' + i), '\0'};

		add_many(prefix, 240, 1000);
	}
}

/* By looking at so many rows as it may, not at so many as one look has; but
 * where that takes long, as if a moment were over at once, others of the worker
 * come in between after the first. */
START_TEST(job_counts_at_once)
{
	struct job_step step = {
	    .max = 1, .now_ms = 5000, .n_look = 512, .writes = true};
	struct job_spec spec = spec_of(JOB_DELETE);
	struct job_record job;

	add_many_looks();
	spec.dry_run = true;
	step.id = make_job(spec);
	ok(store_job_step(store, &step, &err));
	ck_assert(!step.ended && step.counted);
	ck_assert_uint_gt(step.n_listed, 0);
	ck_assert_uint_lt(step.n_listed, LOOKS);
	step.look_ms = INT32_MAX;
	ok(store_job_step(store, &step, &err));
	ck_assert(step.ended && step.counted);
	job = job_of(&step.id);
	expect_job(&job, JOB_DONE, LOOKS, 0, 0);
	ck_assert_int_eq(job.steps, 2);
}
END_TEST

/* The row is left alone until it is to be written; who else has gone on with the
 * job has counted for himself. */
START_TEST(job_counts_without_writing)
{
	struct job_step step = {.max = 1, .now_ms = 5000, .n_look = 512}, other;
	struct job_spec spec = spec_of(JOB_DELETE);
	struct job_record job;

	add_many_looks();
	spec.dry_run = true;
	step.id = make_job(spec);
	ok(store_job_step(store, &step, &err));
	ck_assert(step.counted && !step.ended && step.tally.held);
	job = job_of(&step.id);
	expect_job(&job, JOB_COUNTING, 0, 0, 0);
	ck_assert_int_eq(job.steps, 0);
	other = step;
	step.writes = true;
	ok(store_job_step(store, &step, &err));
	ck_assert(!step.ended && !step.tally.held);
	job = job_of(&step.id);
	ck_assert_int_eq(job.steps, 1);
	ck_assert_int_gt(job.matched, other.tally.matched);
	ck_assert_int_lt(job.matched, LOOKS);
	do
		ok(store_job_step(store, &other, &err));
	while (!other.ended);
	job = job_of(&step.id);
	expect_job(&job, JOB_DONE, LOOKS, 0, 0);
	ck_assert_int_eq(job.steps, 2);
}
END_TEST

/* Another one has written the row amid its count: it goes on behind that. */
START_TEST(job_is_counted_by_two)
{
	struct job_step a = {.max = 1, .now_ms = 5000, .n_look = 512}, b;
	struct job_spec spec = spec_of(JOB_DELETE);

	add_ended_and_waiting();
	spec.dry_run = true;
	a.id = make_job(spec);
	b = a;
	b.writes = true;
	ok(store_job_step(store, &a, &err));
	ck_assert(a.tally.held);
	ok(store_job_step(store, &b, &err));
	ck_assert_int_gt(job_of(&a.id).matched, 0);
	do
		ok(store_job_step(store, &a, &err));
	while (!a.ended);
	ck_assert_int_eq(job_of(&a.id).matched, 1440);
}
END_TEST

/* Those that are there, of the application, and no others. */
START_TEST(job_deletes)
{
	struct event other = event_of("other", 1000);
	struct job_record job;
	struct job_step step;
	struct job_id id;

	other.app = SLICE_LITERAL("apps");
	(void)add_event(&other);
	add_many("a", 60, 1000);
	add_many("b", 60, 2000);
	id = make_job(spec_of(JOB_DELETE));
	(void)add("later", 1500);
	count_job(&id, 5000);
	job = job_of(&id);
	expect_job(&job, JOB_RUNNING, 120, 0, 0);
	ck_assert_int_eq(job.since_ms, 5000);
	ck_assert_int_eq(job.counted_ms, 5000);
	expect("a0", EVENT_PENDING, 0, 0);

	step = step_job(&id, 7, 5000);
	ck_assert_uint_eq(step.n_listed, 7);
	ck_assert_uint_eq(step.n_news, 0);
	ck_assert_int_eq(step.job.done, 7);
	job = run_job(&id, JOB_STEP_MAX, 6000);
	expect_job(&job, JOB_DONE, 120, 120, 0);
	ck_assert_int_eq(job.ended_ms, 6000);
	expect_gone("a0");
	expect_gone("b59");
	expect("later", EVENT_PENDING, 0, 0);
	ck_assert_int_eq(store_find_event(store, &(struct event_key){{0}},
			     FIND_STATUS, &(struct store_record *){NULL}, &err),
	    STORE_OK);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 2);
}
END_TEST

/* A schedule goes on by the run that waits. */
START_TEST(job_leaves_runs)
{
	struct event ev = event_of("run", 1000);
	struct job_record job;
	struct job_id id;

	ev.options = SLICE_LITERAL("{\"schedule\":[5,7,0]}");
	(void)add_event(&ev);
	(void)add("other", 1000);
	id = make_job(spec_of(JOB_DELETE));
	job = run_job(&id, 5, 5000);
	expect_job(&job, JOB_DONE, 2, 1, 1);
	expect("run", EVENT_PENDING, 0, 0);
	expect_gone("other");
}
END_TEST

START_TEST(job_is_dry)
{
	struct job_spec spec = spec_of(JOB_DELETE);
	struct job_record job;
	struct job_id id;

	add_many("a", 20, 1000);
	spec.dry_run = true;
	id = make_job(spec);
	job = run_job(&id, 5, 5000);
	expect_job(&job, JOB_DONE, 20, 0, 0);
	ck_assert(job.spec.dry_run);
	expect("a0", EVENT_PENDING, 0, 0);
	/* Nothing to do is done, too. */
	spec = spec_of(JOB_RETRY);
	id = make_job(spec);
	job = run_job(&id, 5, 5000);
	expect_job(&job, JOB_DONE, 0, 0, 0);
}
END_TEST

/* Each once, also those that fail again before it is done. */
START_TEST(job_retries)
{
	int64_t row_ids[3];
	struct job_record job;
	struct job_id id;

	(void)lease(A);
	for (int i = 0; i < 3; i++)
		row_ids[i] = add((const char *const[]){"x", "y", "z"}[i], 1000);
	(void)add("w", INT64_C(1) << 40);
	{
		struct claim_reply turn = claim(A, ALL, 5, 2000);

		ck_assert_uint_eq(turn.n_claims, 3);
		free_claims(&turn);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(
		    give_one(A, row_ids[i], 1, RESULT_FAILED, 404), 0);
	id = make_job(spec_of(JOB_RETRY));
	count_job(&id, 5001);
	for (int i = 0; i < 3; i++) {
		struct job_step step = step_job(&id, 1, 5001);
		struct claim_reply turn;
		struct store_result result;

		ck_assert_uint_eq(step.n_news, 1);
		ck_assert_int_eq(step.news[0].due_ms, 5001);
		turn = claim(A, UINT64_C(1) << step.news[0].shard, 5, 5001);
		ck_assert_uint_eq(turn.n_claims, 1);
		ck_assert_uint_eq(turn.claims[0]->attempt, 2);
		result = (struct store_result){
		    .row_id = turn.claims[0]->row_id,
		    .kind = RESULT_FAILED,
		    .attempt = 2,
		    .at_ms = 5002,
		    .code = 404,
		};
		ck_assert_uint_eq(give(A, &result, 1), 0);
		free_claims(&turn);
	}
	job = run_job(&id, 1, 5003);
	expect_job(&job, JOB_DONE, 3, 3, 0);
	expect("x", EVENT_FAILED, 2, 2);
	expect("w", EVENT_PENDING, 0, 0);
}
END_TEST

/* What it ran, and waits for its next attempt, it does not run again. */
START_TEST(job_runs)
{
	int64_t later = INT64_C(1) << 40;
	struct job_spec spec = spec_of(JOB_RUN);
	struct store_result result = {.kind = RESULT_RETRY,
	    .attempt = 1,
	    .at_ms = 5002,
	    .due_ms = later + 2,
	    .code = 503};
	struct job_record job;
	struct job_id id;

	result.row_id = add("x", later);
	(void)add("y", later + 1);
	(void)add("far", later + 1000);
	(void)lease(A);
	spec.before_ms = later + 1000;
	id = make_job(spec);
	count_job(&id, 5000);
	(void)step_job(&id, 1, 5000);
	ck_assert_int_eq(due_of("x"), 5000);
	ck_assert_int_eq(due_of("y"), later + 1);
	ck_assert_uint_eq(claim_all(A), 3);
	for (unsigned i = 0; i < 2; i++) {
		const struct event_key key = key_of(i == 0 ? "y" : "far");
		struct store_record *record;

		ok(store_find_event(store, &key, FIND_STATUS, &record, &err));
		ck_assert_int_eq(record->state, EVENT_PROCESSING);
		store_record_free(record);
	}
	ck_assert_uint_eq(give(A, &result, 1), 0);
	/* y is under way, x has had its run. */
	job = run_job(&id, 1, 5003);
	expect_job(&job, JOB_DONE, 2, 1, 2);
	ck_assert_int_eq(due_of("x"), later + 2);
}
END_TEST

static void
expect_due(int n, int64_t due_ms, int64_t apart_ms)
{
	char name[16];

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "e%d", i);
		ck_assert_int_eq(due_of(name), due_ms + i * apart_ms);
	}
}

/* Each once, wherever it comes to lie in the order in which they are met. */
START_TEST(job_reschedules)
{
	static const int64_t shifts[] = {HOUR_MS, -HOUR_MS, 3, -3};
	static const size_t sizes[] = {1, 5, 50};
	enum { N = 12 };
	int64_t base = INT64_C(10) * HOUR_MS;
	struct job_spec spec = spec_of(JOB_RESCHEDULE);
	struct job_record job;
	struct job_id id;
	char name[16];

	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "e%d", i);
		(void)add(name, base + i);
	}
	spec.by_ms = shifts[_i];
	for (size_t s = 0; s < 3; s++) {
		id = make_job(spec);
		job = run_job(&id, sizes[s], 5000);
		expect_job(&job, JOB_DONE, N, N, 0);
		base += spec.by_ms;
		expect_due(N, base, 1);
	}
	/* To one time, at which they are met again; one is there already. */
	spec.by_ms = 0;
	spec.to_ms = base + 4;
	id = make_job(spec);
	job = run_job(&id, 2, 5000);
	expect_job(&job, JOB_DONE, N - 1, N - 1, 0);
	expect_due(N, base + 4, 0);
	/* Before 1970 is 1970. */
	spec.by_ms = -100 * HOUR_MS;
	id = make_job(spec);
	job = run_job(&id, 5, 5000);
	expect_job(&job, JOB_DONE, N, N, 0);
	expect_due(N, 0, 0);
}
END_TEST

START_TEST(job_obeys)
{
	struct job_id id, other, none = {"00000000-0000-7000-8000-000000000000"};
	struct job_record job;
	enum job_outcome outcome;
	struct jobs jobs = {0};

	add_many("a", 10, 1000);
	id = make_job(spec_of(JOB_DELETE));
	count_job(&id, 5000);
	(void)step_job(&id, 3, 5000);
	ck_assert_int_eq(give_order(&none, JOB_PAUSE), JOB_UNKNOWN);
	ok(store_job_order(store, SLICE_LITERAL("apps"), &id, JOB_PAUSE, 9000,
	    take_job, &jobs, &outcome, &err));
	ck_assert_int_eq(outcome, JOB_UNKNOWN);
	ck_assert_int_eq(give_order(&id, JOB_PAUSE), JOB_MADE);
	ck_assert_int_eq(give_order(&id, JOB_PAUSE), JOB_MADE);
	ck_assert(step_job(&id, 3, 5000).idle);
	job = job_of(&id);
	expect_job(&job, JOB_RUNNING, 10, 3, 0);
	ck_assert(job.paused);
	ck_assert_int_eq(give_order(&id, JOB_RESUME), JOB_MADE);
	ck_assert(!step_job(&id, 3, 5000).idle);
	ck_assert_int_eq(give_order(&id, JOB_CANCEL), JOB_MADE);
	ck_assert_int_eq(give_order(&id, JOB_CANCEL), JOB_MADE);
	ck_assert_int_eq(give_order(&id, JOB_RESUME), JOB_OVER);
	ck_assert(step_job(&id, 3, 5000).idle);
	job = job_of(&id);
	expect_job(&job, JOB_CANCELLED, 10, 6, 0);
	ck_assert_int_eq(job.ended_ms, 9000);

	other = make_job(spec_of(JOB_DELETE));
	(void)run_job(&other, 50, 5000);
	ck_assert_int_eq(give_order(&other, JOB_CANCEL), JOB_OVER);
	ck_assert_int_eq(give_order(&other, JOB_REMOVE), JOB_MADE);
	ck_assert_int_eq(give_order(&other, JOB_REMOVE), JOB_UNKNOWN);
	other = make_job(spec_of(JOB_DELETE));
	ck_assert_int_eq(give_order(&other, JOB_REMOVE), JOB_MADE);
	expect_job(
	    &(struct job_record){.state = job_of(&other).state},
	    JOB_CANCELLED, 0, 0, 0);
}
END_TEST

/* As many as may be, and of those that ended the last ones. */
START_TEST(jobs_are_bounded)
{
	struct job_spec spec = spec_of(JOB_RUN);
	struct job_id ids[3], due[JOBS_DUE_MAX], id;
	struct jobs jobs;
	size_t n;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(try_job(&ids[i], &spec, 3), JOB_MADE);
	ck_assert_int_eq(try_job(&id, &spec, 3), JOB_TOO_MANY);
	(void)give_order(&ids[1], JOB_PAUSE);
	ck_assert_int_eq(try_job(&id, &spec, 3), JOB_TOO_MANY);
	ok(store_jobs_due(store, 0, due, &n, &err));
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(due[0].text, ids[0].text);
	ck_assert_str_eq(due[1].text, ids[2].text);
	for (int i = 0; i < JOB_KEPT_MAX + 5; i++) {
		ck_assert_int_eq(try_job(&id, &spec, 4), JOB_MADE);
		ck_assert_int_eq(give_order(&id, JOB_CANCEL), JOB_MADE);
	}
	jobs = list_jobs();
	ck_assert_uint_eq(jobs.n, JOB_KEPT_MAX + 3);
	ck_assert_str_eq(jobs.list[0].id.text, id.text);
	ck_assert_str_eq(jobs.list[jobs.n - 1].id.text, ids[0].text);
	for (size_t i = 0, len; i < jobs.n; i += len) {
		struct jobs page = {0};
		const struct jobs_query query = {.app = SLICE_LITERAL("app"),
		    .before = i == 0 ? INT64_MAX : jobs.list[i - 1].number,
		    .max = 50,
		    .take = take_job,
		    .arg = &page};

		len = jobs.n - i < 50 ? jobs.n - i : 50;
		ok(store_jobs(store, &query, &err));
		ck_assert_uint_eq(page.n, len);
		ck_assert_str_eq(page.list[0].id.text, jobs.list[i].id.text);
	}
	/* They ended at 9000. */
	ok(store_jobs_due(store, 9000, due, &n, &err));
	ck_assert_uint_eq(list_jobs().n, JOB_KEPT_MAX + 3);
	ok(store_jobs_due(store, 9001, due, &n, &err));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(list_jobs().n, 3);
}
END_TEST

/* However many another has. */
START_TEST(jobs_of_each_application)
{
	struct job_spec spec = spec_of(JOB_RUN);
	struct job_new late = {.app = SLICE_LITERAL("late"),
	    .spec = &spec,
	    .now_ms = 1000,
	    .max_active = 1};
	struct job_id id, due[JOBS_DUE_MAX];
	enum job_outcome outcome;
	size_t n;

	for (int i = 0; i < JOBS_DUE_MAX + 1; i++)
		ck_assert_int_eq(
		    try_job(&id, &spec, JOBS_DUE_MAX + 1), JOB_MADE);
	ck_assert_int_eq(uuid_make_v7(1000, late.id.text), 0);
	ok(store_job_make(store, &late, &outcome, &err));
	ok(store_jobs_due(store, 0, due, &n, &err));
	ck_assert_uint_eq(n, JOBS_DUE_MAX);
	ck_assert_str_eq(due[1].text, late.id.text);
}
END_TEST

/* Steps of two workers at the same time: each is taken once. */
START_TEST(two_processes_take_each_step_once)
{
	enum { N = 200 };
	struct job_spec spec = spec_of(JOB_RESCHEDULE);
	int64_t later = INT64_C(1) << 40;
	struct job_record job;
	struct job_id id;
	pid_t pids[2];
	int wait_status;
	char name[16];

	add_many("e", N, later);
	spec.by_ms = HOUR_MS;
	id = make_job(spec);
	close_stores();
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		ck_assert_int_ne(pids[i], -1);
		if (pids[i] != 0)
			continue;
		open_stores(NULL);
		while (!step_job(&id, 3, 5000).idle)
			;
		close_stores();
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(waitpid(pids[i], &wait_status, 0), pids[i]);
		ck_assert_int_eq(wait_status, 0);
	}
	open_stores(NULL);
	job = job_of(&id);
	expect_job(&job, JOB_DONE, N, N, 0);
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "e%d", i);
		ck_assert_int_eq(due_of(name), later + HOUR_MS);
	}
}
END_TEST


/* ---- pauses ---- */

START_TEST(pauses_come_and_go)
{
	struct store_pause_change made;

	ck_assert_int_eq(resume_app("shop"), PAUSE_NONE);
	ck_assert_int_eq(pause_app("shop"), PAUSE_BEGUN);
	made = change_pause(false, PAUSE_APP, "shop", 2000, 9000);
	ck_assert_int_eq(made.outcome, PAUSE_KEPT);
	ck_assert_int_eq(made.pause.since_ms, 1000);
	/* A host of that name is another one. */
	made = change_pause(false, PAUSE_HOST, "shop", 2000, 0);
	ck_assert_int_eq(made.outcome, PAUSE_BEGUN);
	ck_assert_int_eq(pause_app("Shop"), PAUSE_BEGUN);
	ck_assert_int_eq(pause_app("more"), PAUSE_TOO_MANY);

	ok(store_list_pauses(store, 8999, &pauses, &err));
	ck_assert_uint_eq(pauses.n, 3);
	for (size_t i = 0; i < pauses.n; i++) {
		const struct store_pause *pause = &pauses.list[i];

		ck_assert(i == 0 || pause[-1].number < pause->number);
		ck_assert_uint_eq(pause->name.len, 4);
		ck_assert(
		    slice_eq(pause->note, SLICE_LITERAL("it burns")));
		ck_assert_int_eq(
		    pause->since_ms, pause->kind == PAUSE_HOST ? 2000 : 1000);
	}
	/* One comes to its end, */
	ok(store_list_pauses(store, 9000, &pauses, &err));
	ck_assert_uint_eq(pauses.n, 2);
	/* and begins again before a worker has seen that. */
	made = change_pause(false, PAUSE_APP, "shop", 9000, 10000);
	ck_assert_int_eq(made.outcome, PAUSE_BEGUN);
	ck_assert_int_eq(made.pause.since_ms, 9000);
	(void)heed(0, 10000);
	ck_assert_uint_eq(pauses.n, 2);
	ck_assert_int_eq(resume_app("shop"), PAUSE_NONE);
	made = change_pause(true, PAUSE_HOST, "shop", 0, 0);
	ck_assert_int_eq(made.outcome, PAUSE_ENDED);
	ck_assert_int_eq(made.ended->since_ms, 2000);
	ck_assert(slice_eq(made.ended->note, SLICE_LITERAL("it burns")));
	ck_assert_int_eq(resume_app("Shop"), PAUSE_ENDED);
	(void)heed(0, 0);
	ck_assert_uint_eq(pauses.n, 0);
}
END_TEST

/* What waits, is under way, is about to be put back; and the end of a pause. */
START_TEST(what_comes_next)
{
	struct claim_reply turn;

	ck_assert_int_eq(upcoming(1000).at_ms, INT64_MAX);
	(void)add("second", 3000);
	(void)add("first", 2000);
	ck_assert_int_eq(upcoming(1000).at_ms, 2000);
	(void)lease(A);
	turn = claim(A, ALL, 1, 2000);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_int_eq(upcoming(1000).at_ms, 2000);
	complete_claims(A, &turn);
	free_claims(&turn);
	ck_assert_int_eq(upcoming(1000).at_ms, 3000);

	(void)change_pause(false, PAUSE_APP, "app", 1000, 9000);
	ck_assert_int_eq(upcoming(1000).at_ms, 3000);
	(void)heed(0, 1000);
	turn = claim_but_paused(A, 10, false);
	ck_assert_uint_eq(turn.n_parked, 1);
	ck_assert_int_eq(upcoming(3000).at_ms, 9000);
	/* It is over: what it held is not, until somebody puts that back. */
	ck_assert_int_eq(upcoming(9000).at_ms, 3000);
	ck_assert_uint_eq(heed(ALL, 9000), 1);
	ck_assert_int_eq(upcoming(9000).at_ms, 3000);
	turn = claim(A, ALL, 1, 3000);
	complete_claims(A, &turn);
	free_claims(&turn);
	ck_assert_int_eq(upcoming(9000).at_ms, INT64_MAX);
}
END_TEST

/* What no event can be, on any datastore. */
static struct event_key
add_damaged(const char *id, int64_t due_ms)
{
	static char headers[EVENT_HEADER_BYTES_MAX + 1];
	struct event ev = event_of(id, due_ms);

	memset(headers, 'h', sizeof(headers));
	if (due_ms > 0)
		ev.headers = slice_of(headers, sizeof(headers));
	(void)add_event(&ev);
	return key_of(id);
}

/* More than a claim takes keep none of the others back, are put off once by all
 * of them, and again when they are due again. */
START_TEST(damaged_rows_keep_no_others)
{
	enum { N = 25, NOW = 2000000, HOUR = 3600000 };
	enum cancel_outcome outcome;
	size_t n_damaged = 0, n_calls = 0;
	struct event_key keys[N];
	struct claim_reply turn;
	enum event_state state;
	char id[16];

	has_backlog = _i == 1;
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "d%d", i);
		keys[i] = add_damaged(id, i == 0 ? -5 : NOW - 3 * HOUR / N * i);
	}
	(void)add("good", NOW - 1);
	(void)lease(A);
	ck_assert_uint_eq(claim(B, ALL, 4, NOW).n_damaged, 0);
	do {
		turn = claim(A, ALL, 4, NOW);
		n_damaged += turn.n_damaged;
		ck_assert_uint_le(++n_calls, N);
	} while (turn.n_claims == 0);
	ck_assert(slice_eq(claims[0]->event.id, SLICE_LITERAL("good")));
	free_claims(&turn);
	ck_assert_uint_eq(n_damaged, N);
	ck_assert_uint_eq(turn.damaged[0].app_len, 3);
	ck_assert_mem_eq(turn.damaged[0].app, "app", 3);

	has_backlog = false;
	turn = claim(A, ALL, 100, NOW + 60000 - 1);
	ck_assert_uint_eq(turn.n_claims + turn.n_damaged, 0);
	ck_assert_int_ge(turn.next_due_ms, NOW + 60000);
	turn = claim(A, ALL, 100, NOW + HOUR + 120000);
	ck_assert_uint_eq(turn.n_damaged, N);
	for (int i = 0; i < N; i++) {
		ok(store_cancel_event(store, &keys[i], &outcome, &state, &err));
		ck_assert_int_eq(outcome, CANCEL_DELETED);
	}
	turn = claim(A, ALL, 100, NOW + 9 * HOUR);
	ck_assert_uint_eq(turn.n_claims + turn.n_damaged, 0);
	ck_assert_int_eq(turn.next_due_ms, INT64_MAX);
}
END_TEST

static void
add_elsewhere(const char *id, const char *to, int64_t due_ms)
{
	struct event ev = event_of(id, due_ms);

	ev.app = SLICE_LITERAL("other");
	ev.url = slice_from_string(to);
	(void)add_event(&ev);
}

/* Takes the records of a list. */
struct listed {
	char ids[64][32];
	size_t n;
};

static bool
take_listed(void *arg, struct store_record *record)
{
	struct listed *listed = arg;

	ck_assert_uint_lt(listed->n, 64);
	(void)snprintf(listed->ids[listed->n++], 32, "%.*s",
	    (int)record->event.id.len, record->event.id.p);
	store_record_free(record);
	return true;
}

/* All of "app", a few at a time. */
static struct listed
list_all(bool descending)
{
	const struct list_query query = {.app = SLICE_LITERAL("app"),
	    .states = (1U << EVENT_DELETED) - 1,
	    .before_ms = STORE_LIST_END_MS,
	    .descending = descending};
	struct listed listed = {.n = 0};
	struct list_step step = {.query = &query,
	    .n_look = 7,
	    .take = take_listed,
	    .arg = &listed,
	    .place = store_list_begin(&query)};

	while (!step.end) {
		step.n_wanted = 3;
		step.begun = false; /* a page each */
		ok(store_list(store, &step, &err));
	}
	return listed;
}

/* What is due waits behind all others, and nobody looks at it any more; clients
 * see no difference. */
START_TEST(paused_events_are_parked)
{
	int64_t later = clock_wall_ms() + 3600 * 1000;
	struct store_record *record;
	struct claim_reply turn;
	struct listed up, down;
	struct store_change made;
	const struct event_key key = key_of("p1");
	enum cancel_outcome outcome;
	enum event_state state;

	has_backlog = _i == 1;
	add_many("p", 12, 1000);
	(void)add("later", later);
	add_elsewhere("o", "http://127.0.0.1/", 2000);
	(void)lease(A);
	ck_assert_int_eq(pause_app("app"), PAUSE_BEGUN);
	(void)heed(ALL, 1000);

	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(turn.n_parked, 12);
	ck_assert(slice_eq(claims[0]->event.id, SLICE_LITERAL("o")));
	free_claims(&turn);
	has_backlog = false;
	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims + turn.n_parked, 0);
	ck_assert(!turn.more);
	ck_assert_int_eq(turn.next_due_ms, later);
	ck_assert(!lease(A).quarantined);
	ck_assert_uint_eq(heed(ALL, 1000), 0);

	record = find("p0");
	ck_assert_int_eq(record->state, EVENT_PENDING);
	ck_assert_int_eq(record->due_ms, 1000);
	ck_assert_uint_eq(record->attempts, 0);
	store_record_free(record);
	up = list_all(false);
	down = list_all(true);
	ck_assert_uint_eq(up.n, 13);
	ck_assert_uint_eq(down.n, 13);
	ck_assert_str_eq(up.ids[0], "later");
	for (size_t i = 0; i < up.n; i++)
		ck_assert_str_eq(up.ids[i], down.ids[up.n - 1 - i]);

	/* One is deleted, another one is wanted now: it is parked again. */
	ok(store_cancel_event(store, &key, &outcome, &state, &err));
	ck_assert_int_eq(outcome, CANCEL_DELETED);
	made = change("p2", CHANGE_RUN, 5, 900);
	ck_assert_int_eq(made.outcome, CHANGE_MADE);
	ck_assert_int_eq(made.due_ms, 900);
	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims, 0);
	ck_assert_uint_eq(turn.n_parked, 1);

	ck_assert_int_eq(resume_app("app"), PAUSE_ENDED);
	/* By the holder of each shard. */
	(void)heed(0, 1000);
	ck_assert_uint_eq(claim_but_paused(A, 100, false).n_claims, 0);
	ck_assert_uint_eq(heed(ALL, 1000), 11);
	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims, 11);
	ck_assert_int_eq(claims[0]->due_ms, 900);
	ck_assert_int_eq(claims[1]->due_ms, 1000);
	ck_assert_uint_eq(claims[10]->attempt, 1);
	free_claims(&turn);
}
END_TEST

/* What one of them holds is put back without the others', whoever has it then.
 */
START_TEST(pauses_of_one_event)
{
	struct claim_reply turn;

	add_many("p", 3, 1000);
	add_elsewhere("h", "http://api.example.net:8080/x", 1000);
	add_elsewhere("i", "https://API.example.net/", 1000);
	add_elsewhere("j", "https://example.net/", 1000);
	(void)lease(A);
	ck_assert_int_eq(pause_app("app"), PAUSE_BEGUN);
	ck_assert_int_eq(change_pause(false, PAUSE_HOST, "api.example.net",
			     1000, 0)
			     .outcome,
	    PAUSE_BEGUN);
	ck_assert_int_eq(
	    change_pause(false, PAUSE_HOST, "127.0.0.1", 1000, 5000).outcome,
	    PAUSE_BEGUN);
	(void)heed(ALL, 1000);
	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert(slice_eq(claims[0]->event.id, SLICE_LITERAL("j")));
	free_claims(&turn);
	ck_assert_uint_eq(turn.n_parked, 5);

	/* Either pause of three has them. */
	ck_assert_int_eq(resume_app("app"), PAUSE_ENDED);
	(void)heed(ALL, 1000);
	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims, 0);
	ck_assert_uint_eq(heed(ALL, 5000), 3);
	turn = claim_but_paused(A, 100, false);
	ck_assert_uint_eq(turn.n_claims, 3);
	ck_assert_uint_eq(turn.n_parked, 0);
	free_claims(&turn);
}
END_TEST

/* In quarantine it stays there. */
START_TEST(paused_in_quarantine)
{
	int64_t sent = add("sent", 1000);
	struct store_death death = {
	    .wire = &sent, .n_wire = 1, .wire_known = true, .owner = A};

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	(void)bury(B, &death);
	ck_assert_uint_eq(claim_all(B), 1);
	death.owner = B;
	ck_assert(bury(C, &death).quarantined);
	ck_assert_int_eq(pause_app("app"), PAUSE_BEGUN);
	(void)heed(ALL, 1000);
	(void)lease_with((struct lease_request){.owner = A, .alone = true});
	ck_assert_uint_eq(claim_but_paused(A, 1, true).n_parked, 1);
	ck_assert(!lease(C).quarantined);
	ck_assert_uint_eq(claim_one_alone(A), 0);
	expect("sent", EVENT_PENDING, 0, 0);
	ck_assert_int_eq(resume_app("app"), PAUSE_ENDED);
	ck_assert_uint_eq(heed(ALL, 1000), 1);
	ck_assert(lease(C).quarantined);
	ck_assert_uint_eq(claim_one_alone(A), 1);
}
END_TEST


/* ---- claiming ---- */

START_TEST(claims_come_in_order_of_due_and_id)
{
	static const int64_t due[] = {500, 100, 300, 100, 200, 400, 100};
	enum { N = sizeof(due) / sizeof(due[0]) };
	struct claim_reply turn;
	char id[2] = "a";

	has_backlog = _i == 1;
	for (int i = 0; i < N; i++) {
		id[0] = (char)('a' + i);
		(void)add(id, due[i]);
	}
	(void)lease(A);
	turn = claim(A, ALL, 100, 1000);
	ck_assert_uint_eq(turn.owned, ALL);
	ck_assert_uint_eq(turn.n_claims, N);
	ck_assert(!turn.more);
	for (int i = 1; i < N; i++) {
		ck_assert_int_le(claims[i - 1]->due_ms, claims[i]->due_ms);
		if (claims[i - 1]->due_ms == claims[i]->due_ms)
			ck_assert_int_lt(
			    claims[i - 1]->row_id, claims[i]->row_id);
	}
	free_claims(&turn);
	expect_next(&turn, 1000, INT64_MAX);
	ck_assert_uint_eq(claim_all(A), 0);
	expect("a", EVENT_PROCESSING, 1, 0);
}
END_TEST

START_TEST(claims_stop_at_the_horizon)
{
	struct claim_reply turn;

	has_backlog = _i == 1;
	(void)add("past", 999);
	(void)add("now", 1000);
	(void)add("soon", 1001);
	(void)add("later", 9000);
	(void)lease(A);
	turn = claim(A, ALL, 100, 1000);
	ck_assert_uint_eq(turn.n_claims, 2);
	ck_assert(!turn.more);
	free_claims(&turn);
	expect_next(&turn, 1000, 1001);
	turn = claim(A, ALL, 100, 5000);
	ck_assert_uint_eq(turn.n_claims, 1);
	free_claims(&turn);
	expect_next(&turn, 5000, 9000);
	expect("later", EVENT_PENDING, 0, 0);
}
END_TEST

static void
add_in_shard(const char *id, unsigned shard, int64_t due_ms)
{
	const struct event ev = event_of(id, due_ms);
	struct store_add add = add_of(&ev), *adds = &add;

	add.shard = shard;
	ok(store_add_events(store, &adds, 1, &err));
}

/* Behind several in one shard is what waits, or the next look tells; a row in
 * quarantine is not waited for. */
START_TEST(next_behind_those_of_a_shard)
{
	struct claim_reply turn;

	has_backlog = _i == 1;
	add_in_shard("one", 7, 1000);
	add_in_shard("next", 7, 9000);
	add_in_shard("much later", 8, 90000);
	(void)lease(A);
	turn = claim(A, ALL, 100, 1000);
	ck_assert_uint_eq(turn.n_claims, 1);
	free_claims(&turn);
	expect_next(&turn, 1000, 9000);
	add_in_shard("two", 7, 2000);
	add_in_shard("three", 7, 2000);
	add_in_shard("alone", 7, STORE_QUARANTINE_MS);
	turn = claim(A, ALL, 100, 2000);
	ck_assert_uint_eq(turn.n_claims, 2);
	ck_assert_int_gt(turn.next_due_ms, 2000);
	ck_assert_int_le(turn.next_due_ms, 9000);
	free_claims(&turn);
	turn = claim(A, ALL, 100, 9000);
	ck_assert_uint_eq(turn.n_claims, 1);
	free_claims(&turn);
	expect_next(&turn, 9000, 90000);
}
END_TEST

START_TEST(claims_stop_at_the_maximum)
{
	struct claim_reply turn;

	has_backlog = _i == 1;
	for (int i = 0; i < 20; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "m%d", i);
		(void)add(id, 100 + i);
	}
	(void)add("later", 9000);
	(void)lease(A);
	for (size_t left = 20; left > 0; left -= 5) {
		turn = claim(A, ALL, 5, 1000);
		ck_assert_uint_eq(turn.n_claims, 5);
		ck_assert_int_eq(claims[0]->due_ms, 120 - (int64_t)left);
		ck_assert_int_eq(claims[4]->due_ms, 124 - (int64_t)left);
		ck_assert_int_eq(turn.more, left > 5);
		if (left > 5)
			ck_assert_int_eq(turn.next_due_ms, 125 - (int64_t)left);
		free_claims(&turn);
	}
	expect_next(&turn, 1000, 9000);
}
END_TEST

/* All rows in one shard: what is cut at its limit is not forgotten. */
START_TEST(more_rows_in_one_shard)
{
	char prefix[32];
	size_t claimed = 0, others = 0;
	struct claim_reply turn;

	(void)lease(A);
	for (int i = 0; i < 8; i++) {
		(void)snprintf(prefix, sizeof(prefix), "s%d-", i);
		add_many(prefix, 256, 1000);
	}
	do {
		turn = claim(A, ALL & ~UINT64_C(1), CLAIMS_MAX, 1000);
		others += turn.n_claims;
		free_claims(&turn);
	} while (turn.more);
	do {
		turn = claim(A, ALL, 8, 1000);
		claimed += turn.n_claims;
		/* After a multiple of 8 there may be more, and is none. */
		ck_assert(turn.n_claims > 0 || !turn.more);
		if (turn.more)
			ck_assert_int_le(turn.next_due_ms, 1000);
		free_claims(&turn);
	} while (turn.more);
	ck_assert_uint_eq(claimed + others, 8 * 256);
	ck_assert_uint_gt(claimed, 8);
}
END_TEST

/* The key finds an event whatever shard it is in: there it stays. */
START_TEST(a_key_is_one_in_all_shards)
{
	const struct event ev = event_of("key", 1000);
	const struct event other = event_of("key", 2000);
	struct store_add first = add_of(&ev), again = add_of(&ev),
			 conflict = add_of(&other);
	struct store_add *one = &first, *two[] = {&again, &conflict};
	struct claim_reply turn;

	first.shard = 5;
	again.shard = 6;
	conflict.shard = 7;
	(void)lease(A);
	ok(store_add_events(store, &one, 1, &err));
	ck_assert_int_eq(first.outcome, ADD_CREATED);
	ok(store_add_events(store, two, 2, &err));
	ck_assert_int_eq(again.outcome, ADD_SAME);
	ck_assert_int_eq(again.row_id, first.row_id);
	ck_assert_int_eq(conflict.outcome, ADD_CONFLICT);
	turn = claim(A, ALL, 10, 1000);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->shard, 5);
	free_claims(&turn);
}
END_TEST

static struct newest_reply
look_for_news(
    int64_t from_ms, int64_t to_ms, struct store_news *news, size_t max)
{
	const struct newest_request request = {
	    .from_ms = from_ms, .to_ms = to_ms, .max = max, .marks = true};
	struct newest_reply reply;

	ok(store_newest(store, &request, news, &reply, &err));
	return reply;
}

/* Those that wait, of the last so many, by when their services added them. */
START_TEST(newest_events)
{
	struct store_news news[4];
	struct store_add first, last;
	const struct event a = event_of("a", 500), b = event_of("b", 700);
	int64_t from_ms = clock_wall_ms() - 1000;
	struct newest_reply reply;

	reply = look_for_news(from_ms, from_ms + 60000, news, 4);
	ck_assert_uint_eq(reply.n, 0);
	first = add_event(&a);
	last = add_event(&b);
	reply = look_for_news(from_ms, from_ms + 60000, news, 4);
	ck_assert_uint_eq(reply.n, 2);
	ck_assert_uint_eq(news[0].shard, last.shard);
	ck_assert_int_eq(news[0].due_ms, 700);
	ck_assert_uint_eq(news[1].shard, first.shard);
	ck_assert_int_eq(news[1].due_ms, 500);
	ck_assert_int_gt(news[0].made_ms, from_ms);
	ck_assert_int_lt(news[0].made_ms, from_ms + 60000);
	ck_assert(!reply.more);
	/* No more than asked for, the last first. */
	reply = look_for_news(from_ms, from_ms + 60000, news, 1);
	ck_assert_uint_eq(reply.n, 1);
	ck_assert_int_eq(news[0].due_ms, 700);
	ck_assert(reply.more);
	/* Before, and after. */
	reply = look_for_news(0, from_ms, news, 4);
	ck_assert_uint_eq(reply.n, 0);
	reply = look_for_news(from_ms + 60000, INT64_MAX, news, 4);
	ck_assert_uint_eq(reply.n, 0);
	reply = look_for_news(from_ms, from_ms, news, 4);
	ck_assert_uint_eq(reply.n, 0);
	/* One that a worker has is no news. */
	(void)lease(A);
	{
		struct claim_reply turn = claim(A, ALL, 10, 600);

		ck_assert_uint_eq(turn.n_claims, 1);
		free_claims(&turn);
	}
	reply = look_for_news(from_ms, from_ms + 60000, news, 4);
	ck_assert_uint_eq(reply.n, 1);
	ck_assert_int_eq(news[0].due_ms, 700);
}
END_TEST

/* Whether both are other numbers than before. */
static void
expect_marks(
    struct store_marks *before, bool pauses_changed, bool jobs_changed)
{
	bool has_marks = strcmp(store_kind(store), "sqlite") != 0;
	struct store_marks now = look_for_news(0, 0, NULL, 1).marks;

	ck_assert_int_eq(
	    now.pauses != before->pauses, pauses_changed && has_marks);
	ck_assert_int_eq(now.jobs != before->jobs, jobs_changed && has_marks);
	*before = now;
}

/* Each change that others are to learn of; files have no marks. */
START_TEST(marks_of_pauses_and_jobs)
{
	struct store_marks none, marks;
	struct job_id id, second;

	none = marks = look_for_news(0, 0, NULL, 1).marks;
	(void)pause_app("app");
	expect_marks(&marks, true, false);
	expect_marks(&marks, false, false);
	(void)change_pause(false, PAUSE_APP, "app", 2000, 9000);
	expect_marks(&marks, true, false);
	(void)change_pause(false, PAUSE_HOST, "app", 1000, 0);
	expect_marks(&marks, true, false);
	(void)resume_app("app");
	expect_marks(&marks, true, false);
	(void)change_pause(true, PAUSE_HOST, "app", 1000, 0);
	expect_marks(&marks, true, false);
	ck_assert_int_eq(marks.pauses, none.pauses);

	id = make_job(spec_of(JOB_DELETE));
	expect_marks(&marks, false, true);
	(void)give_order(&id, JOB_PAUSE);
	expect_marks(&marks, false, true);
	ck_assert_int_eq(marks.jobs, none.jobs);
	(void)give_order(&id, JOB_RESUME);
	expect_marks(&marks, false, true);
	second = make_job(spec_of(JOB_DELETE));
	expect_marks(&marks, false, true);
	(void)give_order(&second, JOB_CANCEL);
	expect_marks(&marks, false, true);
	(void)give_order(&id, JOB_CANCEL);
	expect_marks(&marks, false, true);
	ck_assert_int_eq(marks.jobs, none.jobs);
}
END_TEST

START_TEST(claims_only_of_owned_shards)
{
	struct claim_reply turn;
	struct lease_reply a, b;
	size_t n;

	add_many("o", 200, 1000);
	turn = claim(B, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 0);
	ck_assert_uint_eq(turn.owned, 0);
	(void)lease(A);
	(void)lease(B);
	a = lease(A);
	b = lease(B);
	ck_assert_uint_eq(a.shards | b.shards, ALL);
	ck_assert_uint_eq(a.shards & b.shards, 0);

	turn = claim(B, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.owned, b.shards);
	for (size_t i = 0; i < turn.n_claims; i++)
		ck_assert((b.shards >> claims[i]->shard & 1) != 0);
	n = turn.n_claims;
	free_claims(&turn);
	turn = claim(A, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims + n, 200);
	free_claims(&turn);
}
END_TEST

START_TEST(claims_only_of_the_mask)
{
	struct claim_reply turn;

	(void)add("mask", 1000);
	(void)lease(A);
	turn = claim(A, ~shard_bit("mask"), 10, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 0);
	ck_assert_uint_eq(turn.owned, ~shard_bit("mask"));
	ck_assert_int_eq(turn.next_due_ms, INT64_MAX);
	turn = claim(A, shard_bit("mask"), 10, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(turn.owned, shard_bit("mask"));
	free_claims(&turn);
}
END_TEST

START_TEST(no_claims_after_the_lease)
{
	struct claim_reply turn;

	(void)add("expired", 1000);
	(void)lease(A);
	ck_assert_uint_eq(lose(B, A).shards, ALL);
	turn = claim(A, ALL, 0, 0);
	ck_assert_uint_eq(turn.owned, 0);
	ck_assert_uint_eq(claim_all(A), 0);
	expect("expired", EVENT_PENDING, 0, 0);
}
END_TEST

/* ---- results ---- */

static const struct {
	enum result_kind kind;
	int code;
	struct slice error;
	enum event_state state;
	unsigned attempts;
	int64_t due_ms;
	size_t n_log;
} result_cases[] = {
    {RESULT_COMPLETED, 200, BYTES(""), EVENT_COMPLETED, 1, 5000, 0},
    {RESULT_COMPLETED, 200, BYTES(""), EVENT_COMPLETED, 1, 5000, 1},
    {RESULT_FAILED, 404, BYTES(""), EVENT_FAILED, 1, 5000, 1},
    {RESULT_FAILED, 0, BYTES("bad URL"), EVENT_FAILED, 1, 5000, 1},
    {RESULT_RETRY, 503, BYTES(""), EVENT_SERVICE_UNAVAILABLE, 1, 6000, 1},
    {RESULT_RETRY, 0, BYTES("refused\0\xff"), EVENT_SERVICE_UNAVAILABLE, 1,
	6000, 1},
    {RESULT_RELEASED, 0, BYTES(""), EVENT_PENDING, 0, 6000, 0},
};

START_TEST(each_result)
{
	const struct store_result result = {
	    .row_id = add("r", 1000),
	    .kind = result_cases[_i].kind,
	    .attempt = 1,
	    .at_ms = 5000,
	    .due_ms = 6000,
	    .code = result_cases[_i].code,
	    .logged = result_cases[_i].n_log > 0,
	    /* Whatever there is, a success has none. */
	    .error = result_cases[_i].kind == RESULT_COMPLETED
			 ? SLICE_LITERAL("of another")
			 : result_cases[_i].error,
	    .response = SLICE_LITERAL("oh\0no"),
	};
	bool completed = result.kind == RESULT_COMPLETED;
	struct store_record *record;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	expect("r", EVENT_PROCESSING, 1, 0);
	ck_assert_uint_eq(give(A, &result, 1), 0);

	expect("r", result_cases[_i].state, result_cases[_i].attempts,
	    result_cases[_i].n_log);
	record = find("r");
	ck_assert_int_eq(record->due_ms, result_cases[_i].due_ms);
	ck_assert_int_eq(record->last_code, result_cases[_i].code);
	ck_assert(slice_eq(record->last_error, result_cases[_i].error));
	if (record->n_log > 0) {
		const struct store_attempt *attempt = &record->log[0];

		ck_assert_uint_eq(attempt->number, 1);
		ck_assert_int_eq(attempt->at_ms, 5000);
		ck_assert_int_eq(attempt->code, result_cases[_i].code);
		ck_assert(slice_eq(attempt->error, result_cases[_i].error));
		ck_assert(slice_eq(attempt->response,
		    completed ? SLICE_LITERAL("") : SLICE_LITERAL("oh\0no")));
	}
	store_record_free(record);

	/* Waiting rows come again, ended ones do not. */
	ck_assert_uint_eq(claim_all(A),
	    result.kind == RESULT_RETRY || result.kind == RESULT_RELEASED);
}
END_TEST

START_TEST(attempts_are_logged_in_order)
{
	int64_t row_id = add("log", 1000);
	struct store_record *record;

	(void)lease(A);
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_uint_eq(claim_all(A), 1);
		ck_assert_uint_eq(
		    give_one(A, row_id, i, RESULT_RETRY, 500 + (int)i), 0);
	}
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 4, RESULT_COMPLETED, 200), 0);
	expect("log", EVENT_COMPLETED, 4, 3);
	record = find("log");
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(record->log[i].number, i + 1);
		ck_assert_int_eq(record->log[i].code, 501 + (int)i);
	}
	store_record_free(record);
}
END_TEST

/* Both datastores keep as much of the texts that an attempt leaves. */
START_TEST(texts_of_an_attempt_are_clipped)
{
	static char text[3000];
	struct store_result result = {.kind = RESULT_RETRY,
	    .attempt = 1,
	    .at_ms = 5000,
	    .due_ms = 6000,
	    .error = slice_of(text, sizeof(text)),
	    .response = slice_of(text, sizeof(text))};
	struct store_record *record;

	memset(text, 'x', sizeof(text));
	result.row_id = add("clip", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give(A, &result, 1), 0);
	record = find("clip");
	ck_assert_ptr_nonnull(record);
	ck_assert_uint_eq(record->last_error.len, STORE_ERROR_MAX);
	ck_assert_uint_eq(record->n_log, 1);
	ck_assert_uint_eq(record->log[0].error.len, STORE_ERROR_MAX);
	ck_assert_uint_eq(record->log[0].response.len, STORE_RESPONSE_MAX);
	store_record_free(record);
}
END_TEST

START_TEST(release_uncounts_the_attempt)
{
	int64_t row_id = add("rel", 1000);
	const struct store_result back = {
	    .row_id = row_id, .kind = RESULT_RELEASED, .attempt = 2};
	struct store_record *record;
	struct claim_reply turn;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_RETRY, 503), 0);
	ck_assert_uint_eq(claim_all(A), 1);
	expect("rel", EVENT_PROCESSING, 2, 1);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_RELEASED, 0), 0);
	expect("rel", EVENT_SERVICE_UNAVAILABLE, 1, 1);
	turn = claim(A, ALL, 10, 6000);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->attempt, 2);
	free_claims(&turn);

	/* Without a time of its own it is due as before. */
	ck_assert_uint_eq(give(A, &back, 1), 0);
	record = find("rel");
	ck_assert_int_eq(record->due_ms, 6000);
	store_record_free(record);
}
END_TEST

START_TEST(result_given_twice)
{
	int64_t row_id = add("twice", 1000);
	const struct store_result twice[] = {
	    {.row_id = row_id, .kind = RESULT_RETRY, .attempt = 1, .code = 503},
	    {.row_id = row_id, .kind = RESULT_RETRY, .attempt = 1, .code = 504},
	};
	struct store_record *record;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give(A, twice, 2), 1);
	expect("twice", EVENT_SERVICE_UNAVAILABLE, 1, 1);
	ck_assert_uint_eq(give(A, twice, 2), 2);
	expect("twice", EVENT_SERVICE_UNAVAILABLE, 1, 1);
	record = find("twice");
	ck_assert_int_eq(record->last_code, 503);
	ck_assert_int_eq(record->log[0].code, 503);
	store_record_free(record);

	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_COMPLETED, 200), 0);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_COMPLETED, 200), 1);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_RELEASED, 0), 1);
	ck_assert_uint_eq(give_one(A, 1, 1, RESULT_COMPLETED, 200), 1);
	expect("twice", EVENT_COMPLETED, 2, 1);
}
END_TEST

START_TEST(results_come_before_claims)
{
	struct store_result retry = {
	    .kind = RESULT_RETRY, .attempt = 1, .due_ms = 2000, .code = 503};
	const struct claim_request request = {.owner = A,
	    .shards = ALL,
	    .results = &retry,
	    .n_results = 1,
	    .claims = claims,
	    .claim_max = 10,
	    .horizon_ms = 2000};
	struct claim_reply turn;

	retry.row_id = add("again", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ok(store_settle_and_claim(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_stale, 0);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->attempt, 2);
	free_claims(&turn);
}
END_TEST

/* Those that are left wait as if nobody had looked at them. */
START_TEST(claim_is_cut_by_bytes)
{
	struct claim_request request = {.owner = A,
	    .shards = ALL,
	    .claims = claims,
	    .claim_max = CLAIMS_MAX,
	    .horizon_ms = 9000};
	struct claim_reply turn;
	size_t bytes;

	for (int i = 0; i < 6; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "e%d", i);
		(void)add(id, 1000 + i);
	}
	(void)lease(A);
	request.claim_bytes = 1;
	ok(store_settle_and_claim(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_int_eq(claims[0]->due_ms, 1000);
	bytes = turn.n_bytes;
	ck_assert_uint_eq(claims[0]->bytes, bytes);
	ck_assert(turn.cut && turn.more);
	ck_assert_int_eq(turn.next_due_ms, 1001);
	free_claims(&turn);

	request.claim_bytes = 2 * bytes;
	ok(store_settle_and_claim(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims, 2);
	ck_assert_uint_eq(turn.n_bytes, 2 * bytes);
	ck_assert(turn.cut && turn.more);
	free_claims(&turn);

	request.claim_bytes = 9 * bytes;
	ok(store_settle_and_claim(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims, 3);
	ck_assert(!turn.cut && !turn.more);
	for (size_t i = 0; i < turn.n_claims; i++)
		ck_assert_uint_eq(claims[i]->attempt, 1);
	free_claims(&turn);
}
END_TEST

START_TEST(many_results_in_one_turn)
{
	struct store_result results[200];
	struct claim_reply turn;
	size_t failed = 0;

	add_many("many", 200, 1000);
	(void)lease(A);
	turn = claim(A, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 200);
	for (size_t i = 0; i < 200; i++)
		results[i] = (struct store_result){.row_id = claims[i]->row_id,
		    .kind = (enum result_kind)(i % 4),
		    .attempt = claims[i]->attempt,
		    .at_ms = 5000,
		    .due_ms = 6000,
		    .code = 100 + (int)(i % 7),
		    .response = claims[i]->event.id};
	ck_assert_uint_eq(give(A, results, 200), 0);
	for (size_t i = 0; i < 200; i++) {
		struct store_record *record;
		const struct event *ev = &claims[i]->event;
		struct event_key key;

		ck_assert_int_eq(event_key_make(ev->app, ev->id, &key), 0);
		ok(store_find_event(store, &key, FIND_WHOLE, &record, &err));
		ck_assert_uint_eq(
		    record->n_log, results[i].kind == RESULT_FAILED ||
				       results[i].kind == RESULT_RETRY);
		if (record->n_log == 1) {
			ck_assert_int_eq(record->log[0].code, results[i].code);
			ck_assert(slice_eq(
			    record->log[0].response, claims[i]->event.id));
		}
		failed += record->state == EVENT_FAILED;
		store_record_free(record);
	}
	ck_assert_uint_eq(failed, 50);
	free_claims(&turn);
	ck_assert_uint_eq(claim_all(A), 100);
}
END_TEST

/* ---- fencing ---- */

START_TEST(late_result_writes_nothing)
{
	int64_t row_id = add("late", 1000);

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(lease_after(B, A).n_interrupted, 1);
	for (enum result_kind kind = RESULT_COMPLETED; kind <= RESULT_RELEASED;
	     kind++)
		ck_assert_uint_eq(give_one(A, row_id, 1, kind, 500), 1);
	expect("late", EVENT_PENDING, 0, 0);

	ck_assert_uint_eq(claim_all(B), 1);
	for (enum result_kind kind = RESULT_COMPLETED; kind <= RESULT_RELEASED;
	     kind++)
		ck_assert_uint_eq(give_one(A, row_id, 1, kind, 500), 1);
	expect("late", EVENT_PROCESSING, 1, 0);
	ck_assert_uint_eq(give_one(B, row_id, 1, RESULT_COMPLETED, 200), 0);
	expect("late", EVENT_COMPLETED, 1, 0);
}
END_TEST

/* Two owners, one attempt number: a release uncounted the first. */
START_TEST(late_result_of_the_same_attempt)
{
	int64_t row_id = add("same", 1000);

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_RELEASED, 0), 0);
	(void)lease_after(B, A);
	ck_assert_uint_eq(claim_all(B), 1);
	for (enum result_kind kind = RESULT_COMPLETED; kind <= RESULT_RELEASED;
	     kind++)
		ck_assert_uint_eq(give_one(A, row_id, 1, kind, 500), 1);
	expect("same", EVENT_PROCESSING, 1, 0);
	ck_assert_uint_eq(give_one(B, row_id, 1, RESULT_COMPLETED, 200), 0);
}
END_TEST

/* The owner lost the row and got it back: the older attempt is stale. */
START_TEST(late_result_of_an_older_attempt)
{
	int64_t row_id = add("older", 1000);

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	(void)bury(
	    B, &(const struct store_death){.owner = A, .culprit = row_id});
	(void)lease_after(A, B);
	ck_assert_uint_eq(claim_all(A), 1);
	for (enum result_kind kind = RESULT_COMPLETED; kind <= RESULT_RELEASED;
	     kind++)
		ck_assert_uint_eq(give_one(A, row_id, 1, kind, 404), 1);
	expect("older", EVENT_PROCESSING, 2, 1);
	ck_assert_uint_eq(give_one(A, row_id, 2, RESULT_COMPLETED, 200), 0);
	expect("older", EVENT_COMPLETED, 2, 1);
}
END_TEST

/* Both come at once: the stale one does not stand in the other's way. */
START_TEST(result_beside_one_of_an_older_attempt)
{
	const int64_t row_id = add("both", 1000);
	const struct store_result both[] = {
	    {.row_id = row_id, .kind = RESULT_RETRY, .attempt = 1, .code = 503},
	    {.row_id = row_id, .kind = RESULT_RETRY, .attempt = 2, .code = 504},
	};
	struct store_record *record;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	(void)bury(
	    B, &(const struct store_death){.owner = A, .culprit = row_id});
	(void)lease_after(A, B);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give(A, both, 2), 1);
	expect("both", EVENT_SERVICE_UNAVAILABLE, 2, 2);
	record = find("both");
	ck_assert_int_eq(record->last_code, 504);
	store_record_free(record);
}
END_TEST

/* ---- whose worker died ---- */

/* The row's due time, and nothing but the number of its attempts has changed.
 */
/* Only the culprit has lost anything. */
START_TEST(death_of_a_culprit)
{
	int64_t row_id = add("culprit", 1000);
	struct store_record *record;
	struct lease_reply after;
	/* Both ways: which token is the greater must not matter. */
	uint64_t dead = _i == 0 ? A : B, heir = _i == 0 ? B : A;
	const struct store_death death = {.owner = dead, .culprit = row_id};

	(void)add("victim", 1000);
	(void)add("waits", INT64_C(1) << 45);
	(void)lease(dead);
	{
		struct claim_reply turn = claim(dead, ALL, 10, 2000);

		ck_assert_uint_eq(turn.n_claims, 2);
		free_claims(&turn);
	}
	after = bury(heir, &death);
	ck_assert_uint_eq(after.n_interrupted, 2);
	ck_assert_uint_eq(after.n_living, 1);
	ck_assert_uint_eq(after.shards, ALL);
	ck_assert_uint_eq(after.n_strays, 0);
	ck_assert(!after.quarantined);

	expect("victim", EVENT_PENDING, 0, 0);
	ck_assert_int_eq(due_of("victim"), 1000);
	expect("culprit", EVENT_SERVICE_UNAVAILABLE, 1, 1);
	record = find("culprit");
	ck_assert(slice_eq(record->last_error, SLICE_LITERAL("interrupted")));
	ck_assert(slice_eq(record->log[0].error, SLICE_LITERAL("interrupted")));
	ck_assert_uint_eq(record->log[0].number, 1);
	ck_assert_int_eq(record->log[0].code, 0);
	ck_assert_int_le(
	    record->due_ms, clock_wall_ms() + after.clock_offset_ms + 2000);
	ck_assert_int_ge(record->log[0].at_ms, record->created_ms - WAIT_MS);
	store_record_free(record);
	ck_assert_uint_eq(lease(heir).n_interrupted, 0);
	ck_assert_uint_eq(bury(heir, &death).n_interrupted, 0);
	ck_assert_uint_eq(claim_all(heir), 3);
}
END_TEST

/* An interruption is never the last attempt by itself. */
START_TEST(culprit_too_often)
{
	static const uint64_t owners[] = {A, B, C, A, B};
	unsigned max = (unsigned)_i + 1, last = max < 2 ? 2 : max;
	int64_t row_id = add("often", 1000), now_ms;
	struct lease_reply after = {0};
	struct store_record *record;

	(void)lease(A);
	for (unsigned n = 1; n <= last; n++) {
		const struct store_death death = {
		    .owner = owners[n - 1], .culprit = row_id};

		ck_assert_uint_eq(claim_all(owners[n - 1]), 1);
		now_ms = clock_wall_ms();
		after = lease_with((struct lease_request){.owner = owners[n],
		    .dead = &death,
		    .n_dead = 1,
		    .max_attempts = max});
		ck_assert_uint_eq(after.n_interrupted, 1);
		ck_assert_uint_eq(after.n_given_up, n == last);
		expect("often",
		    n == last ? EVENT_FAILED : EVENT_SERVICE_UNAVAILABLE, n, n);
	}
	ck_assert_uint_eq(after.given_up[0].attempts, last);
	ck_assert(
	    slice_eq(slice_of(after.given_up[0].app, after.given_up[0].app_len),
		SLICE_LITERAL("app")));
	ck_assert(
	    slice_eq(slice_of(after.given_up[0].id, after.given_up[0].id_len),
		SLICE_LITERAL("often")));
	record = find("often");
	ck_assert(slice_eq(record->last_error, SLICE_LITERAL("interrupted")));
	ck_assert_int_ge(record->due_ms, now_ms - WAIT_MS); /* for the purge */
	ck_assert_int_le(record->due_ms, now_ms + WAIT_MS);
	store_record_free(record);
	ck_assert_uint_eq(claim_all(owners[last]), 0);
}
END_TEST

/* What is to be told of an end comes with it, and with it alone. */
START_TEST(callbacks_come_with_results)
{
	static const char *const ids[] = {"c0", "c1", "c2", "c3", "c4"};
	enum { N = sizeof(ids) / sizeof(ids[0]) };
	struct event events[N];
	struct store_result results[N];
	struct store_record *record;

	(void)lease(A);
	for (int i = 0; i < N; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "e%d", i);
		events[i] = event_of(ids[i], 5000 + i);
		results[i] = (struct store_result){.row_id = add(id, 1000),
		    .kind = i < 2 ? RESULT_COMPLETED : RESULT_FAILED,
		    .attempt = 1,
		    .at_ms = 5000,
		    .code = 200,
		    .logged = i < 2,
		    .callback = &events[i],
		    .shard = (unsigned)(i * 16) % EVENT_SHARDS};
	}
	ck_assert_uint_eq(claim_all(A), N);
	results[0].attempt = 2; /* another's */
	results[3].attempt = 0;
	results[4].callback = NULL;
	ck_assert_uint_eq(give(A, results, N), 2);
	expect_gone("c0");
	expect_gone("c3");
	expect_gone("c4");
	record = find("c1");
	ck_assert_int_eq(record->state, EVENT_PENDING);
	ck_assert_int_eq(record->due_ms, 5001);
	ck_assert(record->created_ms > 5001);
	store_record_free(record);
	expect("c2", EVENT_PENDING, 0, 0);
	/* Given again it is of no row, and its callback is there. */
	ck_assert_uint_eq(give(A, &results[1], 1), 1);
	ck_assert_uint_eq(claim_all(A), 2);
}
END_TEST

/* Who added an event with these ids keeps it, and stops nothing. */
START_TEST(callback_whose_ids_are_taken)
{
	const struct event ev = event_of("taken", 5000);
	struct store_result result = {.kind = RESULT_FAILED,
	    .attempt = 1,
	    .at_ms = 5000,
	    .callback = &ev};

	result.row_id = add("ends", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	(void)add("taken", 7000);
	ck_assert_uint_eq(give(A, &result, 1), 0);
	expect("ends", EVENT_FAILED, 1, 1);
	ck_assert_int_eq(due_of("taken"), 7000);
}
END_TEST

/* Also where nobody has a result to write. */
START_TEST(callback_of_a_culprit)
{
	static const uint64_t owners[] = {A, B, C};
	struct event ev = event_of("of", 1000);
	struct store_record *record;
	struct store_add added;

	ev.options = SLICE_LITERAL("{\"on-complete\":\"http://c/\","
				   "\"on-failure\":{\"url\":\"http://f/\"}}");
	added = add_event(&ev);
	(void)lease(A);
	for (int n = 0; n < 2; n++) {
		const struct store_death death = {
		    .owner = owners[n], .culprit = added.row_id};

		ck_assert_uint_eq(claim_all(owners[n]), 1);
		expect_gone("of.on-failure.2");
		(void)lease_with((struct lease_request){.owner = owners[n + 1],
		    .dead = &death,
		    .n_dead = 1,
		    .max_attempts = 1});
		(void)lease_with((struct lease_request){.owner = owners[n + 1],
		    .dead = &death,
		    .n_dead = 1,
		    .max_attempts = 1});
	}
	expect("of", EVENT_FAILED, 2, 2);
	expect_gone("of.on-failure.1");
	expect_gone("of.on-complete.2");
	record = find("of.on-failure.2");
	ck_assert_ptr_nonnull(record);
	ck_assert_int_eq(record->state, EVENT_PENDING);
	ck_assert(slice_eq(record->event.url, SLICE_LITERAL("http://f/")));
	ck_assert(memmem(record->event.body.p, record->event.body.len,
		      "\"last-error\":\"interrupted\"", 26) != NULL);
	store_record_free(record);
	ck_assert_uint_eq(claim_all(C), 1);
}
END_TEST

#define ACK_KEY "0123456789abcdef0123456789abcdef"

static struct store_ack
ack_of(int64_t row_id, unsigned attempt, bool nack)
{
	static const struct retry_policy retry = {
	    .max_retries = 1, .n_delays = 1, .delay_ms = {1000}};
	char text[ACK_TOKEN_LEN + 1];
	struct store_ack ack = {.nack = nack,
	    .now_ms = 7000,
	    .retry = &retry,
	    .said = SLICE_LITERAL("so"),
	    .log_bytes = 1,
	    .callback_bytes = 100};

	ck_assert_int_eq(ack_token_make(
			     SLICE_LITERAL(ACK_KEY), row_id, attempt, text),
	    0);
	ck_assert(ack_token_read(slice_from_string(text), &ack.token));
	return ack;
}

static enum ack_outcome
say(int64_t row_id, unsigned attempt, bool nack, enum event_state state)
{
	struct store_ack ack = ack_of(row_id, attempt, nack);

	ok(store_ack_event(store, &ack, &err));
	store_record_free(ack.record);
	if (ack.outcome != ACK_UNKNOWN)
		ck_assert_int_eq(ack.state, state);
	return ack.outcome;
}

static int64_t
add_with_acks(const char *id)
{
	struct event ev = event_of(id, 1000);
	struct store_add added;

	ev.options = SLICE_LITERAL("{\"ack-key\":\"" ACK_KEY "\","
				   "\"complete-by-ms\":5,"
				   "\"on-failure\":\"http://f/\"}");
	added = add_event(&ev);
	ck_assert_int_eq(added.outcome, ADD_CREATED);
	return added.row_id;
}

/* The last attempt alone may be ended, once, on the wire or after it. */
START_TEST(acks)
{
	int64_t row_id = add_with_acks("e");
	struct store_record *record;

	(void)lease(A);
	ck_assert_int_eq(say(row_id, 2, false, EVENT_PENDING), ACK_OVER);
	ck_assert_int_eq(say(row_id, 1, true, EVENT_PENDING), ACK_OVER);
	ck_assert_int_eq(say(row_id, 0, false, EVENT_PENDING), ACK_OVER);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(
	    give_one(A, row_id, 1, RESULT_RETRY, 202), 0);
	expect("e", EVENT_AWAITING, 1, 1);
	ck_assert_int_eq(
	    say(row_id, 1, true, EVENT_SERVICE_UNAVAILABLE), ACK_TAKEN);
	record = find("e");
	ck_assert_int_eq(record->due_ms, 8000);
	ck_assert(slice_eq(
	    record->log[0].error, SLICE_LITERAL("refused by a nack")));
	ck_assert(slice_eq(record->log[0].response, SLICE_LITERAL("s")));
	store_record_free(record);
	ck_assert_int_eq(
	    say(row_id, 1, true, EVENT_SERVICE_UNAVAILABLE), ACK_SAME);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_int_eq(say(row_id, 1, false, EVENT_PROCESSING), ACK_OVER);
	/* On the wire: its worker's result is none any more. */
	ck_assert_int_eq(say(row_id, 2, false, EVENT_COMPLETED), ACK_TAKEN);
	ck_assert_uint_eq(
	    give_one(A, row_id, 2, RESULT_RETRY, 202), 1);
	expect("e", EVENT_COMPLETED, 2, 2);
	ck_assert_int_eq(say(row_id, 2, false, EVENT_COMPLETED), ACK_SAME);
	ck_assert_int_eq(say(row_id, 2, true, EVENT_COMPLETED), ACK_OVER);
	ck_assert_int_eq(say(row_id + 1, 2, false, 0), ACK_UNKNOWN);
	ck_assert_int_eq(say(add("plain", 9000), 1, false, 0), ACK_UNKNOWN);
	expect_gone("e.on-failure.1");
}
END_TEST

/* Its worker was lost, and it was put back. */
START_TEST(ack_of_what_was_lost)
{
	int64_t row_id = add_with_acks("e");

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(lease_after(B, A).n_interrupted, 1);
	expect("e", EVENT_PENDING, 0, 0);
	ck_assert_int_eq(say(row_id, 1, false, EVENT_COMPLETED), ACK_TAKEN);
	ck_assert_int_eq(say(row_id, 1, false, EVENT_COMPLETED), ACK_SAME);
	expect("e", EVENT_COMPLETED, 1, 1);
	ck_assert_uint_eq(claim_all(B), 0);
}
END_TEST

START_TEST(nack_of_the_last_attempt)
{
	int64_t row_id = add_with_acks("e");

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give_one(A, row_id, 1, RESULT_RETRY, 503), 0);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_int_eq(say(row_id, 2, true, EVENT_FAILED), ACK_TAKEN);
	ck_assert_int_eq(say(row_id, 2, true, EVENT_FAILED), ACK_SAME);
	ck_assert_int_eq(say(row_id, 2, false, EVENT_FAILED), ACK_OVER);
	expect("e", EVENT_FAILED, 2, 2);
	expect("e.on-failure.2", EVENT_PENDING, 0, 0);
}
END_TEST

/* One that nobody ended, after the last attempt, which is not counted twice. */
START_TEST(lapsed)
{
	int64_t row_id = add_with_acks("e");
	const struct event ev = event_of("told", 5000);
	struct store_result result = {.row_id = row_id,
	    .kind = RESULT_LAPSED,
	    .attempt = 2,
	    .at_ms = 7000,
	    .code = 202,
	    .error = SLICE_LITERAL("late"),
	    .callback = &ev};
	struct store_record *record;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(
	    give_one(A, row_id, 1, RESULT_RETRY, 202), 0);
	ck_assert_uint_eq(give(A, &result, 1), 1);
	expect_gone("told");
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(give(A, &result, 1), 0);
	expect("e", EVENT_FAILED, 1, 1);
	expect("told", EVENT_PENDING, 0, 0);
	record = find("e");
	ck_assert_int_eq(record->due_ms, 7000);
	ck_assert_int_eq(record->last_code, 202);
	ck_assert(slice_eq(record->last_error, SLICE_LITERAL("late")));
	store_record_free(record);
}
END_TEST

/* Culprits of several workers come back apart. */
START_TEST(culprits_again_and_apart)
{
	enum { N = 64 };
	struct store_result results[N];
	int64_t rows[N], now_ms, last_ms = 0, first_ms = INT64_MAX;
	char id[16];

	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "apart%d", i);
		rows[i] = add(id, 1000);
		results[i] = (struct store_result){.row_id = rows[i],
		    .kind = RESULT_RETRY,
		    .attempt = 1,
		    .at_ms = 5000,
		    .due_ms = 6000,
		    .code = 500};
	}
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), N);
	ck_assert_uint_eq(give(A, results, N), 0);
	for (int i = 0; i < N; i++) {
		uint64_t owner = 1000 + (uint64_t)i;
		const struct store_death death = {
		    .owner = owner, .culprit = rows[i]};
		struct lease_reply turn;
		struct store_record *record;

		(void)lease_after(owner, i == 0 ? A : owner - 1 + 5000);
		ck_assert_uint_ge(claim_all(owner), 1);
		turn = bury(owner + 5000, &death);
		now_ms = clock_wall_ms() + turn.clock_offset_ms;
		(void)snprintf(id, sizeof(id), "apart%d", i);
		record = find(id);
		ck_assert_int_le(
		    record->due_ms, now_ms + 2000 + 60 * 16 + 1000);
		ck_assert_uint_eq(record->attempts, 2);
		if (record->due_ms - now_ms > last_ms)
			last_ms = record->due_ms - now_ms;
		if (record->due_ms - now_ms < first_ms)
			first_ms = record->due_ms - now_ms;
		store_record_free(record);
	}
	ck_assert_int_gt(last_ms - first_ms, 500);
	(void)lease_after(A, 1000 + N - 1 + 5000);
}
END_TEST

/* Nothing is known of the end: what was on the wire is a suspect; for the
 * second time it is delivered alone. */
START_TEST(death_for_no_reason)
{
	int64_t sent = add("sent", 1000);
	const struct store_death deaths[] = {
	    {.owner = A, .wire_known = true, .wire = &sent, .n_wire = 1},
	    {.owner = B, .wire_known = true, .wire = &sent, .n_wire = 1},
	};
	struct claim_reply turn;

	(void)add("held", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 2);
	ck_assert(!bury(B, &deaths[0]).quarantined);
	expect("sent", EVENT_PENDING, 0, 0);
	ck_assert_int_eq(due_of("sent"), 1000); /* nobody waits */
	ck_assert_uint_eq(claim_all(B), 2);
	ck_assert(bury(C, &deaths[1]).quarantined);
	expect("sent", EVENT_PENDING, 0, 0);
	ck_assert_int_eq(due_of("sent"), 1000);
	ck_assert(lease(C).quarantined);
	ck_assert(lease(C).quarantined); /* the shorter turn, too */
	turn = claim(C, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 1); /* held */
	ck_assert_int_ne(turn.claims[0]->row_id, sent);
	free_claims(&turn);

	/* One without a share takes it. */
	ck_assert_uint_eq(
	    lease_with((struct lease_request){.owner = A, .alone = true})
		.shards,
	    0);
	ck_assert_int_eq(lease(C).n_living, 1);
	ck_assert_uint_eq(claim_one_alone(A), 1);
	ck_assert_uint_eq(claim_one_alone(A), 0);
	expect("sent", EVENT_PROCESSING, 1, 0);
	ck_assert(!lease(C).quarantined);
	ck_assert_uint_eq(lease(C).n_interrupted, 0);

	/* Given back it is still there. */
	ck_assert_uint_eq(
	    give(A,
		&(const struct store_result){
		    .row_id = sent, .kind = RESULT_RELEASED, .attempt = 1},
		1),
	    0);
	expect("sent", EVENT_PENDING, 0, 0);
	ck_assert(lease(C).quarantined);
	ck_assert_uint_eq(claim_all(C), 0);
	ck_assert_uint_eq(claim_one_alone(A), 1);
	/* With a time of its own, too. */
	ck_assert_uint_eq(give_one(A, sent, 1, RESULT_RELEASED, 0), 0);
	ck_assert_int_eq(due_of("sent"), 6000);
	ck_assert(lease(C).quarantined);
	ck_assert_uint_eq(claim_all(C), 0);
	ck_assert_uint_eq(claim_one_alone(A), 1);

	/* A result ends it. */
	ck_assert_uint_eq(give_one(A, sent, 1, RESULT_RETRY, 500), 0);
	ck_assert(!lease(C).quarantined);
	ck_assert_int_eq(due_of("sent"), 6000);
	ck_assert_uint_eq(claim_one_alone(A), 0);
	ck_assert_uint_eq(claim_all(C), 1);
	ck_assert(!bury(B,
	    &(const struct store_death){
		.owner = C, .wire = &sent, .n_wire = 1, .wire_known = true})
		       .quarantined);
	expect("sent", EVENT_SERVICE_UNAVAILABLE, 1, 1);
	ck_assert_uint_eq(claim_all(B), 2);
}
END_TEST

/* Each kind of result but RELEASED ends the suspicion. */
START_TEST(result_ends_suspicion)
{
	int64_t sent = add("sent", 1000);
	struct store_death death = {
	    .wire = &sent, .n_wire = 1, .wire_known = true};
	bool released = _i == RESULT_RELEASED;

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	death.owner = A;
	(void)bury(B, &death);
	ck_assert_uint_eq(claim_all(B), 1);
	ck_assert_uint_eq(give_one(B, sent, 1, (enum result_kind)_i, 500), 0);
	if (_i == RESULT_COMPLETED || _i == RESULT_FAILED)
		return;
	ck_assert_uint_eq(claim_all(B), 1);
	death.owner = B;
	ck_assert(bury(C, &death).quarantined == released);
}
END_TEST

/* The death of who has nothing else is the fault of that, however it was. */
START_TEST(death_of_one_alone)
{
	int64_t sent = add("sent", 1000);
	struct store_death death = {
	    .wire = &sent, .n_wire = 1, .wire_known = true};

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	death.owner = A;
	(void)bury(B, &death);
	ck_assert_uint_eq(claim_all(B), 1);
	death.owner = B;
	ck_assert(bury(C, &death).quarantined);

	/* Before it was begun: not. */
	(void)lease_with((struct lease_request){.owner = A, .alone = true});
	ck_assert_uint_eq(claim_one_alone(A), 1);
	ck_assert(lease_after(C, A).quarantined);
	expect("sent", EVENT_PENDING, 0, 0);
	/* By a note, or lost with its host. */
	for (unsigned n = 1; n <= MAX_ATTEMPTS; n++) {
		(void)lease_with(
		    (struct lease_request){.owner = A, .alone = true});
		ck_assert_uint_eq(claim_one_alone(A), 1);
		if (n == 1)
			(void)bury(C, &(const struct store_death){
					  .owner = A, .culprit = sent});
		else
			(void)lose(C, A);
		expect("sent",
		    n == MAX_ATTEMPTS ? EVENT_FAILED
				      : EVENT_SERVICE_UNAVAILABLE,
		    n, n);
		ck_assert(lease(C).quarantined == (n < MAX_ATTEMPTS));
	}
	ck_assert_uint_eq(purge(ALL, INT64_MAX, 10), 1);
}
END_TEST

/* A host is gone, and with it who could tell what was on the wire. */
START_TEST(death_by_expiry)
{
	static const uint64_t owners[] = {A, B, C};

	(void)add("exp", 1000);
	for (int i = 0; i < 2; i++) {
		(void)lease(owners[i]);
		ck_assert_uint_eq(claim_all(owners[i]), 1);
		ck_assert_uint_eq(lease(owners[i + 1]).shards, 0);
		ck_assert_uint_eq(
		    lose(owners[i + 1], owners[i]).n_interrupted, 1);
		expect("exp", EVENT_PENDING, 0, 0);
	}
	ck_assert(lease(C).quarantined);
	ck_assert_uint_eq(claim_all(C), 0);
}
END_TEST

/* Into quarantine, from where it is listed behind others; or as a culprit. */
START_TEST(labels_follow_the_lost)
{
	struct store_record *record;
	int64_t row_id =
	    add_labelled("lost", 1000, "{\"labels\":{\"m\":\"1\"}}").row_id;
	const struct store_death death = {
	    .owner = 100, .culprit = row_id, .wire_known = true};

	(void)lease(100);
	ck_assert_uint_eq(claim_all(100), 1);
	(void)bury(
	    A, _i == 0 ? &death : &(const struct store_death){.owner = 100});
	if (_i == 1) {
		(void)lease_with(
		    (struct lease_request){.owner = A, .leaving = true});
		(void)lease(101);
		ck_assert_uint_eq(claim_all(101), 1);
		ck_assert(bury(A, &(const struct store_death){.owner = 101})
			      .quarantined);
	}
	record = find("lost");
	expect_listed("lost", "m=1", record->due_ms);
	store_record_free(record);
	if (_i == 1) {
		(void)add_labelled(
		    "later", 90000, "{\"labels\":{\"m\":\"1\"}}");
		ck_assert_str_eq(list_labelled("m=1"), "later lost");
		(void)change("lost", CHANGE_RUN, 5, 900);
		ck_assert_str_eq(list_labelled("m=1"), "later lost");
	}
}
END_TEST

/* Clients see nothing of it, and may delete it. */
START_TEST(quarantined_event_is_deleted)
{
	const struct event_key key = key_of("exp");
	enum cancel_outcome outcome;
	enum event_state state;

	(void)add("exp", 1000);
	for (uint64_t owner = 100; owner < 102; owner++) {
		(void)lease_after(owner, owner - 1);
		ck_assert_uint_eq(claim_all(owner), 1);
		(void)bury(A, &(const struct store_death){.owner = owner});
		(void)lease_with(
		    (struct lease_request){.owner = A, .leaving = true});
	}
	ck_assert(lease(A).quarantined);
	ok(store_cancel_event(store, &key, &outcome, &state, &err));
	ck_assert_int_eq(outcome, CANCEL_DELETED);
	ck_assert(!lease(A).quarantined);
	expect_gone("exp");
}
END_TEST

/* Who was not heard of for long, and then renews in time: the sign that was
 * seen tells. */
START_TEST(renewed_before_it_was_lost)
{
	struct store_sign sign;
	struct lease_reply b;

	(void)lease(A);
	sign = see(B, A);
	ck_assert(!lease(A).lapsed);
	b = lease_with(
	    (struct lease_request){.owner = B, .lost = &sign, .n_lost = 1});
	ck_assert_uint_eq(b.n_living, 2);
	ck_assert(!b.ended);
	ck_assert(!lease(A).lapsed);
	sign = see(B, A);
	b = lease_with(
	    (struct lease_request){.owner = B, .lost = &sign, .n_lost = 1});
	ck_assert_uint_eq(b.shards, ALL);
	ck_assert_uint_eq(b.n_living, 1);
	ck_assert(b.ended);
	ck_assert(!lease(B).ended);
	ck_assert(lease(A).lapsed);
}
END_TEST

/* On a server no renewal, unless there is something to do; a file has no other
 * call. */
START_TEST(looks)
{
	const struct lease_request look = {.owner = A, .look = true};
	bool renews = strcmp(store_kind(store), "sqlite") == 0;
	struct store_sign sign;
	struct lease_reply a;

	/* Not registered. */
	a = lease_with(look);
	ck_assert(a.renewed && a.lapsed);
	ck_assert_uint_eq(a.shards, ALL);
	(void)lease(A);
	sign = instances[0].sign;
	a = lease_with(look);
	ck_assert(a.renewed == renews && !a.lapsed);
	ck_assert((instances[0].sign.sign == sign.sign) == !renews);
	ck_assert_uint_eq(a.shards, ALL);
	ck_assert_uint_eq(a.n_living, 1);
	/* Another has come: half of them are to be set free. */
	(void)lease(B);
	a = lease_with(look);
	ck_assert(a.renewed);
	ck_assert_int_eq(__builtin_popcountll(a.shards), EVENT_SHARDS / 2);
	/* It is gone. */
	(void)lose(B, A);
	a = lease_with(look);
	ck_assert(a.renewed && a.lapsed);
}
END_TEST

/* Who has seen it before it was lost knows nothing of it afterwards. */
START_TEST(registered_anew)
{
	struct store_sign before;

	(void)lease(A);
	before = see(B, A);
	(void)lose(C, A);
	ck_assert(lease(A).lapsed);
	(void)lease_with(
	    (struct lease_request){.owner = B, .lost = &before, .n_lost = 1});
	ck_assert(!lease(A).lapsed);
}
END_TEST

/* What others go by. */
START_TEST(registration)
{
	struct store_sign first, second;
	char host[HOST_NAME_MAX + 1];
	int64_t wall_ms = clock_wall_ms();

	ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
	(void)lease_with((struct lease_request){.owner = A, .lease_ms = 7000});
	first = see(B, A);
	ck_assert_uint_eq(n_instances, 2);
	for (size_t i = 0; i < n_instances; i++) {
		ck_assert(instances[i].active);
		ck_assert_int_ge(instances[i].wall_ms, wall_ms);
		ck_assert_int_le(instances[i].wall_ms, clock_wall_ms());
		ck_assert_mem_eq(
		    instances[i].host, host, strnlen(host, STORE_HOST_MAX - 1));
		ck_assert_int_eq(instances[i].lease_ms,
		    instances[i].sign.owner == A ? 7000 : LEASE_MS);
	}
	(void)lease_with((struct lease_request){.owner = A, .alone = true});
	second = see(B, A);
	ck_assert_int_ne(first.sign, second.sign);
	for (size_t i = 0; i < n_instances; i++)
		ck_assert(
		    instances[i].active == (instances[i].sign.owner == B));
	ck_assert_int_eq(see(B, A).sign, second.sign);
}
END_TEST

/* Who only looks sees all of them, and what is nobody's. */
START_TEST(registrations)
{
	struct store_registration list[3];
	int64_t now_ms, wall_ms = clock_wall_ms();
	const struct store *of_a, *of_b;
	unsigned n_free;
	size_t n;

	ok(store_registrations(store, list, 3, &n, &n_free, &now_ms, &err));
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(n_free, EVENT_SHARDS);
	(void)lease_with((struct lease_request){.owner = A, .lease_ms = 7000});
	of_b = store;
	(void)lease(B);
	of_a = store;
	(void)lease_with((struct lease_request){.owner = A, .lease_ms = 7000});
	ok(store_registrations(store, list, 3, &n, &n_free, &now_ms, &err));
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(
	    n_free + list[0].n_shards + list[1].n_shards, EVENT_SHARDS);
	for (size_t i = 0; i < n; i++) {
		ck_assert(list[i].owner == A || list[i].owner == B);
		ck_assert_int_eq(
		    list[i].lease_ms, list[i].owner == A ? 7000 : LEASE_MS);
		ck_assert_int_eq(list[i].pid, getpid());
		ck_assert(list[i].active);
		ck_assert_int_ge(list[i].wall_ms, wall_ms);
		ck_assert_int_gt(list[i].started_ms, 0);
		ck_assert_int_le(list[i].started_ms, list[i].seen_ms);
		ck_assert_int_le(list[i].seen_ms, now_ms);
		ck_assert_str_eq(list[i].node,
		    store_where(list[i].owner == A ? of_a : of_b));
	}
	/* No more than there is room for. */
	ok(store_registrations(store, list, 1, &n, &n_free, &now_ms, &err));
	ck_assert_uint_eq(n, 1);
}
END_TEST

/* ---- leases ---- */

START_TEST(leases_are_shared_evenly)
{
	static const uint64_t owners[] = {A, B, C};
	uint64_t all;

	ck_assert_uint_eq(lease(A).shards, ALL);
	ck_assert_uint_eq(lease(A).n_living, 1);
	ck_assert_uint_eq(lease(B).shards, 0);
	ck_assert_int_eq(__builtin_popcountll(lease(A).shards), 32);
	ck_assert_int_eq(__builtin_popcountll(lease(B).shards), 32);

	for (unsigned n = 2; n <= 3; n++) {
		for (unsigned round = 0; round < 2; round++) {
			all = 0;
			for (unsigned i = 0; i < n; i++) {
				struct lease_reply turn = lease(owners[i]);

				ck_assert_uint_eq(all & turn.shards, 0);
				all |= turn.shards;
			}
		}
		ck_assert_uint_eq(all, ALL);
		for (unsigned i = 0; i < n; i++) {
			int held =
			    __builtin_popcountll(lease(owners[i]).shards);

			ck_assert_int_ge(held, (int)(EVENT_SHARDS / n));
			ck_assert_int_le(held, (int)(EVENT_SHARDS / n + 1));
			ck_assert_uint_eq(lease(owners[i]).n_living, n);
		}
	}
}
END_TEST

/* Who gives a shard up finishes what it has begun there. */
START_TEST(rows_outlive_the_lease_of_their_shard)
{
	enum { N = 64 };
	struct claim_reply turn;
	struct lease_reply a, b;

	add_many("outlive", N, 1000);
	(void)lease(A);
	turn = claim(A, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, N);
	(void)lease(B);
	a = lease(A);
	ck_assert_int_eq(__builtin_popcountll(a.dropped), 32);
	ck_assert_uint_eq(a.dropped, ALL ^ a.shards);
	b = lease(B);
	ck_assert_uint_eq(b.shards, a.dropped);
	ck_assert_uint_eq(b.n_interrupted, 0);
	ck_assert_uint_eq(claim_all(B), 0);
	complete_claims(A, &turn);
	free_claims(&turn);
}
END_TEST

/* By the first who knows of it: others may not know what it died of. */
START_TEST(rows_in_shards_of_others_are_put_back_after_a_death)
{
	enum { N = 64 };
	struct lease_reply b;

	add_many("orphan", N, 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), N);
	(void)lease(B);
	(void)lease(A);
	(void)lease(B);
	(void)lease(C);
	b = lease_after(B, A);
	ck_assert(b.buried);
	ck_assert_uint_eq(b.n_interrupted, N);
	b = lease_after(B, A);
	ck_assert(!b.buried);
	ck_assert_uint_eq(lease(C).n_interrupted, 0);
}
END_TEST

/* No call writes more than so many rows, whatever a death leaves. */
START_TEST(put_back_in_parts)
{
	enum { N = 600, PART = 512 };
	bool by_a_note = _i == 0;
	struct lease_reply b;

	add_many("x", 200, 1000);
	add_many("y", 200, 1000);
	add_many("z", 200, 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), N);
	b = by_a_note ? lease_after(B, A) : lose(B, A);
	ck_assert_uint_eq(b.shards, ALL);
	ck_assert(b.rest);
	ck_assert_uint_eq(b.n_interrupted, PART);
	/* Who does not know of the note leaves the rest to others. */
	if (by_a_note)
		ck_assert_uint_eq(see(C, A).owner, A);
	(void)lease_with((struct lease_request){.owner = C, .leaving = true});
	b = by_a_note ? lease_after(B, A) : lease(B);
	ck_assert(!b.rest);
	ck_assert_uint_eq(b.n_interrupted, N - PART);
	b = by_a_note ? lease_after(B, A) : lease(B);
	ck_assert(!b.buried);
	ck_assert_uint_eq(b.n_interrupted, 0);
	ck_assert_uint_eq(claim_all(B), N);
}
END_TEST

/* One that cannot be reached loses its leases, but not what it has begun. */
START_TEST(away)
{
	struct claim_reply turn;
	struct store_sign sign;
	struct lease_reply b;

	(void)add("away", 1000);
	(void)lease(A);
	turn = claim(A, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 1);
	sign = see(B, A);
	b = lease_with(
	    (struct lease_request){.owner = B, .away = &sign, .n_away = 1});
	ck_assert_uint_eq(b.n_interrupted, 0);
	ck_assert_uint_eq(b.n_living, 1);
	ck_assert_uint_eq(b.shards, ALL);
	ck_assert(b.ended);
	/* It shows life, to other hosts, too. */
	ck_assert_int_ne(see(C, A).sign, sign.sign);
	(void)lease_with((struct lease_request){.owner = C, .leaving = true});
	ck_assert_uint_eq(lease(B).n_interrupted, 0);
	/* Back again, it takes its share. */
	b = lease(A);
	ck_assert_uint_eq(b.n_living, 2);
	ck_assert(!b.lapsed);
	complete_claims(A, &turn);
	free_claims(&turn);
}
END_TEST

/* Who leaves lives until it has nothing left, but has no share. */
/* Whether others may have had what was claimed before a turn. */
START_TEST(lapse)
{
	struct store_sign sign;

	(void)add("a", 1000);
	ck_assert(lease(A).lapsed); /* was not there at all */
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert(!lease(A).lapsed);
	ck_assert(!lease(A).lapsed); /* the second on a connection is shorter */

	/* Another takes over, and leaves: all is as it was, but for the row. */
	(void)lease_after(B, A);
	(void)lease_with((struct lease_request){.owner = B, .leaving = true});
	ck_assert(lease(A).lapsed);
	ck_assert_uint_eq(lease(A).shards, ALL);
	ck_assert(!lease(A).lapsed);
	expect("a", EVENT_PENDING, 0, 0);

	/* Nobody heard of it for long. */
	(void)lose(B, A);
	ck_assert(lease(A).lapsed);
	ck_assert(!lease(B).lapsed);
	ck_assert(!lease(A).lapsed);
	(void)lease_with((struct lease_request){.owner = B, .leaving = true});

	/* Who puts in a word for it comes after one who has taken its rows. */
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	sign = see(B, A);
	(void)lease_with((struct lease_request){.owner = B, .leaving = true});
	ck_assert_uint_eq(lose(C, A).n_interrupted, 1);
	(void)lease_with(
	    (struct lease_request){.owner = B, .away = &sign, .n_away = 1});
	ck_assert(lease(A).lapsed);
}
END_TEST

START_TEST(leaving)
{
	struct lease_request request = {.owner = A,
	    .lease_ms = LEASE_MS,
	    .instances = instances,
	    .max_attempts = MAX_ATTEMPTS,
	    .leaving = true};
	struct lease_reply a, b;
	const int64_t known[] = {add("left", 1000)};

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	request.known = known;
	request.n_known = 1;
	ok(store_lease(store, &request, &a, &err));
	ck_assert_uint_eq(a.shards, 0);
	ck_assert_uint_eq(a.dropped, ALL);
	ck_assert_uint_eq(a.n_living, 0);
	b = lease(B);
	ck_assert_uint_eq(b.n_living, 1);
	ck_assert_uint_eq(b.shards, ALL);
	ck_assert_uint_eq(b.n_interrupted, 0);
	/* Not for ever if it forgets one. */
	request.n_known = 0;
	request.in_doubt = true;
	ok(store_lease(store, &request, &a, &err));
	ck_assert_uint_eq(a.n_strays, 1);
	ck_assert_uint_eq(lease(B).n_interrupted, 0);
	request.in_doubt = false;
	ok(store_lease(store, &request, &a, &err));
	ck_assert_uint_eq(lease(B).n_interrupted, 1);
}
END_TEST

/* One heir learns of the death, the others need not wait for the expiry. */
START_TEST(dead_owners_leases_are_free_for_all)
{
	(void)lease(A);
	(void)lease(B);
	(void)lease(C);
	ck_assert_int_eq(__builtin_popcountll(lease_after(B, A).shards), 32);
	ck_assert_int_eq(__builtin_popcountll(lease(C).shards), 32);
}
END_TEST

START_TEST(clock_offset_is_small)
{
	int64_t offset_ms = lease(A).clock_offset_ms;

	ck_assert_int_le(offset_ms, WAIT_MS);
	ck_assert_int_ge(offset_ms, -WAIT_MS);
}
END_TEST

static int
compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

START_TEST(strays)
{
	struct lease_reply turn;
	struct lease_request request = {.owner = A,
	    .lease_ms = LEASE_MS,
	    .instances = instances,
	    .max_attempts = MAX_ATTEMPTS,
	    .in_doubt = true};
	int64_t known[] = {
	    add("known1", 1000), add("known2", 1000), add("stray", 1000)};
	int64_t stray = known[2];

	request.known = known;
	request.n_known = 3;
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 3);
	qsort(known, 3, sizeof(known[0]), compare_ids);
	ok(store_lease(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_strays, 0);
	ck_assert_uint_eq(turn.n_interrupted, 0);
	for (int i = 0, n = 0; i < 3; i++)
		if (known[i] != stray)
			known[n++] = known[i];
	request.n_known = 2;
	ok(store_lease(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_strays, 1);
	ck_assert_int_eq(turn.strays[0], stray);
	ck_assert_uint_eq(give_one(A, stray, 0, RESULT_RELEASED, 0), 0);
	expect("stray", EVENT_PENDING, 0, 0);
	ok(store_lease(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_strays, 0);
}
END_TEST

/* Also in shards that others hold by now. */
START_TEST(many_strays_are_told_in_parts)
{
	const int n = STORE_STRAYS_MAX + 10;
	const struct lease_request doubt = {.owner = A, .in_doubt = true};
	struct lease_reply turn;

	add_many("stray", n, 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), (size_t)n);
	(void)lease(B);
	(void)lease(A);
	(void)lease(B);
	turn = lease_with(doubt);
	ck_assert_uint_eq(turn.n_strays, STORE_STRAYS_MAX);
	for (size_t i = 0; i < turn.n_strays; i++)
		ck_assert_uint_eq(
		    give_one(A, turn.strays[i], 0, RESULT_RELEASED, 0), 0);
	ck_assert_uint_eq(lease_with(doubt).n_strays, 10);
}
END_TEST

/* ---- history ---- */

START_TEST(purge_deletes_what_ended)
{
	int64_t done = add("done", 1), failed = add("failed", 1);

	(void)add("processing", 1);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 3);
	ck_assert_uint_eq(give_one(A, done, 1, RESULT_COMPLETED, 200), 0);
	ck_assert_uint_eq(give_one(A, failed, 1, RESULT_FAILED, 404), 0);
	(void)add("waiting", 1);

	ck_assert_uint_eq(purge(ALL, 5000, 100), 0); /* ended at 5000 */
	ck_assert_uint_eq(
	    purge(~(shard_bit("done") | shard_bit("failed")), 5001, 100), 0);
	ck_assert_uint_eq(purge(ALL, 5001, 100), 2);
	ck_assert_uint_eq(purge(ALL, 5001, 100), 0);
	expect_gone("done");
	expect_gone("failed");
	expect("processing", EVENT_PROCESSING, 1, 0);
	expect("waiting", EVENT_PENDING, 0, 0);
	(void)add("failed", 1);
	expect("failed", EVENT_PENDING, 0, 0);
}
END_TEST

START_TEST(purge_is_bounded)
{
	struct claim_reply turn;

	add_many("p", 50, 1000);
	(void)lease(A);
	turn = claim(A, ALL, CLAIMS_MAX, INT64_MAX);
	ck_assert_uint_eq(turn.n_claims, 50);
	complete_claims(A, &turn);
	free_claims(&turn);
	ck_assert_uint_eq(purge(ALL, INT64_MAX, 20), 20);
	ck_assert_uint_eq(purge(ALL, INT64_MAX, 20), 20);
	ck_assert_uint_eq(purge(ALL, INT64_MAX, 20), 10);
	ck_assert_uint_eq(purge(ALL, INT64_MAX, 20), 0);
}
END_TEST

/* ---- the store itself ---- */

START_TEST(check_and_ping)
{
	ok(store_check(store, false, &err));
	ok(store_check(store, true, &err));
	ok(store_ping(store, &err));
	ck_assert_int_eq(
	    strncmp(url, store_kind(store), strlen(store_kind(store))), 0);
	ck_assert_uint_gt(strlen(store_target(store)), 0);
}
END_TEST

/* ---- schedules ---- */

/* What it says beside its times is its name. */
static struct schedule_put
put(const char *name, const char *spec)
{
	struct event ev = event_of("", 0);
	struct schedule_put p = {.app = ev.app,
	    .name = slice_from_string(name),
	    .spec = slice_from_string(spec),
	    .event = &ev,
	    .shard = 11,
	    .max = 100,
	    .zones = zones};

	ev.body = p.name;
	ev.options = SLICE_LITERAL("{\"later\":1}");
	ok(store_put_schedule(store, &p, &err));
	return p;
}

static struct schedule_change
change_it(const char *name, enum schedule_verb verb)
{
	struct schedule_change change = {.app = SLICE_LITERAL("app"),
	    .name = slice_from_string(name),
	    .verb = verb,
	    .shard = 12,
	    .zones = zones};

	ok(store_change_schedule(store, &change, &err));
	return change;
}

/* A copy, without its texts; id is 0 where there is none. */
static struct store_schedule
schedule_named(const char *name)
{
	struct store_schedule *s, copy = {0};

	ok(store_find_schedule(
	    store, SLICE_LITERAL("app"), slice_from_string(name), &s, &err));
	if (s == NULL)
		return copy;
	ck_assert(slice_eq(s->name, slice_from_string(name)));
	ck_assert(slice_eq(s->event.body, s->name));
	ck_assert(slice_eq(s->event.headers, event_of("", 0).headers));
	copy = *s;
	store_schedule_free(s);
	return copy;
}

static const char *
run_id_of(const char *name, int64_t run_s)
{
	static char text[64];
	char time[RFC3339_TEXT];

	rfc3339_write(run_s * 1000, 0, time);
	(void)snprintf(text, sizeof(text), "%s@%s", name, time);
	return text;
}

/* When the run is due, or 0: there is none. */
static int64_t
run_due_ms(const char *name, int64_t run_s)
{
	struct store_record *record = find(run_id_of(name, run_s));
	int64_t due_ms = record == NULL ? 0 : record->due_ms;

	if (record != NULL)
		ck_assert_int_eq(record->event.expiry_ms, run_s * 1000);
	store_record_free(record);
	return due_ms;
}

/* All that is due at that time, by a worker that claims so long before. */
static struct claim_reply
claim_runs(int64_t now_ms, int64_t ahead_ms)
{
	const struct claim_request request = {.owner = A,
	    .shards = ALL,
	    .claim_max = CLAIMS_MAX,
	    .now_ms = now_ms,
	    .horizon_ms = now_ms + ahead_ms,
	    .claims = claims,
	    .zones = zones};
	struct claim_reply reply;

	ok(store_settle_and_claim(store, &request, &reply, &err));
	return reply;
}

/* The row of the run, which alone is claimed at its time. */
static int64_t
claim_run(const char *name, int64_t run_s, int64_t now_s)
{
	struct claim_reply turn = claim_runs(now_s * 1000, 0);
	int64_t row_id;

	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert(slice_eq(
	    claims[0]->event.id, slice_from_string(run_id_of(name, run_s))));
	ck_assert_int_eq(claims[0]->event.expiry_ms, run_s * 1000);
	row_id = claims[0]->row_id;
	free_claims(&turn);
	return row_id;
}

static void
claim_no_run(int64_t now_s)
{
	struct claim_reply turn = claim_runs(now_s * 1000, 0);

	ck_assert_uint_eq(turn.n_claims, 0);
}

/* A period of ten seconds, at least, from a time that has no other. */
#define EVERY_10S "{\"every\": \"10s\"}"

START_TEST(schedule_is_made_and_replaced)
{
	int64_t now_ms = clock_wall_ms(), first_s;
	struct schedule_put p = put("s", EVERY_10S);
	struct store_schedule s = schedule_named("s"), later;

	ck_assert_int_eq(p.outcome, SCHEDULE_MADE);
	first_s = p.due_ms / 1000;
	ck_assert_int_ge(first_s, now_ms / 1000 + 10);
	ck_assert_int_eq(s.next_s, first_s);
	ck_assert_int_eq(s.since_s, first_s - 10);
	ck_assert_int_eq(s.runs + s.skipped + s.last_s + s.paused, 0);
	ck_assert_int_eq(run_due_ms("s", first_s), p.due_ms);

	ck_assert_int_eq(put("s", EVERY_10S).outcome, SCHEDULE_SAME);
	ck_assert_int_eq(schedule_named("s").id, s.id);

	p = put("s", "{\"every\": \"20s\"}");
	ck_assert_int_eq(p.outcome, SCHEDULE_REPLACED);
	later = schedule_named("s");
	ck_assert_int_ne(later.id, s.id);
	ck_assert_int_eq(later.created_ms, s.created_ms);
	ck_assert_int_eq(later.next_s * 1000, p.due_ms);
	ck_assert_int_eq(run_due_ms("s", first_s), 0);
	ck_assert_int_eq(run_due_ms("s", later.next_s), p.due_ms);
	ck_assert_int_eq(schedule_named("t").id, 0);
}
END_TEST

START_TEST(schedule_goes_on)
{
	struct claim_reply turn;
	int64_t t, row_id;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms / 1000;
	turn = claim_runs(t * 1000 - 1, 0);
	ck_assert_uint_eq(turn.n_claims, 0);
	ck_assert_int_eq(turn.next_due_ms, t * 1000);
	for (int i = 0; i < 3; i++, t += 10) {
		turn = claim_runs(t * 1000, 0);
		ck_assert_uint_eq(turn.n_claims, 1);
		ck_assert(slice_eq(claims[0]->event.body, SLICE_LITERAL("s")));
		ck_assert_int_eq(turn.next_due_ms, (t + 10) * 1000);
		row_id = claims[0]->row_id;
		free_claims(&turn);
		ck_assert_int_eq(schedule_named("s").next_s, t + 10);
		ck_assert_int_eq(schedule_named("s").last_s, t);
		ck_assert_int_eq(schedule_named("s").runs, i + 1);
		(void)give_one(A, row_id, 1, RESULT_COMPLETED, 200);
	}
}
END_TEST

/* What is due soon stays with who looks; what is due later goes anywhere. */
START_TEST(schedule_is_spread)
{
	enum { RUNS = 40 };
	int64_t t = put("s", "{\"every\": \"10s\", \"overlap\": \"allow\"}").due_ms;
	struct claim_request request = {.owner = A,
	    .shards = ALL,
	    .claim_max = 1,
	    .claims = claims,
	    .zones = zones};
	struct claim_reply turn;
	unsigned n_elsewhere = 0;

	(void)lease(A);
	for (int i = 0; i < 2 * RUNS; i++, t += 10000) {
		request.now_ms = request.horizon_ms = t;
		request.soon_ms = t + 10000 + (i < RUNS);
		ok(store_settle_and_claim(store, &request, &turn, &err));
		ck_assert_uint_eq(turn.n_claims, 1);
		if (i <= RUNS)
			ck_assert_uint_eq(claims[0]->shard, 11);
		n_elsewhere += claims[0]->shard != 11;
		free_claims(&turn);
	}
	ck_assert_uint_gt(n_elsewhere, RUNS / 2);
}
END_TEST

/* Each run has a key of its own, which the schedule has not. */
START_TEST(schedule_draws_keys)
{
	struct event ev = event_of("", 0);
	struct schedule_put p = {.app = ev.app,
	    .name = SLICE_LITERAL("s"),
	    .spec = SLICE_LITERAL(EVERY_10S),
	    .event = &ev,
	    .max = 1,
	    .zones = zones};
	char first[EVENT_ACK_KEY_LEN] = "";
	struct event_options options;

	ev.options = SLICE_LITERAL(
	    "{\"ack-key\":\"00000000000000000000000000000000\","
	    "\"complete-by-ms\":5}");
	(void)lease(A);
	ok(store_put_schedule(store, &p, &err));
	for (int64_t t = p.due_ms; t <= p.due_ms + 10000; t += 10000) {
		struct claim_reply turn = claim_runs(t, 0);

		ck_assert_uint_eq(turn.n_claims, 1);
		ck_assert_int_eq(event_options_parse(claims[0]->event.options,
				     &options, NULL),
		    0);
		ck_assert_uint_eq(options.ack_key.len, sizeof(first));
		ck_assert_int_ne(
		    memcmp(options.ack_key.p, first, sizeof(first)), 0);
		memcpy(first, options.ack_key.p, sizeof(first));
		(void)give_one(
		    A, claims[0]->row_id, 1, RESULT_COMPLETED, 200);
		free_claims(&turn);
	}
	ok(store_put_schedule(store, &p, &err));
	ck_assert_int_eq(p.outcome, SCHEDULE_SAME);
}
END_TEST

/* What was claimed and given back was begun: it adds nothing, and goes with its
 * schedule. */
START_TEST(schedule_run_is_given_back)
{
	int64_t t, row_id;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms / 1000;
	for (int i = 0; i < 2; i++) {
		row_id = claim_run("s", t, t);
		(void)give_one(A, row_id, 1, RESULT_RELEASED, 0);
		ck_assert_int_eq(schedule_named("s").runs, 1);
		ck_assert_int_eq(schedule_named("s").next_s, t + 10);
	}
	ck_assert_int_eq(
	    change_it("s", SCHEDULE_DELETE).outcome, SCHEDULE_MADE);
	ck_assert_int_ne(run_due_ms("s", t), 0);
	ck_assert_int_eq(run_due_ms("s", t + 10), 0);
	/* It was begun. */
	(void)claim_run("s", t, t);
}
END_TEST

/* A retry is one, whatever became of the schedule. */
START_TEST(schedule_run_is_retried)
{
	int64_t t, row_id;
	struct claim_reply turn;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms / 1000;
	row_id = claim_run("s", t, t);
	(void)give_one(A, row_id, 1, RESULT_RETRY, 503);
	(void)change_it("s", SCHEDULE_DELETE);
	turn = claim_runs(INT64_C(1) << 47, 0);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->attempt, 2);
	free_claims(&turn);
}
END_TEST

/* Whether the one before has ended is known at the time, not before. */
START_TEST(schedule_run_is_not_claimed_ahead)
{
	struct claim_reply turn;
	int64_t t;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms;
	turn = claim_runs(t - 300, 1000);
	ck_assert_uint_eq(turn.n_claims, 0);
	ck_assert(!turn.more);
	ck_assert_int_eq(turn.next_due_ms, t + 500);
	(void)change_it("s", SCHEDULE_DELETE);
	t = put("s", "{\"every\": \"10s\", \"overlap\": \"allow\"}").due_ms;
	turn = claim_runs(t - 300, 1000);
	ck_assert_uint_eq(turn.n_claims, 1);
	free_claims(&turn);
}
END_TEST

/* More of a moment than a claim looks at: until then they are looked at once,
 * and what is due before them is found. */
START_TEST(many_schedules_are_not_claimed_ahead)
{
	enum { N = 7, MAX = 4, AHEAD_MS = 1000 };
	bool is_file = strcmp(store_kind(store), "sqlite") == 0;
	struct claim_request request = {.owner = A,
	    .shards = ALL,
	    .claim_max = MAX,
	    .claims = claims,
	    .zones = zones};
	char name[16];
	int64_t t = (clock_wall_ms() / 10000 + 2) * 10000;
	char spec[100], start[RFC3339_TEXT];
	struct claim_reply turn;

	(void)lease(A);
	rfc3339_write(t, 0, start);
	(void)snprintf(spec, sizeof(spec),
	    "{\"every\": \"10s\", \"start\": \"%s\"}", start);
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		ck_assert_int_eq(put(name, spec).due_ms, t);
	}
	request.now_ms = t - AHEAD_MS;
	request.horizon_ms = t;
	for (int backlog = 0; backlog < 2; backlog++) {
		request.backlog = backlog == 1;
		ok(store_settle_and_claim(store, &request, &turn, &err));
		ck_assert_uint_eq(turn.n_claims, 0);
		ck_assert(!turn.more);
		/* Of what it sees uncommitted it looks again. */
		ck_assert_int_eq(turn.next_due_ms,
		    backlog == 1 && !is_file ? t + 20 : t + AHEAD_MS / 2);
	}
	request.backlog = false;
	(void)add("plain", t - 1);
	ok(store_settle_and_claim(store, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert(turn.more);
	free_claims(&turn);
	request.now_ms = t;
	request.horizon_ms = t + AHEAD_MS;
	for (size_t n = 0; n < N; n += turn.n_claims) {
		ok(store_settle_and_claim(store, &request, &turn, &err));
		ck_assert_uint_gt(turn.n_claims, 0);
		ck_assert(turn.more == (n + turn.n_claims < N));
		free_claims(&turn);
	}
}
END_TEST

START_TEST(schedule_skips)
{
	int64_t t, row_id;
	struct claim_reply turn;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms / 1000;
	row_id = claim_run("s", t, t);
	claim_no_run(t + 10);
	ck_assert_int_eq(run_due_ms("s", t + 10), 0);
	ck_assert_int_eq(schedule_named("s").skipped, 1);
	/* It is the next time from now on. */
	claim_no_run(t + 45); /* t + 40 is wanted, and is left out, too */
	claim_no_run(t + 45);
	ck_assert_int_eq(schedule_named("s").skipped, 2);
	ck_assert_int_eq(schedule_named("s").next_s, t + 50);
	/* One that waits for a retry is under way. */
	(void)give_one(A, row_id, 1, RESULT_RETRY, 503);
	ck_assert_int_eq(schedule_named("s").runs, 1);
	turn = claim_runs((t + 50) * 1000, 0);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert_uint_eq(claims[0]->attempt, 2);
	free_claims(&turn);
	(void)give_one(A, row_id, 2, RESULT_COMPLETED, 200);
	(void)claim_run("s", t + 60, t + 60);
	ck_assert_int_eq(schedule_named("s").runs, 2);
}
END_TEST

START_TEST(schedule_queues)
{
	int64_t t, row_id;

	(void)lease(A);
	t = put("s", "{\"every\": \"10s\", \"overlap\": \"queue\","
		     " \"catch-up\": \"all\"}")
		.due_ms /
	    1000;
	row_id = claim_run("s", t, t);
	claim_no_run(t + 10);
	ck_assert_int_gt(run_due_ms("s", t + 10), (t + 10) * 1000);
	ck_assert_int_le(run_due_ms("s", t + 10), (t + 20) * 1000);
	claim_no_run(t + 1000);
	ck_assert_int_eq(run_due_ms("s", t + 10), (t + 1060) * 1000);
	ck_assert_int_eq(schedule_named("s").next_s, t + 10);
	(void)give_one(A, row_id, 1, RESULT_FAILED, 404);
	row_id = claim_run("s", t + 10, t + 1060);
	(void)give_one(A, row_id, 1, RESULT_COMPLETED, 200);
	(void)claim_run("s", t + 20, t + 1060);
	ck_assert_int_eq(schedule_named("s").runs, 3);
}
END_TEST

/* What was missed is made up for one after the other, then the rest is skipped.
 */
START_TEST(schedule_skips_nothing_missed)
{
	int64_t t, row_id;

	(void)lease(A);
	t = put("s", "{\"every\": \"10s\", \"catch-up\": \"all\"}").due_ms /
	    1000;
	row_id = claim_run("s", t, t + 15);
	claim_no_run(t + 25);
	ck_assert_int_eq(schedule_named("s").next_s, t + 10);
	(void)give_one(A, row_id, 1, RESULT_COMPLETED, 200);
	(void)claim_run("s", t + 10, t + 95);
	claim_no_run(t + 25);
	ck_assert_int_eq(schedule_named("s").skipped, 1);
	ck_assert_int_eq(schedule_named("s").next_s, t + 30);
}
END_TEST

START_TEST(schedule_allows)
{
	int64_t t;

	(void)lease(A);
	t = put("s", "{\"every\": \"10s\", \"overlap\": \"allow\"}").due_ms /
	    1000;
	for (int i = 0; i < 3; i++)
		(void)claim_run("s", t + 10 * i, t + 10 * i);
	ck_assert_int_eq(schedule_named("s").runs, 3);
}
END_TEST

/* The run that waits when nothing was claimed for 95 seconds, and the one after
 * that; -1: none is claimed. */
static const struct {
	const char *catch_up;
	int first, second;
} caught_up[] = {
    {"\"last\"", 90, 100},
    {"\"last\", \"window\": \"4s\"", -1, 100},
    {"\"none\"", 90, 100},
    {"\"all\"", 0, 10},
    {"\"all\", \"window\": \"20s\"", 80, 90},
};

START_TEST(schedule_catches_up)
{
	char spec[200];
	int64_t t;

	(void)snprintf(spec, sizeof(spec),
	    "{\"every\": \"10s\", \"overlap\": \"allow\","
	    " \"catch-up\": %s}",
	    caught_up[_i].catch_up);
	(void)lease(A);
	t = put("s", spec).due_ms / 1000;
	/* The one that is wanted is added, and comes with the next claim. */
	if (caught_up[_i].first != 0)
		claim_no_run(t + 95);
	if (caught_up[_i].first != -1)
		(void)claim_run("s", t + caught_up[_i].first, t + 95);
	ck_assert_int_eq(schedule_named("s").next_s, t + caught_up[_i].second);
	ck_assert_int_eq(schedule_named("s").runs, caught_up[_i].first != -1);
}
END_TEST

START_TEST(schedule_is_paused)
{
	int64_t t;
	struct schedule_change change;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms / 1000;
	ck_assert_int_eq(change_it("s", SCHEDULE_PAUSE).outcome, SCHEDULE_MADE);
	ck_assert_int_eq(change_it("s", SCHEDULE_PAUSE).outcome, SCHEDULE_SAME);
	ck_assert(schedule_named("s").paused);
	ck_assert_int_eq(schedule_named("s").next_s, 0);
	ck_assert_int_eq(run_due_ms("s", t), 0);
	claim_no_run(t + 1000);
	/* Another content leaves it paused. */
	ck_assert_int_eq(
	    put("s", "{\"every\": \"30s\"}").outcome, SCHEDULE_REPLACED);
	ck_assert(schedule_named("s").paused);
	change = change_it("s", SCHEDULE_RESUME);
	ck_assert_int_eq(change.outcome, SCHEDULE_MADE);
	ck_assert_int_eq(schedule_named("s").next_s * 1000, change.due_ms);
	ck_assert(!schedule_named("s").paused);
	ck_assert_int_eq(
	    change_it("s", SCHEDULE_RESUME).outcome, SCHEDULE_SAME);
	(void)claim_run("s", change.due_ms / 1000, change.due_ms / 1000);
}
END_TEST

START_TEST(schedule_ends)
{
	int64_t t, row_id;

	(void)lease(A);
	t = put("s", "{\"every\": \"10s\", \"count\": 2}").due_ms / 1000;
	for (int i = 0; i < 2; i++) {
		row_id = claim_run("s", t + 10 * i, t + 10 * i);
		(void)give_one(A, row_id, 1, RESULT_COMPLETED, 200);
	}
	ck_assert_int_eq(schedule_named("s").next_s, 0);
	claim_no_run(t + 1000);
	/* Nothing begins it anew but another content. */
	(void)change_it("s", SCHEDULE_PAUSE);
	ck_assert_int_eq(change_it("s", SCHEDULE_RESUME).due_ms, INT64_MAX);
	ck_assert_int_eq(put("s", EVERY_10S).outcome, SCHEDULE_REPLACED);
	ck_assert_int_ne(schedule_named("s").next_s, 0);
}
END_TEST

START_TEST(schedule_is_run_now)
{
	int64_t now_ms = clock_wall_ms(), next_s;
	struct schedule_change change;
	struct claim_reply turn;

	(void)lease(A);
	next_s = put("s", EVERY_10S).due_ms / 1000;
	change = change_it("s", SCHEDULE_RUN);
	ck_assert_int_eq(change.outcome, SCHEDULE_MADE);
	ck_assert_int_ge(change.due_ms, now_ms);
	turn = claim_runs(change.due_ms, 0);
	ck_assert_uint_eq(turn.n_claims, 1);
	ck_assert(
	    slice_eq(claims[0]->event.id, slice_from_string(change.run_id)));
	ck_assert(
	    slice_eq(claims[0]->event.options, SLICE_LITERAL("{\"later\":1}")));
	free_claims(&turn);
	ck_assert_int_eq(schedule_named("s").next_s, next_s);
	ck_assert_int_eq(schedule_named("s").runs, 0);
	ck_assert_int_eq(
	    change_it("t", SCHEDULE_RUN).outcome, SCHEDULE_UNKNOWN);
}
END_TEST

/* An id that is there already is no run of it: that time is left out. */
START_TEST(schedule_meets_an_event)
{
	int64_t t;

	(void)lease(A);
	t = put("s", "{\"every\": \"10s\", \"overlap\": \"allow\"}").due_ms /
	    1000;
	(void)add(run_id_of("s", t + 10), (t + 1000) * 1000);
	(void)claim_run("s", t, t);
	ck_assert_int_eq(schedule_named("s").next_s, t + 20);
	(void)claim_run("s", t + 20, t + 20);
}
END_TEST

START_TEST(schedule_of_a_zone)
{
	int64_t at_ms;
	struct schedule_put p =
	    put("s", "{\"cron\": \"0 9 1 1 *\", \"time-zone\": \"Asia/Tokyo\","
		     " \"start\": \"2090-01-01T00:00:00Z\"}");

	(void)lease(A);
	ck_assert_int_eq(
	    rfc3339_parse(SLICE_LITERAL("2090-01-01T00:00:00Z"), &at_ms), 0);
	ck_assert_int_eq(p.due_ms, at_ms);
	(void)claim_run("s", at_ms / 1000, at_ms / 1000);
	ck_assert_int_eq(
	    schedule_named("s").next_s, at_ms / 1000 + INT64_C(365) * 86400);
}
END_TEST

/* As long as its zone is not there it waits. */
START_TEST(schedule_waits_for_its_zone)
{
	int64_t t = put("s", "{\"cron\": \"* * * * *\"}").due_ms / 1000;
	struct zones *kept = zones;

	(void)lease(A);
	zones = NULL;
	claim_no_run(t);
	zones = kept;
	ck_assert_int_eq(run_due_ms("s", t), (t + 60) * 1000);
	claim_no_run(t + 60);
	(void)claim_run("s", t + 60, t + 60);
}
END_TEST

START_TEST(schedule_jitter)
{
	struct schedule_put p =
	    put("s", "{\"every\": \"10s\", \"jitter\": \"1h\"}");
	int64_t t = schedule_named("s").next_s;

	(void)lease(A);
	ck_assert_int_ge(p.due_ms, t * 1000);
	ck_assert_int_le(p.due_ms, (t + 3600) * 1000);
	ck_assert_int_eq(run_due_ms("s", t), p.due_ms);
	/* What comes late by its jitter is on time. */
	(void)claim_run("s", t, p.due_ms / 1000 + 1);
	ck_assert_int_eq(schedule_named("s").next_s, t + 10);
}
END_TEST

/* Whoever deleted the run that waits. */
START_TEST(schedule_is_mended)
{
	struct schedule_mend mend = {.shard = 5, .zones = zones};
	enum cancel_outcome outcome;
	enum event_state state;
	struct event_key key;
	int64_t t, row;

	(void)lease(A);
	t = put("s", EVERY_10S).due_ms / 1000;
	(void)put("kept", EVERY_10S);
	row = schedule_named("s").next_row;
	key = key_of(run_id_of("s", t));
	ok(store_cancel_event(store, &key, &outcome, &state, &err));
	ck_assert_int_eq(outcome, CANCEL_DELETED);
	mend.now_ms = (t + 60) * 1000;
	ok(store_mend_schedules(store, &mend, &err));
	ck_assert_int_eq(schedule_named("s").next_row, row);
	row = schedule_named("kept").next_row;
	mend.now_ms = (t + 75) * 1000;
	ok(store_mend_schedules(store, &mend, &err));
	ck_assert_int_eq(schedule_named("s").next_s, t + 70);
	ck_assert_int_eq(run_due_ms("s", t + 70), (t + 70) * 1000);
	/* One that is late for other reasons is there. */
	ck_assert_int_eq(schedule_named("kept").next_row, row);
}
END_TEST

static void
delete_run(const char *name)
{
	struct event_key key =
	    key_of(run_id_of(name, schedule_named(name).next_s));
	enum cancel_outcome outcome;
	enum event_state state;

	ok(store_cancel_event(store, &key, &outcome, &state, &err));
	ck_assert_int_eq(outcome, CANCEL_DELETED);
}

/* More than are looked at at a time, and none of these can be mended. */
START_TEST(many_schedules_are_mended)
{
	enum { N = 33 };
	struct schedule_mend mend = {0};
	char name[16];
	int64_t t = 0;

	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		(void)put(name, "{\"cron\": \"* * * * *\"}");
		delete_run(name);
	}
	(void)put("s", "{\"every\": \"1h\"}");
	delete_run("s");
	t = schedule_named("s").next_s;
	mend.now_ms = (t + 75) * 1000;
	ok(store_mend_schedules(store, &mend, &err));
	ck_assert(mend.rest);
	ck_assert_int_eq(run_due_ms("s", t), 0);
	ok(store_mend_schedules(store, &mend, &err));
	ck_assert(!mend.rest);
	ck_assert_int_eq(run_due_ms("s", t), t * 1000);
	mend.zones = zones;
	for (int i = 0; i < 2; i++) {
		ok(store_mend_schedules(store, &mend, &err));
		ck_assert(mend.rest == (i == 0));
	}
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		ck_assert_int_ne(
		    run_due_ms(name, schedule_named(name).next_s), 0);
	}
}
END_TEST

static bool
note_name(void *arg, struct store_schedule *s)
{
	char *names = arg;

	ck_assert_uint_eq(s->event.body.len, 0);
	(void)snprintf(names + strlen(names), 64 - strlen(names), "%.*s ",
	    (int)s->name.len, s->name.p);
	store_schedule_free(s);
	return true;
}

START_TEST(schedules_are_listed)
{
	static const struct {
		const char *after;
		size_t max;
		const char *names;
	} cases[] = {
	    {"", 10, "B a a1 \xc3\xa4 "},
	    {"", 2, "B a "},
	    {"a", 2, "a1 \xc3\xa4 "},
	    {"a0", 9, "a1 \xc3\xa4 "},
	    {"\xff", 9, ""},
	};

	(void)put("a1", EVERY_10S);
	(void)put("\xc3\xa4", EVERY_10S);
	(void)put("a", EVERY_10S);
	(void)put("B", EVERY_10S);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char names[64] = "";
		const struct schedule_list list = {.app = SLICE_LITERAL("app"),
		    .after = slice_from_string(cases[i].after),
		    .max = cases[i].max,
		    .take = note_name,
		    .arg = names};

		ok(store_list_schedules(store, &list, &err));
		ck_assert_str_eq(names, cases[i].names);
	}
}
END_TEST

START_TEST(schedules_are_bounded)
{
	struct event ev = event_of("", 0);
	struct schedule_put p = {.app = ev.app,
	    .name = SLICE_LITERAL("new"),
	    .spec = SLICE_LITERAL(EVERY_10S),
	    .event = &ev,
	    .max = 2,
	    .zones = zones};

	(void)put("a", EVERY_10S);
	(void)put("b", EVERY_10S);
	ok(store_put_schedule(store, &p, &err));
	ck_assert_int_eq(p.outcome, SCHEDULE_TOO_MANY);
	ck_assert_int_eq(p.due_ms, INT64_MAX);
	ck_assert_int_eq(schedule_named("new").id, 0);
	p.name = SLICE_LITERAL("a");
	ok(store_put_schedule(store, &p, &err));
	ck_assert_int_eq(p.outcome, SCHEDULE_REPLACED);
	ok(store_put_schedule(store, &p, &err));
	ck_assert_int_eq(p.outcome, SCHEDULE_SAME);
	(void)change_it("b", SCHEDULE_DELETE);
	p.name = SLICE_LITERAL("new");
	ok(store_put_schedule(store, &p, &err));
	ck_assert_int_eq(p.outcome, SCHEDULE_MADE);
}
END_TEST

/* More than a transaction begins. */
START_TEST(many_schedules)
{
	enum { N = 70, FIRST = 64 };
	char name[16];
	int64_t last_ms = 0;
	struct claim_reply turn;

	(void)lease(A);
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		last_ms = put(name, EVERY_10S).due_ms;
	}
	turn = claim_runs(last_ms, 0);
	ck_assert_uint_eq(turn.n_claims, FIRST);
	ck_assert(turn.more);
	free_claims(&turn);
	turn = claim_runs(last_ms, 0);
	ck_assert_uint_eq(turn.n_claims, N - FIRST);
	free_claims(&turn);
}
END_TEST

START_TEST(bad_urls)
{
	static const char *const urls[] = {"", "cassata.db", "sqlite",
	    "sqlite:", "sqlitex:a", "postgres://u:secret@h/d"};
	const struct store_params params = {.url = urls[_i]};
	struct store *s;

	ck_assert_int_eq(store_open(&params, &s, &err), -1);
	ck_assert_ptr_null(s);
	ck_assert_uint_gt(strlen(err.text), 0);
	ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

/* Shared by the processes of the next case. */
struct tally {
	atomic_uint claimed;
	atomic_uint claims_of[256];
};

/* A worker: leases, claims a few, ends them, until all is claimed. */
static void
work(uint64_t owner, unsigned n_events, struct write_lock *lock,
    struct tally *tally)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;

	open_stores(lock);
	while (atomic_load(&tally->claimed) < n_events) {
		struct claim_reply turn;

		ck_assert_int_lt(clock_mono_ms(), until_ms);
		(void)lease(owner);
		turn = claim(owner, ALL, 7, INT64_MAX);
		for (size_t i = 0; i < turn.n_claims; i++) {
			int64_t n = claims[i]->due_ms;

			(void)atomic_fetch_add(&tally->claims_of[n], 1);
			(void)atomic_fetch_add(&tally->claimed, 1);
		}
		complete_claims(owner, &turn);
		free_claims(&turn);
	}
	close_stores();
}

START_TEST(two_processes_claim_everything_once)
{
	enum { N = 250 };
	static const uint64_t owners[] = {A, B};
	struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct write_lock lock;
	pid_t pids[2];
	char id[32];
	int wait_status;

	ck_assert_ptr_ne(tally, MAP_FAILED);
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "n%d", i);
		(void)add(id, i);
	}
	close_stores(); /* no connection is carried across fork */
	/* One could poll a slow disk's lock for longer than its time-out. */
	ck_assert_int_eq(write_lock_open(&lock, -1), 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		ck_assert_int_ne(pids[i], -1);
		if (pids[i] == 0) {
			work(owners[i], N, &lock, tally);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(waitpid(pids[i], &wait_status, 0), pids[i]);
		ck_assert_int_eq(wait_status, 0);
	}
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(atomic_load(&tally->claims_of[i]), 1);
	(void)munmap(tally, sizeof(*tally));
	write_lock_close(&lock);
	open_stores(NULL);
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "n%d", i);
		expect(id, EVENT_COMPLETED, 1, 0);
	}
}
END_TEST

/* ---- SQLite ---- */

static void
sqlite_run(sqlite3 *db, const char *sql)
{
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK,
	    "%s", sqlite3_errmsg(db));
}

static sqlite3 *
sqlite_file(const char *name)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path_of(name), &db), SQLITE_OK);
	return db;
}

static void
expect_broken(const char *sqlite_url, const char *part)
{
	struct store *s = open_url(sqlite_url, 100, NULL);

	ck_assert_int_eq(store_check(s, true, &err), STORE_BROKEN);
	ck_assert_msg(strstr(err.text, state_dir) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
	store_close(&s);
}

START_TEST(sqlite_file_mode)
{
	static const mode_t masks[] = {0, 022, 0777};
	struct store *s;
	struct stat st;

	empty_dir();
	(void)umask(masks[_i]);
	s = open_url("sqlite:mode.db", 1000, NULL);
	ok(store_check(s, false, &err));
	ck_assert_int_eq(stat(path_of("mode.db"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(path_of("mode.db-wal"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	store_close(&s);
}
END_TEST

START_TEST(sqlite_bad_paths)
{
	FILE *f;

	empty_dir();
	expect_broken("sqlite:none/x.db", "no such directory");
	f = fopen(path_of("text"), "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 100; i++)
		(void)fputs("this is no database\n", f);
	(void)fclose(f);
	expect_broken("sqlite:text", "not a database");
	expect_broken("sqlite:" SQL_DATA_DIR "/text/x.db", "Not a directory");
	expect_broken("sqlite:.", "Is a directory");
}
END_TEST

START_TEST(sqlite_read_only)
{
	sqlite3 *db;

	empty_dir();
	db = sqlite_file("ro.db");
	sqlite_run(db, "CREATE TABLE x (y)");
	(void)sqlite3_close(db);
	ck_assert_int_eq(chmod(path_of("ro.db"), 0400), 0);
	/* Root may write all the same. */
	expect_broken(
	    "sqlite:ro.db", geteuid() == 0 ? "another program" : "no right");
}
END_TEST

START_TEST(sqlite_other_schema)
{
	struct store *s = open_url("sqlite:v.db", 1000, NULL);
	sqlite3 *db;

	empty_dir();
	ok(store_check(s, true, &err));
	store_close(&s);
	db = sqlite_file("v.db");
	sqlite_run(db, "UPDATE meta SET value = 99");
	(void)sqlite3_close(db);
	expect_broken("sqlite:v.db", "schema version 99");
}
END_TEST

START_TEST(sqlite_without_schema)
{
	struct store *s = open_url("sqlite:s.db", 1000, NULL);
	const struct event_key key = key_of("x");
	struct store_record *record;

	empty_dir();
	ok(store_ping(s, &err));
	ck_assert_int_eq(store_find_event(s, &key, FIND_STATUS, &record, &err),
	    STORE_BROKEN);
	ck_assert_ptr_nonnull(strstr(err.text, "no such table"));
	ok(store_check(s, false, &err));
	ok(store_find_event(s, &key, FIND_STATUS, &record, &err));
	ck_assert_ptr_null(record);
	store_close(&s);
}
END_TEST

static int64_t held_ms;

static int64_t
held_clock(void)
{
	return held_ms;
}

START_TEST(sqlite_busy)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	struct write_lock lock;
	struct store *s;
	sqlite3 *db;
	enum cancel_outcome outcome;
	enum event_state state;
	const struct event_key key = key_of("x");

	empty_dir();
	ck_assert_int_eq(write_lock_open(&lock, -1), 0);
	s = open_url("sqlite:b.db", 1, &lock);
	ok(store_check(s, true, &err));
	db = sqlite_file("b.db");
	sqlite_run(db, "BEGIN IMMEDIATE");
	held_ms = clock_mono_ms();
	ck_assert_int_eq(store_cancel_event(s, &key, &outcome, &state, &err),
	    STORE_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.text, "locked"));
	/* The lock was given back. */
	ck_assert_int_eq(write_lock_acquire(&lock, 0), 0);
	write_lock_release(&lock);

	/* A pause, with the reason, then it works again. */
	sqlite_run(db, "ROLLBACK");
	clock_mono_replace(held_clock);
	ck_assert_int_eq(store_cancel_event(s, &key, &outcome, &state, &err),
	    STORE_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.text, "locked"));
	clock_mono_replace(NULL);
	while (store_cancel_event(s, &key, &outcome, &state, &err) != STORE_OK)
		ck_assert_int_lt(clock_mono_ms(), until_ms);
	(void)sqlite3_close(db);

	write_lock_close(&lock);
	store_close(&s);
}
END_TEST

/* Another process that keeps the turn keeps nobody from writing. */
START_TEST(sqlite_turn_kept)
{
	const struct event_key key = key_of("x");
	enum cancel_outcome outcome;
	enum event_state state;
	struct write_lock lock;
	struct store *s;
	int fds[2];
	char byte;
	pid_t pid;

	empty_dir();
	ck_assert_int_eq(write_lock_open(&lock, -1), 0);
	s = open_url("sqlite:k.db", 100, &lock);
	ok(store_check(s, true, &err));
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (write_lock_acquire(&lock, 0) == -1 ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	for (int i = 0; i < 3; i++) {
		ok(store_cancel_event(s, &key, &outcome, &state, &err));
		ck_assert_int_eq(outcome, CANCEL_UNKNOWN);
	}
	ck_assert_int_lt(lock.patience_ms, 100);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ok(store_cancel_event(s, &key, &outcome, &state, &err));
	ck_assert_int_eq(lock.patience_ms, INT64_MAX);
	close(fds[0]);
	close(fds[1]);
	write_lock_close(&lock);
	store_close(&s);
}
END_TEST

/* A failure in the middle of a transaction leaves nothing behind. */
START_TEST(sqlite_rollback)
{
	const struct event good = event_of("good", 1000);
	const struct event bad = event_of("bad", 1000);
	struct store_add list[] = {add_of(&good), add_of(&bad)};
	struct store_add *adds[] = {&list[0], &list[1]};
	struct write_lock lock;
	struct store_record *record;
	struct store *s;
	sqlite3 *db;

	empty_dir();
	ck_assert_int_eq(write_lock_open(&lock, -1), 0);
	s = open_url("sqlite:r.db", 1000, &lock);
	ok(store_check(s, true, &err));
	db = sqlite_file("r.db");
	sqlite_run(db, "CREATE INDEX t ON event (abs(CASE event_id"
		       " WHEN CAST('bad' AS BLOB) THEN -9223372036854775808"
		       " ELSE 0 END))");
	ck_assert_int_eq(store_add_events(s, adds, 2, &err), STORE_BROKEN);
	ck_assert_ptr_nonnull(strstr(err.text, "integer overflow"));
	sqlite_run(db, "DROP INDEX t");
	(void)sqlite3_close(db);
	for (int i = 0; i < 2; i++) {
		ok(store_find_event(
		    s, &list[i].key, FIND_STATUS, &record, &err));
		ck_assert_ptr_null(record);
	}
	ok(store_add_events(s, adds, 2, &err));
	ck_assert_int_eq(list[0].outcome, ADD_CREATED);
	ck_assert_int_eq(list[1].outcome, ADD_CREATED);
	store_close(&s);
}
END_TEST

/* What one who writes into the file can make of an event, with its log, that
 * waits. */
static const struct {
	const char *sql;
	bool found, claimed; /* all the same */
} damages[] = {
    {"UPDATE event SET body = NULL", false, false},
    {"UPDATE event SET body = 5", false, false},
    {"UPDATE event SET url = 0.5", false, false},
    {"UPDATE event SET url = zeroblob(8193)", false, false},
    {"UPDATE event SET method = zeroblob(17)", false, false},
    {"UPDATE event SET headers = zeroblob(16385)", false, false},
    {"UPDATE event SET app = zeroblob(101)", false, false},
    {"UPDATE event SET event_id = zeroblob(60000)", false, false},
    {"UPDATE event SET options = NULL", false, false},
    {"UPDATE event SET options = 5", false, false},
    {"UPDATE event SET options = zeroblob(32769)", false, false},
    {"UPDATE event SET options = 'a' || char(0, 233)", true, true},
    {"UPDATE event SET expiry_ms = -1", false, false},
    {"UPDATE event SET expiry_ms = x'00'", false, false},
    {"UPDATE event SET expiry_ms = 'soon'", false, false},
    {"UPDATE event SET created_ms = 'once'", false, true},
    {"UPDATE event SET last_code = -1", false, false},
    {"UPDATE event SET last_error = 0.5", false, true},
    {"UPDATE event SET last_error = zeroblob(513)", false, true},
    {"UPDATE event SET attempts = -2", false, false},
    {"UPDATE event SET attempts = 9223372036854775806", false, false},
    {"UPDATE event SET attempts = 1e300", false, false},
    {"UPDATE event SET due_ms = -9223372036854775808", false, false},
    {"UPDATE event SET due_ms = 0.5", false, false},
    {"UPDATE event SET shard = 200", false, false},
    {"UPDATE event SET shard = 'x'", false, false},
    {"UPDATE event SET url = CAST(url AS TEXT), body = CAST(body AS TEXT)",
	true, true},
    {"UPDATE event SET last_error = 'a' || char(0) || hex(zeroblob(200))", true,
	true},
    {"UPDATE attempt SET error = 'a' || char(0) || hex(zeroblob(30000))", true,
	true},
    {"UPDATE attempt SET error = 'a' || char(0) || hex(zeroblob(200)),"
     " response = char(233, 8364, 0) || hex(zeroblob(1000))",
	true, true},
};

/* The row and, of those of one column, that. */
static void
expect_told(
    const struct store_damaged *told, int64_t row_id, const char *damage)
{
	const char *column = damage + strlen("UPDATE event SET ");
	char name[32];

	(void)snprintf(name, sizeof(name), "%lld", (long long)row_id);
	ck_assert_ptr_nonnull(strstr(told->reason.text, name));
	(void)snprintf(
	    name, sizeof(name), "%.*s", (int)strcspn(column, " "), column);
	ck_assert_msg(strstr(told->reason.text, name) != NULL, "%s: %s", damage,
	    told->reason.text);
	ck_assert_uint_ge(told->app_len, 3);
	ck_assert_mem_eq(told->id, "e", told->id_len == 1);
}

START_TEST(sqlite_damaged_row)
{
	const struct event ev = event_of("e", 1000);
	struct store_add add = add_of(&ev), *adds[] = {&add};
	const struct lease_request leases = {.owner = A,
	    .lease_ms = 60000,
	    .max_attempts = 3,
	    .instances = instances};
	struct lease_reply held;
	const struct claim_request request = {.owner = A,
	    .shards = ALL,
	    .claims = claims,
	    .claim_max = 2,
	    .now_ms = 2000,
	    .horizon_ms = 2000};
	struct claim_reply turn;
	enum cancel_outcome outcome;
	enum event_state state;
	struct store_record *record;
	struct store *s;
	sqlite3 *db;

	empty_dir();
	s = open_url("sqlite:d.db", 1000, NULL);
	ok(store_check(s, true, &err));
	ok(store_add_events(s, adds, 1, &err));
	ok(store_lease(s, &leases, &held, &err));
	db = sqlite_file("d.db");
	sqlite_run(db, "INSERT INTO attempt SELECT id, 1, 5, 500, x'61', x'62'"
		       " FROM event");
	sqlite_run(db, "PRAGMA ignore_check_constraints = ON");
	sqlite_run(db, "PRAGMA writable_schema = ON");
	sqlite_run(db, "UPDATE sqlite_master SET sql = replace(sql,"
		       " 'NOT NULL', '') WHERE name = 'event'");
	(void)sqlite3_close(db);
	db = sqlite_file("d.db");
	sqlite_run(db, "PRAGMA ignore_check_constraints = ON");
	sqlite_run(db, damages[_i].sql);
	(void)sqlite3_close(db);

	ck_assert_int_eq(
	    store_find_event(s, &add.key, FIND_WHOLE, &record, &err),
	    damages[_i].found ? STORE_OK : STORE_DAMAGED);
	ck_assert((record != NULL) == damages[_i].found);
	if (record != NULL) {
		ck_assert_uint_eq(record->n_log, 1);
		ck_assert(slice_eq(record->event.body, ev.body));
	}
	store_record_free(record);
	/* What is not claimed is put off, and told of. */
	ok(store_settle_and_claim(s, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims, damages[_i].claimed ? 1 : 0);
	ck_assert_uint_eq(turn.n_damaged, damages[_i].claimed ? 0 : 1);
	if (!damages[_i].claimed)
		expect_told(&turn.damaged[0], add.row_id, damages[_i].sql);
	free_claims(&turn);
	ok(store_settle_and_claim(s, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims + turn.n_damaged, 0);
	ck_assert(!turn.more);
	ck_assert_int_gt(turn.next_due_ms, request.horizon_ms);
	/* Nothing but its worker keeps it. */
	ok(store_cancel_event(s, &add.key, &outcome, &state, &err));
	ck_assert_int_eq(
	    outcome, damages[_i].claimed ? CANCEL_REFUSED : CANCEL_DELETED);
	store_close(&s);
}
END_TEST

/* Its time is no number: it stays there, behind others. */
START_TEST(sqlite_damaged_row_in_quarantine)
{
	const struct event ev = event_of("e", 1000);
	struct store_add add = add_of(&ev), *adds[] = {&add};
	const struct claim_request request = {.owner = A,
	    .alone = true,
	    .claims = claims,
	    .claim_max = 1,
	    .now_ms = 2000,
	    .horizon_ms = 2000};
	struct claim_reply turn;
	struct store *s;
	sqlite3 *db;

	empty_dir();
	s = open_url("sqlite:d.db", 1000, NULL);
	ok(store_check(s, true, &err));
	ok(store_add_events(s, adds, 1, &err));
	db = sqlite_file("d.db");
	sqlite_run(db, "PRAGMA ignore_check_constraints = ON");
	sqlite_run(db, "UPDATE event SET due_ms = (1 << 48) + 0.5");
	(void)sqlite3_close(db);
	ok(store_settle_and_claim(s, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_damaged, 1);
	ok(store_settle_and_claim(s, &request, &turn, &err));
	ck_assert_uint_eq(turn.n_claims + turn.n_damaged, 0);
	store_close(&s);
}
END_TEST

/* Whose ids are those of damaged rows is refused, and nobody with him. */
START_TEST(sqlite_damaged_row_of_an_add)
{
	enum { N = 60, OLD = 40 };
	static const int damaged[] = {0, 1, 17, OLD - 1};
	static struct event events[N];
	static struct store_add list[N], *adds[N];
	static char ids[N][8];
	struct store *s;
	sqlite3 *db;

	empty_dir();
	s = open_url("sqlite:a.db", 1000, NULL);
	ok(store_check(s, true, &err));
	for (int i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof(ids[0]), "e%d", i);
		events[i] = event_of(ids[i], 1000 + i);
		if (i % 3 == 0)
			events[i].on_conflict = ON_CONFLICT_REPLACE;
		list[i] = add_of(&events[i]);
		adds[i] = &list[i];
	}
	ok(store_add_events(s, adds, OLD, &err));
	db = sqlite_file("a.db");
	sqlite_run(db, "PRAGMA ignore_check_constraints = ON");
	sqlite_run(db, "UPDATE event SET created_ms = -1"
		       " WHERE expiry_ms IN (1000, 1001, 1017, 1039)");
	(void)sqlite3_close(db);

	for (int i = 0; i < N; i++)
		adds[i] = &list[i];
	ok(store_add_events(s, adds, N, &err));
	for (int i = 0; i < N; i++) {
		enum add_outcome outcome = i < OLD ? ADD_SAME : ADD_CREATED;

		for (size_t j = 0; j < sizeof(damaged) / sizeof(damaged[0]);
		     j++)
			if (damaged[j] == i)
				outcome = ADD_BROKEN;
		ck_assert_int_eq(list[i].outcome, outcome);
	}
	/* Where none is taken it is the datastore that fails. */
	adds[0] = &list[damaged[0]];
	adds[1] = &list[damaged[1]];
	for (size_t n = 1; n <= 2; n++)
		ck_assert_int_eq(
		    store_add_events(s, adds, n, &err), STORE_BROKEN);
	store_close(&s);
}
END_TEST

/* Nothing in a file is run. */
START_TEST(sqlite_code_in_the_file)
{
	const struct event ev = event_of("e", 1000);
	struct store_add add = add_of(&ev), *adds[] = {&add};
	struct store_record *record;
	struct store *s;
	sqlite3 *db;

	empty_dir();
	s = open_url("sqlite:c.db", 1000, NULL);
	ok(store_check(s, true, &err));
	db = sqlite_file("c.db");
	sqlite_run(db, "CREATE TRIGGER t AFTER INSERT ON event"
		       " BEGIN DELETE FROM event; END");
	(void)sqlite3_close(db);
	ok(store_add_events(s, adds, 1, &err));
	ok(store_find_event(s, &add.key, FIND_STATUS, &record, &err));
	ck_assert_ptr_nonnull(record);
	store_record_free(record);
	store_close(&s);

	db = sqlite_file("c.db");
	sqlite_run(db, "ALTER TABLE lease RENAME TO leases");
	sqlite_run(db, "CREATE VIEW lease AS SELECT * FROM leases");
	(void)sqlite3_close(db);
	expect_broken("sqlite:c.db", "the tables that we made");
}
END_TEST

/* Leases and registrations that no worker writes. */
static const char *const lease_damages[] = {
    "INSERT INTO lease VALUES (64, 0, 0)",
    "INSERT INTO lease VALUES (-1, 0, 0)",
    "UPDATE lease SET owner = x'00' WHERE shard = 5",
};

START_TEST(sqlite_damaged_lease)
{
	struct lease_reply reply;
	const struct lease_request request = {.owner = A,
	    .lease_ms = 60000,
	    .max_attempts = 3,
	    .instances = instances};
	struct store *s;
	sqlite3 *db;

	empty_dir();
	s = open_url("sqlite:l.db", 1000, NULL);
	ok(store_check(s, true, &err));
	db = sqlite_file("l.db");
	sqlite_run(db, "PRAGMA ignore_check_constraints = ON");
	sqlite_run(db, lease_damages[_i]);
	(void)sqlite3_close(db);
	ck_assert_int_eq(store_lease(s, &request, &reply, &err), STORE_BROKEN);
	store_close(&s);
}
END_TEST

static int64_t
sqlite_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t number;

	ck_assert_int_eq(
	    sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	number = sqlite3_column_int64(stmt, 0);
	ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
	return number;
}

/* Of a row that the dead left: no number wraps into a milder one. */
static const struct {
	const char *sql;
	bool culprit;
	int64_t status, suspect;
} lost_damages[] = {
    {"UPDATE event SET attempts = 4294967296", true, 3, 0},
    {"UPDATE event SET attempts = -1", true, 0, 0},
    {"UPDATE event SET attempts = 9, app = 5", true, 3, 0},
    {"UPDATE event SET suspect = 4294967296", false, 0, 4294967296},
};

START_TEST(sqlite_damaged_lost)
{
	int64_t row_id;
	sqlite3 *db;

	empty_dir();
	store = open_url("sqlite:lost.db", 1000, NULL);
	ok(store_check(store, true, &err));
	row_id = add("e", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 1);
	db = sqlite_file("lost.db");
	sqlite_run(db, "PRAGMA ignore_check_constraints = ON");
	sqlite_run(db, lost_damages[_i].sql);
	(void)bury(B, &(const struct store_death){.owner = A,
			  .culprit = lost_damages[_i].culprit ? row_id : 0});
	ck_assert_int_eq(sqlite_number(db, "SELECT status FROM event"),
	    lost_damages[_i].status);
	ck_assert_int_eq(sqlite_number(db, "SELECT suspect FROM event"),
	    lost_damages[_i].suspect);
	(void)sqlite3_close(db);
	store_close(&store);
}
END_TEST

/* It says until when it lives, and renews three times in that. */
START_TEST(sqlite_older_version)
{
	sqlite3 *db;

	empty_dir();
	store = open_url("sqlite:old.db", 1000, NULL);
	ok(store_check(store, true, &err));
	db = sqlite_file("old.db");
	sqlite_run(db,
	    "INSERT INTO instance (owner, until_ms, host, pid, started_ms,"
	    " active) VALUES (7, (strftime('%s', 'now') + 3600) * 1000, x'',"
	    " 1, 1, 1)");
	(void)see(A, 7);
	for (size_t i = 0; i < n_instances; i++)
		if (instances[i].sign.owner == 7)
			ck_assert_int_ge(instances[i].lease_ms, 3600000);
	sqlite_run(db, "UPDATE instance SET until_ms = until_ms - 7200000"
		       " WHERE owner = 7");
	(void)see(A, 7);
	for (size_t i = 0; i < n_instances; i++)
		if (instances[i].sign.owner == 7)
			ck_assert_int_eq(instances[i].lease_ms, 60000);
	(void)sqlite3_close(db);
	store_close(&store);
}
END_TEST

/* Makes an index that claims to have other rows than it has. */
static void
sqlite_rename_condition(
    const char *file, const char *index, const char *from, const char *to)
{
	sqlite3 *db = sqlite_file(file);
	char sql[256];

	sqlite_run(db, "PRAGMA writable_schema = ON");
	(void)snprintf(sql, sizeof(sql),
	    "UPDATE sqlite_master SET sql = replace(sql, '%s', '%s')"
	    " WHERE name = '%s'",
	    from, to, index);
	sqlite_run(db, sql);
	ck_assert_int_eq(sqlite3_changes(db), 1);
	(void)sqlite3_close(db);
}

static void
sqlite_run_in(const char *file, const char *sql)
{
	sqlite3 *db = sqlite_file(file);

	sqlite_run(db, "PRAGMA writable_schema = ON"); /* no look at indexes */
	sqlite_run(db, sql);
	(void)sqlite3_close(db);
}

/* The row decides, not what the index says of it. */
START_TEST(sqlite_purge_by_a_damaged_index)
{
	int64_t done;

	empty_dir();
	store = open_url("sqlite:p.db", 1000, NULL);
	ok(store_check(store, true, &err));
	done = add("done", 1000);
	(void)add("processing", 1000);
	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 2);
	ck_assert_uint_eq(give_one(A, done, 1, RESULT_COMPLETED, 200), 0);
	(void)add("waiting", 1000);
	sqlite_run_in("p.db", "INSERT INTO attempt SELECT id, 1, 5, 500, x'',"
			      " x'' FROM event;"
			      "DROP INDEX event_finished;"
			      "CREATE INDEX event_finished ON event (due_ms)"
			      " WHERE status >= 0");
	sqlite_rename_condition("p.db", "event_finished", ">= 0", ">= 2");
	ck_assert_uint_eq(purge(ALL, 5001, 100), 1);
	ck_assert_uint_eq(purge(ALL, 5001, 100), 0);
	expect_gone("done");
	expect("processing", EVENT_PROCESSING, 1, 1);
	expect("waiting", EVENT_PENDING, 0, 1);
	store_close(&store);
}
END_TEST

START_TEST(sqlite_claim_by_a_damaged_index)
{
	struct claim_reply early;

	empty_dir();
	store = open_url("sqlite:i.db", 1000, NULL);
	ok(store_check(store, true, &err));
	(void)add("twice", 1000);
	(void)lease(A);
	sqlite_rename_condition("i.db", "event_waiting", "= 0", "= 7");
	sqlite_run_in("i.db", "UPDATE event SET due_ms = 2000");
	sqlite_rename_condition("i.db", "event_waiting", "= 7", "= 0");
	sqlite_run_in("i.db", "UPDATE event SET due_ms = 2000");
	/* In quarantine it is for others. */
	sqlite_run_in("i.db", "UPDATE event SET due_ms = due_ms + (1 << 48)");
	ck_assert_uint_eq(claim_all(A), 0);
	sqlite_run_in("i.db", "UPDATE event SET due_ms = due_ms - (1 << 48)");
	early = claim(A, ALL, CLAIMS_MAX, 1500);
	ck_assert_uint_eq(early.n_claims, 0);
	ck_assert_int_eq(early.next_due_ms, 2000);
	ck_assert_uint_eq(claim_all(A), 1);
	ck_assert_uint_eq(claim_all(A), 0);
	expect("twice", EVENT_PROCESSING, 1, 0);
	store_close(&store);
}
END_TEST

/* No end was to the tries for a row id in a file that takes no second event. */
START_TEST(sqlite_takes_no_event)
{
	const struct event first = event_of("1", 1000);
	const struct event second = event_of("2", 1000);
	struct store_add list[] = {add_of(&first), add_of(&second)};
	struct store_add *adds[] = {&list[0], &list[1]};
	struct store *s;
	sqlite3 *db;

	empty_dir();
	s = open_url("sqlite:n.db", 1000, NULL);
	ok(store_check(s, true, &err));
	db = sqlite_file("n.db");
	sqlite_run(db, "CREATE UNIQUE INDEX one ON event (status)");
	(void)sqlite3_close(db);
	ok(store_add_events(s, adds, 2, &err));
	ck_assert_int_eq(list[0].outcome, ADD_CREATED);
	ck_assert_int_eq(list[1].outcome, ADD_BROKEN);
	adds[0] = &list[1];
	ck_assert_int_eq(store_add_events(s, adds, 1, &err), STORE_BROKEN);
	ck_assert_ptr_nonnull(strstr(err.text, "takes no event"));
	store_close(&s);
}
END_TEST

/* A file of the first version, with an event in it. */
static void
make_first_version(const char *name, const char *sql)
{
	sqlite3 *db = sqlite_file(name);

	sqlite_run(db, sqlite_migrations[0].text);
	sqlite_run(db, "INSERT INTO meta VALUES ('schema_version', 1)");
	sqlite_run(db, "INSERT INTO event (id, k, shard, due_ms, expiry_ms,"
		       " created_ms, fingerprint, app, event_id, method, url,"
		       " headers, body_is_text, body) VALUES (7, zeroblob(16),"
		       " 0, 1, 1, 1, zeroblob(16), x'61', x'62', x'50',"
		       " 'http://a/', x'', 1, 'a' || char(233, 0) || 'b')");
	sqlite_run(
	    db, "INSERT INTO attempt VALUES (7, 1, 5, 500, 'error', 'a')");
	sqlite_run(db, sql);
	(void)sqlite3_close(db);
}

START_TEST(sqlite_types)
{
	static const struct event_key zeros = {{0}};
	static const char *const refused[] = {
	    "UPDATE event SET url = 'http://b/'",
	    "UPDATE event SET k = x'00'",
	    "UPDATE event SET status = 4",
	    "UPDATE event SET shard = 64",
	    "UPDATE event SET attempts = -1",
	    "UPDATE event SET due_ms = 'now'",
	    "UPDATE event SET body = 5",
	    "UPDATE attempt SET error = 'a'",
	    "INSERT INTO attempt VALUES (7, 2, -1, 500, x'', x'')",
	    "INSERT INTO lease VALUES (64, 0, 0)",
	    "UPDATE lease SET owner = x'00'",
	    ("INSERT INTO instance (owner, until_ms, host, pid, started_ms,"
	     " active) VALUES (1, 'never', '', 1, 1, 1)"),
	};
	struct store_record *record;
	struct store *s;
	sqlite3 *db;

	empty_dir();
	make_first_version("t.db", "");
	s = open_url("sqlite:t.db", 1000, NULL);
	ok(store_check(s, true, &err));
	ok(store_find_event(s, &zeros, FIND_WHOLE, &record, &err));
	ck_assert_ptr_nonnull(record);
	ck_assert(slice_eq(record->event.url, SLICE_LITERAL("http://a/")));
	ck_assert(slice_eq(record->event.body, SLICE_LITERAL("a\xc3\xa9\0b")));
	ck_assert(slice_eq(record->log[0].error, SLICE_LITERAL("error")));
	store_record_free(record);
	store_close(&s);
	db = sqlite_file("t.db");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ck_assert_int_eq(sqlite3_exec(db, refused[i], NULL, NULL, NULL),
		    SQLITE_CONSTRAINT);
		ck_assert_msg(strstr(sqlite3_errmsg(db), "_types") != NULL,
		    "%s: %s", refused[i], sqlite3_errmsg(db));
	}
	(void)sqlite3_close(db);
}
END_TEST

/* A damaged row stops it, and nothing is done by halves. */
START_TEST(sqlite_damaged_migration)
{
	struct store *s;
	sqlite3 *db;

	empty_dir();
	make_first_version("m.db", "UPDATE event SET status = 9");
	expect_broken("sqlite:m.db", "CHECK constraint failed");
	expect_broken("sqlite:m.db", "(migration 3)");

	db = sqlite_file("m.db");
	sqlite_run(db, "UPDATE event SET status = 0");
	(void)sqlite3_close(db);
	s = open_url("sqlite:m.db", 1000, NULL);
	ok(store_check(s, true, &err));
	store_close(&s);
}
END_TEST

/* Processes that start together on no file yet. */
static const struct {
	struct sqlite_space space;
	int64_t min_free, bytes;
	bool holds;
} spaces[] = {
    /* disk, file, page size, pages, free pages, log */
    {{1000, 100, 10, 10, 0, 0}, 1000, 0, true},
    {{999, 100, 10, 10, 0, 0}, 1000, 0, false},
    /* what is added is written twice */
    {{1020, 100, 10, 10, 0, 0}, 1000, 10, true},
    {{1019, 100, 10, 10, 0, 0}, 1000, 10, false},
    /* pages in the log have no place in the file yet */
    {{1020, 80, 10, 10, 0, 0}, 1000, 0, true},
    {{1019, 80, 10, 10, 0, 0}, 1000, 0, false},
    {{1000, 200, 10, 10, 0, 0}, 1000, 0, true},
    /* free ones are room, but for half of it */
    {{500, 1000, 10, 100, 50, 0}, 1000, 0, true},
    {{500, 1000, 10, 100, 49, 0}, 1000, 0, false},
    {{499, 1000, 10, 100, 90, 0}, 1000, 0, false},
    {{510, 1000, 10, 100, 90, 0}, 1000, 10, true},
    {{509, 1000, 10, 100, 90, 0}, 1000, 10, false},
    {{0, 1000, 10, 100, 0, 0}, 0, 0, true},
    /* what the log has is its own, but for half of it */
    {{900, 100, 10, 10, 0, 100}, 1000, 0, true},
    {{899, 100, 10, 10, 0, 100}, 1000, 0, false},
    {{500, 100, 10, 10, 0, 2000}, 1000, 0, true},
    {{499, 100, 10, 10, 0, 2000}, 1000, 0, false},
    {{300, 1000, 10, 100, 90, 2000}, 1000, 0, false},
};

START_TEST(sqlite_space)
{
	ck_assert_int_eq(sqlite_space_holds(&spaces[_i].space,
			     spaces[_i].min_free, spaces[_i].bytes),
	    spaces[_i].holds);
}
END_TEST

/* No disk has that much: adds alone end there. */
START_TEST(sqlite_no_room)
{
	const struct store_params params = {.url = "sqlite:room.db",
	    .state_dir = state_dir,
	    .connect_timeout_ms = 5000,
	    .timeout_ms = 5000,
	    .min_free_bytes = INT64_C(1) << 60};
	const struct event there = event_of("there", 1);
	const struct event other = event_of("there", 2);
	const struct event new = event_of("new", 1);
	struct store_add list[] = {
	    add_of(&there), add_of(&other), add_of(&new)};
	struct store_add *adds[] = {&list[0], &list[1], &list[2]};
	enum event_state state;
	int64_t ended, failed;

	empty_dir();
	store = open_url(params.url, 5000, NULL);
	ok(store_check(store, true, &err));
	(void)add("there", 1);
	ended = add("ended", 1);
	failed = add("failed", 1);
	store_close(&store);

	ck_assert_int_eq(store_open(&params, &store, &err), 0);
	ok(store_add_events(store, adds, 3, &err));
	ck_assert_int_eq(list[0].outcome, ADD_SAME);
	ck_assert_int_eq(list[1].outcome, ADD_CONFLICT);
	ck_assert_int_eq(list[2].outcome, ADD_NO_ROOM);
	expect_gone("new");

	(void)lease(A);
	ck_assert_uint_eq(claim_all(A), 3);
	ck_assert_uint_eq(give_one(A, ended, 1, RESULT_COMPLETED, 200), 0);
	ck_assert_uint_eq(give_one(A, failed, 1, RESULT_FAILED, 404), 0);
	ck_assert_uint_eq(
	    give_one(A, list[0].row_id, 1, RESULT_RELEASED, 0), 0);
	ck_assert_uint_eq(purge(ALL, 5001, 100), 2);
	ck_assert_int_eq(cancel("there", &state), CANCEL_DELETED);
	ok(store_ping(store, &err));
	store_close(&store);
}
END_TEST

/* What is mended leaves the room to deletes, too. */
START_TEST(sqlite_no_room_to_mend)
{
	struct store_params params = {.url = "sqlite:mend.db",
	    .state_dir = state_dir,
	    .connect_timeout_ms = 5000,
	    .timeout_ms = 5000,
	    .min_free_bytes = INT64_C(1) << 60};
	struct schedule_mend mend = {.zones = zones};
	int64_t t;

	empty_dir();
	store = open_url(params.url, 5000, NULL);
	ok(store_check(store, true, &err));
	t = put("s", "{\"every\": \"1h\"}").due_ms / 1000;
	delete_run("s");
	mend.now_ms = (t + 75) * 1000;
	for (int i = 0; i < 2; i++) {
		store_close(&store);
		ck_assert_int_eq(store_open(&params, &store, &err), 0);
		ok(store_mend_schedules(store, &mend, &err));
		ck_assert(!mend.rest);
		ck_assert_int_eq(run_due_ms("s", t), i * t * 1000);
		params.min_free_bytes = 0;
	}
	store_close(&store);
}
END_TEST

static void
open_first(int start_fd)
{
	char byte;
	struct store *s;

	ck_assert_int_eq(read(start_fd, &byte, 1), 0);
	s = open_url("sqlite:f.db", 5000, NULL);
	ok(store_check(s, true, &err));
	store_close(&s);
	_exit(0);
}

START_TEST(sqlite_first_openers_race)
{
	pid_t pids[8];
	int fds[2], wait_status;

	empty_dir();
	ck_assert_int_eq(pipe(fds), 0);
	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		ck_assert_int_ne(pids[i], -1);
		if (pids[i] == 0) {
			ck_assert_int_eq(close(fds[1]), 0);
			open_first(fds[0]);
		}
	}
	ck_assert_int_eq(close(fds[0]), 0);
	ck_assert_int_eq(close(fds[1]), 0);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(waitpid(pids[i], &wait_status, 0), pids[i]);
		ck_assert_int_eq(wait_status, 0);
	}
}
END_TEST

/* ---- */

static void
add_contract(Suite *suite)
{
	TCase *tc = tcase_create("contract");

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, whole_event_comes_back);
	tcase_add_test(tc, empty_parts_come_back);
	tcase_add_test(tc, unknown_event);
	tcase_add_test(tc, ids_are_compared_byte_for_byte);
	tcase_add_test(tc, same_and_conflict_across_batches);
	tcase_add_test(tc, same_and_conflict_within_a_batch);
	tcase_add_test(tc, kept_on_conflict);
	tcase_add_test(tc, replaced_on_conflict);
	tcase_add_test(tc, replaced_within_a_batch);
	tcase_add_test(tc, many_replaced);
	tcase_add_test(tc, replaced_all_or_none);
	tcase_add_test(tc, debounced);
	tcase_add_test(tc, debounced_anew);
	tcase_add_test(tc, large_batch);
	tcase_add_test(tc, cancel_waiting_or_unknown);
	tcase_add_test(tc, cancel_between_attempts);
	tcase_add_test(tc, cancel_under_way);
	tcase_add_test(tc, retry_what_failed);
	tcase_add_test(tc, retry_what_was_delivered);
	tcase_add_test(tc, retry_is_a_fresh_count);
	tcase_add_test(tc, run_what_waits);
	tcase_add_test(tc, job_counts_at_once);
	tcase_add_test(tc, job_counts_without_writing);
	tcase_add_test(tc, job_is_counted_by_two);
	tcase_add_test(tc, job_deletes);
	tcase_add_test(tc, job_leaves_runs);
	tcase_add_test(tc, job_is_dry);
	tcase_add_test(tc, job_retries);
	tcase_add_test(tc, job_runs);
	tcase_add_loop_test(tc, job_reschedules, 0, 4);
	tcase_add_test(tc, job_obeys);
	tcase_add_test(tc, jobs_are_bounded);
	tcase_add_test(tc, jobs_of_each_application);
	tcase_add_test(tc, two_processes_take_each_step_once);
	tcase_add_test(tc, pauses_come_and_go);
	tcase_add_test(tc, what_comes_next);
	tcase_add_loop_test(tc, paused_events_are_parked, 0, 2);
	tcase_add_test(tc, pauses_of_one_event);
	tcase_add_test(tc, paused_in_quarantine);
	tcase_add_loop_test(tc, damaged_rows_keep_no_others, 0, 2);
	tcase_add_loop_test(tc, claims_come_in_order_of_due_and_id, 0, 2);
	tcase_add_loop_test(tc, claims_stop_at_the_horizon, 0, 2);
	tcase_add_loop_test(tc, next_behind_those_of_a_shard, 0, 2);
	tcase_add_loop_test(tc, claims_stop_at_the_maximum, 0, 2);
	tcase_add_test(tc, more_rows_in_one_shard);
	tcase_add_test(tc, a_key_is_one_in_all_shards);
	tcase_add_test(tc, newest_events);
	tcase_add_test(tc, marks_of_pauses_and_jobs);
	tcase_add_loop_test(tc, pages_look_at_what_they_tell, 0, 2);
	tcase_add_test(tc, list_ends_above_all);
	tcase_add_loop_test(tc, list_keeps_within_its_range, 0, 9);
	tcase_add_test(tc, labels_are_listed);
	tcase_add_test(tc, labels_of_many);
	tcase_add_loop_test(tc, labels_follow_results, 0,
	    (int)(sizeof(labelled_results) / sizeof(labelled_results[0])));
	tcase_add_test(tc, labels_are_changed);
	tcase_add_loop_test(tc, labels_follow_the_lost, 0, 2);
	tcase_add_test(tc, claims_only_of_owned_shards);
	tcase_add_test(tc, claims_only_of_the_mask);
	tcase_add_test(tc, no_claims_after_the_lease);
	tcase_add_loop_test(tc, each_result, 0,
	    (int)(sizeof(result_cases) / sizeof(result_cases[0])));
	tcase_add_test(tc, attempts_are_logged_in_order);
	tcase_add_test(tc, texts_of_an_attempt_are_clipped);
	tcase_add_test(tc, release_uncounts_the_attempt);
	tcase_add_test(tc, result_given_twice);
	tcase_add_test(tc, results_come_before_claims);
	tcase_add_test(tc, claim_is_cut_by_bytes);
	tcase_add_test(tc, many_results_in_one_turn);
	tcase_add_test(tc, late_result_writes_nothing);
	tcase_add_test(tc, late_result_of_the_same_attempt);
	tcase_add_test(tc, late_result_of_an_older_attempt);
	tcase_add_test(tc, result_beside_one_of_an_older_attempt);
	tcase_add_loop_test(tc, death_of_a_culprit, 0, 2);
	tcase_add_loop_test(tc, culprit_too_often, 0, 3);
	tcase_add_test(tc, callbacks_come_with_results);
	tcase_add_test(tc, callback_whose_ids_are_taken);
	tcase_add_test(tc, callback_of_a_culprit);
	tcase_add_test(tc, acks);
	tcase_add_test(tc, ack_of_what_was_lost);
	tcase_add_test(tc, nack_of_the_last_attempt);
	tcase_add_test(tc, lapsed);
	tcase_add_test(tc, culprits_again_and_apart);
	tcase_add_test(tc, death_for_no_reason);
	tcase_add_loop_test(tc, result_ends_suspicion, 0, RESULT_RELEASED + 1);
	tcase_add_test(tc, death_of_one_alone);
	tcase_add_test(tc, death_by_expiry);
	tcase_add_test(tc, quarantined_event_is_deleted);
	tcase_add_test(tc, renewed_before_it_was_lost);
	tcase_add_test(tc, looks);
	tcase_add_test(tc, registered_anew);
	tcase_add_test(tc, registration);
	tcase_add_test(tc, registrations);
	tcase_add_test(tc, leases_are_shared_evenly);
	tcase_add_test(tc, rows_outlive_the_lease_of_their_shard);
	tcase_add_test(tc, rows_in_shards_of_others_are_put_back_after_a_death);
	tcase_add_loop_test(tc, put_back_in_parts, 0, 2);
	tcase_add_test(tc, away);
	tcase_add_test(tc, lapse);
	tcase_add_test(tc, leaving);
	tcase_add_test(tc, dead_owners_leases_are_free_for_all);
	tcase_add_test(tc, clock_offset_is_small);
	tcase_add_test(tc, strays);
	tcase_add_test(tc, many_strays_are_told_in_parts);
	tcase_add_test(tc, schedule_is_made_and_replaced);
	tcase_add_test(tc, schedule_goes_on);
	tcase_add_test(tc, schedule_is_spread);
	tcase_add_test(tc, schedule_draws_keys);
	tcase_add_test(tc, schedule_run_is_given_back);
	tcase_add_test(tc, schedule_run_is_retried);
	tcase_add_test(tc, schedule_run_is_not_claimed_ahead);
	tcase_add_test(tc, many_schedules_are_not_claimed_ahead);
	tcase_add_test(tc, schedule_skips);
	tcase_add_test(tc, schedule_queues);
	tcase_add_test(tc, schedule_skips_nothing_missed);
	tcase_add_test(tc, schedule_allows);
	tcase_add_test(tc, schedule_is_paused);
	tcase_add_test(tc, schedule_ends);
	tcase_add_test(tc, schedule_is_run_now);
	tcase_add_test(tc, schedule_meets_an_event);
	tcase_add_test(tc, schedule_of_a_zone);
	tcase_add_test(tc, schedule_waits_for_its_zone);
	tcase_add_test(tc, schedule_jitter);
	tcase_add_test(tc, schedule_is_mended);
	tcase_add_test(tc, many_schedules_are_mended);
	tcase_add_test(tc, schedules_are_listed);
	tcase_add_test(tc, schedules_are_bounded);
	tcase_add_test(tc, many_schedules);
	tcase_add_loop_test(tc, schedule_catches_up, 0,
	    sizeof(caught_up) / sizeof(caught_up[0]));
	tcase_add_test(tc, purge_deletes_what_ended);
	tcase_add_test(tc, purge_is_bounded);
	tcase_add_test(tc, check_and_ping);
	tcase_add_test(tc, two_processes_claim_everything_once);
}

static void
add_sqlite(Suite *suite)
{
	TCase *tc = tcase_create("sqlite");

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, bad_urls, 0, 6);
	tcase_add_loop_test(tc, sqlite_file_mode, 0, 3);
	tcase_add_test(tc, sqlite_bad_paths);
	tcase_add_test(tc, sqlite_read_only);
	tcase_add_test(tc, sqlite_other_schema);
	tcase_add_test(tc, sqlite_without_schema);
	tcase_add_test(tc, sqlite_busy);
	tcase_add_test(tc, sqlite_turn_kept);
	tcase_add_test(tc, sqlite_rollback);
	tcase_add_loop_test(tc, sqlite_damaged_row, 0,
	    (int)(sizeof(damages) / sizeof(damages[0])));
	tcase_add_test(tc, sqlite_older_version);
	tcase_add_test(tc, sqlite_damaged_row_in_quarantine);
	tcase_add_test(tc, sqlite_damaged_row_of_an_add);
	tcase_add_loop_test(tc, sqlite_damaged_lost, 0,
	    (int)(sizeof(lost_damages) / sizeof(lost_damages[0])));
	tcase_add_test(tc, sqlite_purge_by_a_damaged_index);
	tcase_add_test(tc, sqlite_claim_by_a_damaged_index);
	tcase_add_test(tc, sqlite_code_in_the_file);
	tcase_add_test(tc, sqlite_types);
	tcase_add_test(tc, sqlite_takes_no_event);
	tcase_add_test(tc, sqlite_damaged_migration);
	tcase_add_loop_test(tc, sqlite_damaged_lease, 0,
	    (int)(sizeof(lease_damages) / sizeof(lease_damages[0])));
	tcase_add_loop_test(
	    tc, sqlite_space, 0, (int)(sizeof(spaces) / sizeof(spaces[0])));
	tcase_add_test(tc, sqlite_no_room);
	tcase_add_test(tc, sqlite_no_room_to_mend);
	tcase_add_loop_test(tc, sqlite_first_openers_race, 0, 20);
}

/* Those of tests/galera; without it there are none. */
static void
read_nodes(void)
{
	char name[32];

	do {
		(void)snprintf(
		    name, sizeof(name), "CASSATA_TEST_NODE_%u", n_nodes + 1);
		node_urls[n_nodes] = getenv(name);
	} while (node_urls[n_nodes] != NULL && ++n_nodes < NODES_MAX);
}

int
main(void)
{
	Suite *suite = suite_create("store");
	const char *tmp = getenv("TMPDIR");
	int status;

	url = IS_TWIN ? NULL : getenv("CASSATA_TEST_DATASTORE");
	if (url == NULL) {
		url = DEFAULT_URL;
		sqlite_plans_watch();
	}
	if (HAS_NODES)
		read_nodes();
	if (HAS_NODES && n_nodes == 0)
		return SKIPPED;
	if (HAS_NODES)
		url = node_urls[0];
	(void)snprintf(state_dir, sizeof(state_dir), "%s/store_test.XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(state_dir) == NULL) {
		perror(state_dir);
		return EXIT_FAILURE;
	}
	(void)snprintf(dir, sizeof(dir), "%s/" SQL_DATA_DIR, state_dir);
	if (mkdir(dir, 0700) == -1) {
		perror(dir);
		return EXIT_FAILURE;
	}
	add_contract(suite);
	if (!IS_TWIN && !HAS_NODES)
		add_sqlite(suite);
	status = suite_run(suite);
	empty_dir();
	(void)rmdir(dir);
	(void)rmdir(state_dir);
	return status;
}
