/* SPDX-License-Identifier: ISC */
/*
 * What only a cluster can meet: several stores, each at another node. Run by
 * tests/galera, skipped without. Where it matters what a node has not applied
 * yet, its applier (it must be one, or another begins what is next) waits for a
 * table that the test has locked.
 */
#include "store/store.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <mysql.h>

#include "base/clock.h"
#include "sql/sql_url.h"

enum { SKIPPED = 77, N_NODES = 3, WAIT_MS = 20000, ADDS_MAX = 32 };

static const char *urls[N_NODES];
static MYSQL *admins[N_NODES]; /* connections of the test's own */
static struct store *stores[N_NODES];
static struct err err;

#define ok(call)                                                               \
	do {                                                                   \
		enum store_status status_ = (call);                            \
		ck_assert_msg(status_ == STORE_OK, "%s", err.text);            \
	} while (0)

static void
run_sql(int node, const char *text)
{
	ck_assert_msg(mysql_query(admins[node], text) == 0, "%s: %s", text,
	    mysql_error(admins[node]));
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

/* What has been committed through any node is at this one. */
static void
wait_in_step(int node)
{
	(void)read_number(
	    node, "SET STATEMENT wsrep_sync_wait = 1 FOR SELECT 1");
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

/* What somebody else is at, at a node. */
#define COUNT_SESSIONS                                                         \
	"SELECT COUNT(*) FROM information_schema.processlist"                  \
	" WHERE id <> CONNECTION_ID() AND "
#define CATCHES_UP COUNT_SESSIONS "info LIKE 'SET STATEMENT wsrep_sync_wait%'"
#define WRITES     COUNT_SESSIONS "(info LIKE 'INSERT%' OR info = 'COMMIT')"

struct release {
	int node;
	const char *when;
	atomic_bool over; /* the call did not wait */
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
	*r = (struct release){
	    .node = node, .when = when, .watch = connect_to(urls[node])};
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

	ok(store_cancel_event(stores[node], &key, &outcome, &state, &err));
	return outcome;
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

/* ---- the size of a transaction ---- */

enum { BIG = 16, BIG_BYTES = 100000, OWNER = 5 };

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

static void
lease_all(int node)
{
	const struct lease_request request = {
	    .owner = OWNER, .lease_ms = 60000, .max_attempts = 3};
	struct lease_reply reply;

	ok(store_lease(stores[node], &request, &reply, &err));
	ck_assert_uint_eq(reply.shards, UINT64_MAX);
}

static struct claim_reply
claim(int node, struct store_claim **claims, size_t max)
{
	const struct claim_request request = {.owner = OWNER,
	    .shards = UINT64_MAX,
	    .claim_max = max,
	    .horizon_ms = INT64_MAX,
	    .claims = claims};
	struct claim_reply reply;

	ok(store_settle_and_claim(stores[node], &request, &reply, &err));
	return reply;
}

static enum store_status
settle(int node, const struct store_result *results, size_t n)
{
	const struct claim_request request = {
	    .owner = OWNER, .results = results, .n_results = n};
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
	lease_all(0);
	for (struct claim_reply reply; n < BIG; n += reply.n_claims) {
		reply = claim(0, claims + n, BIG - n);
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
	tcase_add_loop_test(tc, more_than_a_transaction, 0, 2);
	tcase_add_test(tc, an_event_more_than_a_transaction);
	tcase_add_test(tc, tables_have_primary_keys);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(make_suite());
	int failures;

	for (int i = 0; i < N_NODES; i++) {
		char name[32];

		(void)snprintf(
		    name, sizeof(name), "CASSATA_TEST_NODE_%d", i + 1);
		urls[i] = getenv(name);
		if (urls[i] == NULL)
			return SKIPPED;
	}
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
