/* SPDX-License-Identifier: ISC */
/*
 * What only a cluster can meet: several stores, each at another node. Run by
 * make check-galera, skipped without nodes. Where it matters what a node has
 * not applied yet, its applier (it must be one, or another begins what is next)
 * waits for a table that the test has locked.
 */
#include "store/store.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <mysql.h>

#include "base/clock.h"
#include "sql/sql.h"
#include "sql/sql_url.h"
#include "store/move.h"
#include "suite.h"

enum {
	NOT_READY = 1047,
	SKIPPED = 77,
	N_NODES = 3,
	WAIT_MS = 20000,
	ADDS_MAX = 32
};

static const char *urls[N_NODES];
static MYSQL *admins[N_NODES]; /* connections of the test's own */
static struct store *stores[N_NODES];
static struct err err;

#define ok(call)                                                               \
	do {                                                                   \
		enum store_status status_ = (call);                            \
		ck_assert_msg(status_ == STORE_OK, "%s", err.text);            \
	} while (0)

/* A node that is no member refuses it (1047), also for a moment after it has
 * come back: nothing was done then. */
static void
run_sql(int node, const char *text)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;

	while (mysql_query(admins[node], text) != 0) {
		ck_assert_msg(mysql_errno(admins[node]) == NOT_READY &&
				  clock_mono_ms() < until_ms,
		    "%s: %s", text, mysql_error(admins[node]));
		(void)poll(NULL, 0, 10);
	}
}

static int64_t
read_number(int node, const char *query)
{
	MYSQL_RES *result;
	MYSQL_ROW row;
	int64_t number;

	run_sql(node, query);
	result = mysql_store_result(admins[node]);
	ck_assert_ptr_nonnull(result);
	row = mysql_fetch_row(result);
	ck_assert_ptr_nonnull(row);
	number = strtoll(row[0], NULL, 10);
	mysql_free_result(result);
	return number;
}

/* What has been committed through any node is at this one. Who has just come
 * back refuses to wait at first. */
static void
wait_in_step(int node)
{
	static const char wait[] =
	    "SET STATEMENT wsrep_sync_wait = 1 FOR SELECT 1";
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	MYSQL_RES *result;

	while (mysql_query(admins[node], wait) != 0) {
		ck_assert_msg(clock_mono_ms() < until_ms, "%s",
		    mysql_error(admins[node]));
		(void)poll(NULL, 0, 10);
	}
	result = mysql_store_result(admins[node]);
	ck_assert_ptr_nonnull(result);
	mysql_free_result(result);
}

static MYSQL *
connect_to(const char *url)
{
	MYSQL *mysql = mysql_init(NULL);
	struct sql_place place;

	ck_assert_ptr_nonnull(mysql);
	ck_assert_int_eq(sql_describe(url, NULL, &place, &err), 0);
	ck_assert_msg(
	    mysql_real_connect(mysql, place.hosts[0].name, place.user,
		place.password, NULL, place.hosts[0].port, NULL, 0) != NULL,
	    "%s", mysql_error(mysql));
	sql_place_free(&place);
	return mysql;
}

static struct store *
open_node(int node)
{
	const struct store_params params = {
	    .url = urls[node], .connect_timeout_ms = 5000, .timeout_ms = 10000};
	struct store *store;

	ck_assert_msg(store_open(&params, &store, &err) == 0, "%s", err.text);
	return store;
}

static void
setup(void)
{
	for (int i = 0; i < N_NODES; i++) {
		admins[i] = connect_to(urls[i]);
		ck_assert_msg(
		    read_number(i, "SELECT @@GLOBAL.wsrep_slave_threads") == 1,
		    "a node has several appliers: see make check-galera");
		run_sql(i, "SET GLOBAL wsrep_max_ws_size = 2147483647");
	}
	run_sql(0, "DROP DATABASE IF EXISTS cassata");
	run_sql(0, "CREATE DATABASE cassata");
	run_sql(0, "CREATE TABLE cassata.stopper (id INT PRIMARY KEY)");
	for (int i = 0; i < N_NODES; i++) {
		wait_in_step(i);
		run_sql(i, "USE cassata");
		stores[i] = open_node(i);
		ok(store_check(stores[i], true, &err));
	}
}

static void
teardown(void)
{
	for (int i = 0; i < N_NODES; i++) {
		store_close(&stores[i]);
		mysql_close(admins[i]);
	}
}

/* ---- a node that is behind ---- */

/* From now on the node applies nothing of what the others commit. */
static void
hold_back(int node)
{
	char text[64];
	static int n;

	run_sql(node, "LOCK TABLES stopper READ");
	(void)snprintf(
	    text, sizeof(text), "INSERT INTO stopper VALUES (%d)", n++);
	run_sql(node == 0 ? 1 : 0, text);
}

/* As a worker or client does: again, while it may pass. */
#define eventually(call)                                                       \
	do {                                                                   \
		int64_t until_ms_ = clock_mono_ms() + WAIT_MS;                 \
		enum store_status status_;                                     \
		while ((status_ = (call)) == STORE_UNAVAILABLE &&              \
		       clock_mono_ms() < until_ms_)                            \
			(void)poll(NULL, 0, 10);                               \
		ck_assert_msg(status_ == STORE_OK, "%s", err.text);            \
	} while (0)

/* What somebody else is at, at a node. */
#define COUNT_SESSIONS                                                         \
	"SELECT COUNT(*) FROM information_schema.processlist"                  \
	" WHERE id <> CONNECTION_ID() AND "
#define CATCHES_UP COUNT_SESSIONS "info LIKE 'SET STATEMENT wsrep_sync_wait%'"
#define WRITES     COUNT_SESSIONS "(info LIKE 'INSERT%' OR info = 'COMMIT')"

#define COMMITS COUNT_SESSIONS "info = 'COMMIT'"
/* By certification, or by an applier that wants the row. */
#define N_DEFEATS                                                              \
	"SELECT CAST(SUM(variable_value) AS SIGNED)"                           \
	" FROM information_schema.global_status WHERE variable_name IN"        \
	" ('WSREP_LOCAL_CERT_FAILURES', 'WSREP_LOCAL_BF_ABORTS')"

struct release {
	int node;
	const char *when;
	int64_t n_defeats; /* before */
	atomic_bool over;  /* the call did not wait */
	pthread_t thread;
	MYSQL *watch;
};

static void *
release_when_asked(void *arg)
{
	struct release *r = arg;
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	bool waits = false;

	while (!waits && !atomic_load(&r->over) && clock_mono_ms() < until_ms) {
		MYSQL_RES *result;

		if (mysql_query(r->watch, r->when) != 0)
			break;
		result = mysql_store_result(r->watch);
		waits = strcmp(mysql_fetch_row(result)[0], "0") != 0;
		mysql_free_result(result);
		(void)poll(NULL, 0, 2);
	}
	(void)mysql_query(admins[r->node], "UNLOCK TABLES");
	mysql_thread_end();
	return NULL;
}

/* A node that is held back goes on once somebody is at that. */
static void
release_begin(struct release *r, int node, const char *when)
{
	*r = (struct release){.node = node,
	    .when = when,
	    .n_defeats = read_number(node, N_DEFEATS),
	    .watch = connect_to(urls[node])};
	ck_assert_int_eq(
	    pthread_create(&r->thread, NULL, release_when_asked, r), 0);
}

static void
release_end(struct release *r)
{
	atomic_store(&r->over, true);
	ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
	mysql_close(r->watch);
}

/* What was committed there has met what the node had not applied yet. */
static void
release_end_defeated(struct release *r)
{
	release_end(r);
	ck_assert_int_gt(read_number(r->node, N_DEFEATS), r->n_defeats);
}

/* ---- events ---- */

static struct event_key
key_of(const char *id)
{
	struct event_key key;

	ck_assert_int_eq(
	    event_key_make(SLICE_LITERAL("app"), slice_from_string(id), &key),
	    0);
	return key;
}

static void
make_add(struct store_add *add, struct event *event, const char *id,
    struct slice body)
{
	*event = (struct event){
	    .app = SLICE_LITERAL("app"),
	    .id = slice_from_string(id),
	    .method = SLICE_LITERAL("POST"),
	    .url = SLICE_LITERAL("http://127.0.0.1/"),
	    .headers = SLICE_LITERAL(""),
	    .body = body,
	    .expiry_ms = 1000,
	};
	*add = (struct store_add){.event = event, .key = key_of(id)};
	ck_assert_int_eq(event_fingerprint(event, add->fingerprint), 0);
}

/* The event, and beside it as many others as make a batch of n. */
static enum add_outcome
add_among(int node, const char *id, int n)
{
	struct event events[ADDS_MAX];
	struct store_add adds[ADDS_MAX], *list[ADDS_MAX];
	char ids[ADDS_MAX][32];
	static int batch;

	batch++;
	for (int i = 0; i < n; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "other-%d-%d", batch, i);
		make_add(&adds[i], &events[i], i == 0 ? id : ids[i],
		    SLICE_LITERAL("{}"));
		list[i] = &adds[i];
	}
	ok(store_add_events(stores[node], list, (size_t)n, &err));
	for (int i = 1; i < n; i++)
		ck_assert_int_eq(adds[i].outcome, ADD_CREATED);
	return adds[0].outcome;
}

static enum cancel_outcome
cancel(int node, const char *id)
{
	const struct event_key key = key_of(id);
	enum cancel_outcome outcome;
	enum event_state state;

	eventually(
	    store_cancel_event(stores[node], &key, &outcome, &state, &err));
	return outcome;
}

static struct store_change
change(int node, const char *id, enum change_verb verb)
{
	struct store_change change = {
	    .key = key_of(id), .verb = verb, .shard = 1, .now_ms = 1000};

	eventually(store_change_event(stores[node], &change, &err));
	return change;
}

static bool
is_there(int node, const char *id, enum store_find what)
{
	const struct event_key key = key_of(id);
	struct store_record *record;
	bool there;

	ok(store_find_event(stores[node], &key, what, &record, &err));
	there = record != NULL;
	store_record_free(record);
	return there;
}

/* ---- workers ---- */

enum { A = 5, B = 6, MAX_ATTEMPTS = 3 };

/* Takes everything; what a dead one had is put back. */
static struct lease_reply
lease(int node, uint64_t owner, uint64_t dead)
{
	static struct store_instance instances[STORE_INSTANCES_MAX];
	const struct store_death death = {.owner = dead, .wire_known = true};
	const struct lease_request request = {.owner = owner,
	    .lease_ms = 60000,
	    .instances = instances,
	    .max_attempts = MAX_ATTEMPTS,
	    .dead = &death,
	    .n_dead = dead != 0};
	struct lease_reply reply;

	eventually(store_lease(stores[node], &request, &reply, &err));
	ck_assert_uint_eq(reply.shards, UINT64_MAX);
	return reply;
}

static struct claim_reply
claim_with(int node, struct claim_request request)
{
	struct claim_reply reply;

	request.horizon_ms = clock_wall_ms();
	eventually(
	    store_settle_and_claim(stores[node], &request, &reply, &err));
	return reply;
}

static struct claim_reply
claim(int node, uint64_t owner, struct store_claim **claims, size_t max)
{
	return claim_with(node, (struct claim_request){.owner = owner,
				    .shards = UINT64_MAX,
				    .claim_max = max,
				    .claims = claims});
}

/* Whether it got the one event that there is. */
static bool
claims_it(int node, uint64_t owner)
{
	struct store_claim *one;
	size_t n = claim(node, owner, &one, 1).n_claims;

	if (n > 0)
		store_claim_free(one);
	return n > 0;
}

static bool
claims_it_alone(int node, uint64_t owner)
{
	struct store_claim *one;
	size_t n = claim_with(node,
	    (struct claim_request){
		.owner = owner, .alone = true, .claim_max = 1, .claims = &one})
		       .n_claims;

	if (n > 0)
		store_claim_free(one);
	return n > 0;
}

/* Whether its result of the first attempt was written. */
static bool
completes(int node, uint64_t owner, int64_t row_id, int code)
{
	const struct store_result result = {.row_id = row_id,
	    .kind = RESULT_COMPLETED,
	    .attempt = 1,
	    .at_ms = 2000,
	    .code = code};

	return claim_with(node,
		   (struct claim_request){
		       .owner = owner, .results = &result, .n_results = 1})
		   .n_stale == 0;
}

/* ---- what a client was told through another node ---- */

/* By itself, and in a transaction with others. */
START_TEST(added_deleted_and_added)
{
	int n = _i == 0 ? 1 : 5;
	struct release release;
	enum add_outcome outcome;

	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	ck_assert(is_there(1, "a", FIND_STATUS));
	hold_back(1);
	ck_assert_int_eq(cancel(0, "a"), CANCEL_DELETED);
	release_begin(&release, 1, CATCHES_UP);
	outcome = add_among(1, "a", n);
	release_end(&release);
	ck_assert_int_eq(outcome, ADD_CREATED);
	for (int i = 0; i < N_NODES; i++)
		ck_assert(is_there(i, "a", FIND_STATUS));
}
END_TEST

START_TEST(added_and_read)
{
	struct release release;
	bool there;

	hold_back(1);
	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	release_begin(&release, 1, CATCHES_UP);
	there = is_there(1, "a", _i == 0 ? FIND_STATUS : FIND_WHOLE);
	release_end(&release);
	ck_assert(there);
}
END_TEST

START_TEST(deleted_and_read)
{
	struct release release;
	bool there;

	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	ck_assert(is_there(1, "a", FIND_STATUS));
	hold_back(1);
	ck_assert_int_eq(cancel(0, "a"), CANCEL_DELETED);
	release_begin(&release, 1, CATCHES_UP);
	there = is_there(1, "a", FIND_STATUS);
	release_end(&release);
	ck_assert(!there);
}
END_TEST

START_TEST(added_and_deleted)
{
	struct release release;
	enum cancel_outcome outcome;

	hold_back(1);
	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	release_begin(&release, 1, CATCHES_UP);
	outcome = cancel(1, "a");
	release_end(&release);
	ck_assert_int_eq(outcome, CANCEL_DELETED);
	ck_assert(!is_there(0, "a", FIND_STATUS));
}
END_TEST

/* Certification alone tells the second of two that it is no news. */
START_TEST(added_twice)
{
	struct release release;
	enum add_outcome outcome;

	hold_back(1);
	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	release_begin(&release, 1, WRITES);
	outcome = add_among(1, "a", _i == 0 ? 1 : 5);
	release_end(&release);
	ck_assert_int_eq(outcome, ADD_SAME);
}
END_TEST

/* ---- the fence: locks are of one node, certification of all ---- */

/* The row of the event, at all nodes and claimed by nobody, and A has all
 * leases. */
static int64_t
add_for_a(void)
{
	int64_t row_id;

	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	row_id = read_number(0, "SELECT id FROM event");
	(void)lease(1, A, 0);
	for (int i = 0; i < N_NODES; i++)
		wait_in_step(i);
	return row_id;
}

static int64_t
status_of_row(void)
{
	wait_in_step(0);
	return read_number(0, "SELECT status FROM event");
}

/* No lease is asked for in quarantine: only the row itself decides. */
START_TEST(two_mark_one_row)
{
	struct release release;
	bool second;

	(void)add_for_a();
	run_sql(0, "UPDATE event SET suspect = 2, due_ms = due_ms + (1 << 48)");
	wait_in_step(1);
	hold_back(1);
	ck_assert(claims_it_alone(0, B));
	release_begin(&release, 1, COMMITS);
	second = claims_it_alone(1, A);
	release_end_defeated(&release);
	ck_assert(!second);
	ck_assert_int_eq(
	    read_number(0, "SELECT CAST(owner AS SIGNED) FROM event"), B);
}
END_TEST

/* A still sees its leases, and the event that B has claimed. */
START_TEST(lease_taken_over)
{
	struct release release;
	bool second;

	(void)add_for_a();
	hold_back(1);
	(void)lease(0, B, A);
	ck_assert(claims_it(0, B));
	release_begin(&release, 1, COMMITS);
	second = claims_it(1, A);
	release_end_defeated(&release);
	ck_assert(!second);
	ck_assert_int_eq(
	    read_number(0, "SELECT CAST(owner AS SIGNED) FROM event"), B);
}
END_TEST

START_TEST(claimed_and_deleted)
{
	struct release release;
	enum cancel_outcome outcome;

	(void)add_for_a();
	hold_back(1);
	ck_assert(claims_it(0, A));
	release_begin(&release, 1, COMMITS);
	outcome = cancel(1, "a");
	release_end_defeated(&release);
	ck_assert_int_eq(outcome, CANCEL_REFUSED);
	ck_assert_int_eq(status_of_row(), 1);
}
END_TEST

/* A change is one of the row as it is, wherever it came from. */
START_TEST(claimed_and_run)
{
	struct release release;
	struct store_change made;

	(void)add_for_a();
	hold_back(1);
	ck_assert(claims_it(0, A));
	release_begin(&release, 1, COMMITS);
	made = change(1, "a", CHANGE_RUN);
	release_end_defeated(&release);
	ck_assert_int_eq(made.outcome, CHANGE_REFUSED);
	ck_assert_int_eq(made.state, EVENT_PROCESSING);
	ck_assert_int_eq(status_of_row(), 1);
}
END_TEST

/* Of two that begin it again one did. */
START_TEST(retried_twice)
{
	struct release release;
	struct store_change made;
	int64_t row_id = add_for_a();

	ck_assert(claims_it(0, A));
	ck_assert(completes(0, A, row_id, 200));
	ck_assert(is_there(1, "a", FIND_STATUS));
	hold_back(1);
	ck_assert_int_eq(change(0, "a", CHANGE_RETRY).outcome, CHANGE_MADE);
	release_begin(&release, 1, COMMITS);
	made = change(1, "a", CHANGE_RETRY);
	release_end_defeated(&release);
	ck_assert_int_eq(made.outcome, CHANGE_REFUSED);
	ck_assert_int_eq(made.state, EVENT_PENDING);
	ck_assert_int_eq(status_of_row(), 0);
}
END_TEST

static enum schedule_outcome
put_one_of_one(int node, const char *name)
{
	struct zones *zones = zones_create(zones_directory());
	struct store_add add;
	struct event event;
	struct schedule_put put = {.app = SLICE_LITERAL("app"),
	    .name = slice_from_string(name),
	    .spec = SLICE_LITERAL("{\"every\": \"10s\"}"),
	    .event = &event,
	    .max = 1,
	    .zones = zones};

	make_add(&add, &event, "", SLICE_LITERAL("{}"));
	event.options = SLICE_LITERAL("{\"later\":1}");
	eventually(store_put_schedule(stores[node], &put, &err));
	zones_free(&zones);
	return put.outcome;
}

/* Two that are made at two nodes are not one more than there may be. */
START_TEST(two_schedules_at_once)
{
	struct release release;
	enum schedule_outcome second;

	hold_back(1);
	ck_assert_int_eq(put_one_of_one(0, "a"), SCHEDULE_MADE);
	release_begin(&release, 1, COMMITS);
	second = put_one_of_one(1, "b");
	release_end_defeated(&release);
	ck_assert_int_eq(second, SCHEDULE_TOO_MANY);
	wait_in_step(0);
	ck_assert_int_eq(read_number(0, "SELECT COUNT(*) FROM schedule"), 1);
}
END_TEST

/* What was begun again is not purged by who has yet to see it. */
START_TEST(retried_and_purged)
{
	struct release release;
	int64_t row_id = add_for_a();
	size_t n;

	ck_assert(claims_it(0, A));
	ck_assert(completes(0, A, row_id, 200));
	ck_assert(is_there(1, "a", FIND_STATUS));
	hold_back(1);
	ck_assert_int_eq(change(0, "a", CHANGE_RETRY).outcome, CHANGE_MADE);
	release_begin(&release, 1, COMMITS);
	ok(store_purge(stores[1], UINT64_MAX, 3000, 10, &n, &err));
	release_end_defeated(&release);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(status_of_row(), 0);
}
END_TEST

START_TEST(deleted_and_claimed)
{
	struct release release;
	bool claimed;

	(void)add_for_a();
	hold_back(1);
	ck_assert_int_eq(cancel(0, "a"), CANCEL_DELETED);
	release_begin(&release, 1, COMMITS);
	claimed = claims_it(1, A);
	release_end_defeated(&release);
	ck_assert(!claimed);
}
END_TEST

START_TEST(put_back_and_completed)
{
	struct release release;
	bool late;
	int64_t row_id = add_for_a();

	ck_assert(claims_it(1, A));
	wait_in_step(0);
	hold_back(1);
	ck_assert_uint_eq(lease(0, B, A).n_interrupted, 1);
	ck_assert(claims_it(0, B));
	release_begin(&release, 1, COMMITS);
	late = completes(1, A, row_id, 201);
	release_end_defeated(&release);
	ck_assert(!late);
	ck_assert(completes(0, B, row_id, 202));
	ck_assert_int_eq(read_number(0, "SELECT last_code FROM event"), 202);
}
END_TEST

START_TEST(completed_and_put_back)
{
	struct release release;
	struct lease_reply reply;
	int64_t row_id = add_for_a();

	ck_assert(claims_it(0, A));
	wait_in_step(1);
	hold_back(1);
	ck_assert(completes(0, A, row_id, 201));
	release_begin(&release, 1, COMMITS);
	reply = lease(1, B, A);
	release_end_defeated(&release);
	ck_assert_uint_eq(reply.n_interrupted, 0);
	ck_assert_int_eq(status_of_row(), 2);
}
END_TEST

static void *
init_db(void *store)
{
	struct err reason = {0};

	if (store_check(store, true, &reason) == STORE_OK)
		return NULL;
	(void)fprintf(stderr, "%s\n", reason.text);
	return store;
}

START_TEST(schema_made_twice)
{
	pthread_t threads[N_NODES];
	void *failed;

	run_sql(0, "DROP DATABASE cassata");
	for (int i = 0; i < N_NODES; i++) {
		wait_in_step(i);
		store_close(&stores[i]);
		stores[i] = open_node(i);
	}
	for (int i = 0; i < N_NODES; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, init_db, stores[i]), 0);
	for (int i = 0; i < N_NODES; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	for (int i = 0; i < N_NODES; i++) {
		wait_in_step(i);
		ok(store_check(stores[i], false, &err));
		ck_assert_int_eq(
		    read_number(i, "SELECT COUNT(*) FROM cassata.lease"), 64);
	}
}
END_TEST

/* ---- a move ---- */

static void
no_progress(void *arg, const struct move_progress *progress)
{
	(void)arg;
	(void)progress;
}

static void
no_wait(void *arg, const char *where, int64_t n_workers, int64_t max_ms)
{
	(void)arg;
	(void)where;
	(void)n_workers;
	(void)max_ms;
}

/* What was acknowledged by another node is moved, too: once the tables are
 * locked it would not come any more, and the sums would agree without it. */
START_TEST(moved_from_behind)
{
	char dir[] = "/tmp/cassata-move-XXXXXX", url[64];
	const struct store_params source = {
	    .url = urls[1], .connect_timeout_ms = 5000, .timeout_ms = 20000};
	struct store_params target = source;
	struct move_params params = {.source = &source,
	    .target = &target,
	    .progress = no_progress,
	    .on_wait = no_wait};
	struct move_result results[MOVE_TABLES];
	struct release release;
	bool resumed, same;
	struct move *move;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(url, sizeof(url), "sqlite:%s/moved.db", dir);
	target.url = url;
	hold_back(1);
	ck_assert_int_eq(add_among(0, "a", 1), ADD_CREATED);
	release_begin(&release, 1, CATCHES_UP);
	ck_assert_msg(move_open(&params, &move, &err) == 0, "%s", err.text);
	ck_assert_msg(move_begin(move, &resumed, &err) == 0, "%s", err.text);
	ck_assert_msg(move_copy(move, &err) == 0, "%s", err.text);
	ck_assert_msg(
	    move_compare(move, results, &same, &err) == 0, "%s", err.text);
	ck_assert_msg(move_end(move, &err) == 0, "%s", err.text);
	move_close(&move);
	release_end(&release);
	ck_assert(same);
	ck_assert_str_eq(results[0].table, "event");
	ck_assert_int_eq(results[0].n_target, 1);
	(void)snprintf(url, sizeof(url), "%s/moved.db", dir);
	ck_assert_int_eq(unlink(url), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* ---- the size of a transaction ---- */

enum { BIG = 16, BIG_BYTES = 100000 };

#define SMALL_TRANSACTIONS "SET GLOBAL wsrep_max_ws_size = 1048576"

/* The store of the node learns of it, or does not. */
static void
set_transaction_max(int node, bool told)
{
	run_sql(node, SMALL_TRANSACTIONS);
	if (!told)
		return;
	store_close(&stores[node]);
	stores[node] = open_node(node);
}

static void
add_big(int node)
{
	static char body[BIG_BYTES];
	struct event events[BIG];
	struct store_add adds[BIG], *list[BIG];
	char ids[BIG][16];

	memset(body, 'a', sizeof(body));
	for (int i = 0; i < BIG; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "big%d", i);
		make_add(
		    &adds[i], &events[i], ids[i], slice_of(body, sizeof(body)));
		list[i] = &adds[i];
	}
	ok(store_add_events(stores[node], list, BIG, &err));
	for (int i = 0; i < BIG; i++)
		ck_assert_int_eq(adds[i].outcome, ADD_CREATED);
}

/* As many as one call gets, small and with labels: what a row is in the write
 * set beside its bytes is reckoned with. */
START_TEST(many_small)
{
	enum { MANY = 2000 };
	static struct event events[MANY];
	static struct store_add adds[MANY], *list[MANY];
	static char ids[MANY][16];

	set_transaction_max(0, true);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "small%d", i);
		make_add(&adds[i], &events[i], ids[i], SLICE_LITERAL("{}"));
		if (_i == 1) {
			events[i].options = SLICE_LITERAL(
			    "{\"labels\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\","
			    "\"d\":\"4\",\"e\":\"5\",\"f\":\"6\",\"g\":\"7\","
			    "\"h\":\"8\"}}");
			events[i].n_labels = 8;
			ck_assert_int_eq(event_fingerprint(&events[i],
					     adds[i].fingerprint),
			    0);
		}
		list[i] = &adds[i];
	}
	ok(store_add_events(stores[0], list, MANY, &err));
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(adds[i].outcome, ADD_CREATED);
	ck_assert_int_eq(
	    read_number(0, "SELECT COUNT(*) FROM label"), _i * 8 * MANY);
}
END_TEST

static enum store_status
settle(int node, const struct store_result *results, size_t n)
{
	const struct claim_request request = {
	    .owner = A, .results = results, .n_results = n};
	struct claim_reply reply;

	return store_settle_and_claim(stores[node], &request, &reply, &err);
}

/* As a worker does: in halves where the datastore does not take all. */
static void
settle_in_halves(int node, const struct store_result *results, size_t n)
{
	enum store_status status = settle(node, results, n);

	if (status == STORE_OK)
		return;
	ck_assert_int_eq(status, STORE_BROKEN);
	ck_assert_uint_gt(n, 1);
	settle_in_halves(node, results, n / 2);
	settle_in_halves(node, results + n / 2, n - n / 2);
}

/* No call writes more than the node takes, from the add to the purge. */
START_TEST(more_than_a_transaction)
{
	struct store_claim *claims[BIG];
	struct store_result results[BIG];
	size_t n = 0, n_claims = 0;

	set_transaction_max(0, _i == 0);
	add_big(0);
	(void)lease(0, A, 0);
	for (struct claim_reply reply; n < BIG; n += reply.n_claims) {
		reply = claim(0, A, claims + n, BIG - n);
		ck_assert_uint_gt(reply.n_claims, 0);
		ck_assert(reply.cut || n + reply.n_claims == BIG);
		n_claims++;
	}
	ck_assert_uint_gt(n_claims, 1);
	for (size_t i = 0; i < BIG; i++) {
		results[i] = (struct store_result){.row_id = claims[i]->row_id,
		    .kind = RESULT_COMPLETED,
		    .attempt = 1,
		    .at_ms = 2000,
		    .code = 200};
		store_claim_free(claims[i]);
	}
	settle_in_halves(0, results, BIG);
	ok(store_purge(stores[0], UINT64_MAX, 3000, 1000, &n, &err));
	ck_assert_uint_eq(n, BIG);
}
END_TEST

/* The rows that a dead worker had: by the note of its death (even), or in its
 * shards. */
START_TEST(put_back_more_than_a_transaction)
{
	struct store_claim *claims[BIG];
	struct lease_reply reply;
	size_t n = 0;

	add_big(0);
	(void)lease(0, A, 0);
	while (n < BIG)
		n += claim(0, A, claims + n, BIG - n).n_claims;
	for (size_t i = 0; i < BIG; i++)
		store_claim_free(claims[i]);
	if (_i % 2 != 0)
		run_sql(0, "DELETE FROM instance");
	set_transaction_max(0, _i < 2);
	for (n = 0; n < BIG; n += reply.n_interrupted) {
		reply = lease(0, B, _i % 2 == 0 ? A : 0);
		ck_assert_uint_gt(reply.n_interrupted, 0);
		ck_assert_uint_lt(reply.n_interrupted, BIG);
		ck_assert(reply.rest || n + reply.n_interrupted == BIG);
	}
	ck_assert(!lease(0, B, _i % 2 == 0 ? A : 0).rest);
	ck_assert_int_eq(
	    read_number(0, "SELECT COUNT(*) FROM event WHERE status = 1"), 0);
}
END_TEST

START_TEST(an_event_more_than_a_transaction)
{
	static const size_t sizes[] = {200000, 300000, 2000000};
	static char body[2000000];
	struct event events[3];
	struct store_add adds[3], *list[3];
	static const char *const ids[] = {"a", "b", "c"};

	set_transaction_max(0, true);
	memset(body, 'a', sizeof(body));
	for (int i = 0; i < 3; i++) {
		make_add(
		    &adds[i], &events[i], ids[i], slice_of(body, sizes[i]));
		list[i] = &adds[i];
	}
	ok(store_add_events(stores[0], list, 3, &err));
	ck_assert_int_eq(adds[0].outcome, ADD_CREATED);
	ck_assert_int_eq(adds[1].outcome, ADD_TOO_LARGE);
	ck_assert_int_eq(adds[2].outcome, ADD_TOO_LARGE);
}
END_TEST

/* ---- a transaction that is taken back ---- */

static struct sql *
open_sql(int node)
{
	const struct store_params params = {
	    .url = urls[node], .connect_timeout_ms = 5000, .timeout_ms = 20000};
	struct sql *sql;

	ck_assert_int_eq(sql_mysql.create(&params, &sql, &err), 0);
	ck_assert_msg(sql_mysql.open(sql, &err) == STORE_OK, "%s", err.text);
	return sql;
}

/* What is told that the cluster has taken the first run back: each is the next
 * word to the server. */
enum told { TOLD_ROLLBACK, TOLD_OF_A_FAILURE, TOLD_STATEMENT, TOLD_COMMIT };

struct victim {
	enum told told;
	int n_runs;
	int64_t connections[2]; /* of the first run and of the second */
};

/* Another node writes a row that the first run has locked, and commits: its
 * applier here has the right of way. */
static enum store_status
be_overtaken(struct sql *sql, void *arg, struct err *e)
{
	static const char wants[] = "DELETE FROM stopper WHERE id = 1";
	static const struct sql_text connection = {
	    .head = "SELECT CONNECTION_ID()", .columns = "i"};
	struct victim *v = arg;

	ck_assert_int_lt(v->n_runs, 2);
	ok(sql_value(sql, &connection, &v->connections[v->n_runs], e));
	ok(sql->driver->run(sql, wants, e));
	if (v->n_runs++ > 0)
		return STORE_OK;
	run_sql(0, wants);
	wait_in_step(1);
	switch (v->told) {
	case TOLD_ROLLBACK:
		return sql_be_current(sql, e);
	case TOLD_OF_A_FAILURE:
		return STORE_BROKEN;
	case TOLD_STATEMENT:
		return sql->driver->run(sql, "DO 1", e);
	case TOLD_COMMIT:
		break;
	}
	return STORE_OK;
}

/* It costs no connection, and a run that had failed by itself is none that is
 * to be repeated. */
START_TEST(taken_back)
{
	struct victim v = {.told = (enum told)_i};
	int64_t n_defeats = read_number(1, N_DEFEATS);
	struct sql *sql = open_sql(1);
	enum store_status status;

	run_sql(1, "INSERT INTO stopper VALUES (1)");
	wait_in_step(0);
	status = sql_transact(sql, be_overtaken, &v, &err);
	ck_assert_int_gt(read_number(1, N_DEFEATS), n_defeats);
	ck_assert_msg(sql->connected, "%s", err.text);
	if (v.told == TOLD_OF_A_FAILURE) {
		ck_assert_int_eq(status, STORE_BROKEN);
		ck_assert_int_eq(v.n_runs, 1);
	} else {
		ck_assert_msg(status == STORE_OK, "%s", err.text);
		ck_assert_int_eq(v.n_runs, 2);
		ck_assert_int_eq(v.connections[0], v.connections[1]);
	}
	/* And nothing of it is left. */
	v.n_runs = 1;
	ok(sql_transact(sql, be_overtaken, &v, &err));
	sql_mysql.destroy(sql);
}
END_TEST

/* ---- a node that leaves ---- */

#define SET_ISOLATED "SET GLOBAL wsrep_provider_options = 'gmcast.isolate="

static void
wait_for_ready(int node)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	bool is_so = false;

	while (!is_so) {
		MYSQL_RES *result;

		ck_assert_int_lt(clock_mono_ms(), until_ms);
		run_sql(node, "SHOW GLOBAL STATUS LIKE 'wsrep_ready'");
		result = mysql_store_result(admins[node]);
		ck_assert_ptr_nonnull(result);
		is_so = strcmp(mysql_fetch_row(result)[1], "ON") == 0;
		mysql_free_result(result);
		(void)poll(NULL, 0, 10);
	}
}

static enum store_status
leave_amid(struct sql *sql, void *arg, struct err *e)
{
	const bool *commits = arg;

	ok(sql->driver->run(sql, "INSERT INTO stopper VALUES (-1)", e));
	run_sql(1, SET_ISOLATED "1'");
	return *commits ? STORE_OK : sql_be_current(sql, e);
}

/* The next call is for another node: this one would refuse it, too. */
START_TEST(node_leaves_before_the_end)
{
	bool commits = _i == 0;
	struct sql *sql = open_sql(1);

	ck_assert_int_eq(
	    sql_transact(sql, leave_amid, &commits, &err), STORE_UNAVAILABLE);
	run_sql(1, SET_ISOLATED "0'");
	wait_for_ready(1);
	/* 1180; or 1047 when it had long been alone, and after a ROLLBACK. */
	ck_assert_msg(!sql->connected, "%s", err.text);
	wait_in_step(1);
	ck_assert_int_eq(read_number(1, "SELECT COUNT(*) FROM stopper"), 0);
	sql_mysql.destroy(sql);
}
END_TEST

/* Without one, two nodes may not agree on which row is meant. */
START_TEST(tables_have_primary_keys)
{
	ck_assert_int_eq(
	    read_number(0,
		"SELECT COUNT(*) FROM information_schema.tables t"
		" WHERE table_schema = 'cassata' AND table_name <> 'stopper'"
		" AND NOT EXISTS (SELECT * FROM"
		" information_schema.table_constraints c"
		" WHERE c.table_schema = t.table_schema"
		" AND c.table_name = t.table_name"
		" AND constraint_type = 'PRIMARY KEY')"),
	    0);
}
END_TEST

/* ---- */

static Suite *
make_suite(void)
{
	Suite *suite = suite_create("store_galera");
	TCase *tc = tcase_create("nodes");

	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, added_deleted_and_added, 0, 2);
	tcase_add_loop_test(tc, added_and_read, 0, 2);
	tcase_add_test(tc, deleted_and_read);
	tcase_add_test(tc, added_and_deleted);
	tcase_add_loop_test(tc, added_twice, 0, 2);
	tcase_add_test(tc, two_mark_one_row);
	tcase_add_test(tc, lease_taken_over);
	tcase_add_test(tc, claimed_and_deleted);
	tcase_add_test(tc, claimed_and_run);
	tcase_add_test(tc, retried_twice);
	tcase_add_test(tc, two_schedules_at_once);
	tcase_add_test(tc, retried_and_purged);
	tcase_add_test(tc, deleted_and_claimed);
	tcase_add_test(tc, put_back_and_completed);
	tcase_add_test(tc, completed_and_put_back);
	tcase_add_loop_test(tc, schema_made_twice, 0, 5);
	tcase_add_loop_test(tc, more_than_a_transaction, 0, 2);
	tcase_add_loop_test(tc, many_small, 0, 2);
	tcase_add_loop_test(tc, put_back_more_than_a_transaction, 0, 4);
	tcase_add_test(tc, an_event_more_than_a_transaction);
	tcase_add_test(tc, tables_have_primary_keys);
	tcase_add_test(tc, moved_from_behind);
	tcase_add_loop_test(tc, taken_back, 0, TOLD_COMMIT + 1);
	tcase_add_loop_test(tc, node_leaves_before_the_end, 0, 2);
	return suite;
}

int
main(void)
{

	for (int i = 0; i < N_NODES; i++) {
		char name[32];

		(void)snprintf(
		    name, sizeof(name), "CASSATA_TEST_NODE_%d", i + 1);
		urls[i] = getenv(name);
		if (urls[i] == NULL)
			return SKIPPED;
	}
	return suite_run(make_suite());
}
