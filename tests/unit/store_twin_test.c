/* SPDX-License-Identifier: ISC */
/*
 * What an operation leaves when any one of its calls to the database fails, or
 * when the answer to it is lost: what store.h promises, and nothing else. Each
 * operation is run again and again, until the failure comes behind its last
 * call. The operations are called directly, without the pauses of store.c.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "sql_twin.h"
#include "store/add.h"
#include "store/cancel.h"
#include "store/claim.h"
#include "store/find.h"
#include "store/lease.h"
#include "store/newest.h"
#include "store/pause.h"
#include "store/pauses.h"
#include "store/purge.h"
#include "store/schedule_change.h"
#include "store/schema.h"
#include "store/store.h"
#include "suite.h"

enum { N = 6, OWNER = 7, OTHER = 8, CALLS_MAX = 200 };

static const enum twin_failure failures[] = {
    TWIN_FAILS, TWIN_AGAIN, TWIN_BREAKS, TWIN_LOST};
enum { N_FAILURES = sizeof(failures) / sizeof(failures[0]) };

static char dir[64], url[96];
static struct sql *sql;
static struct err err;
static struct event events[N];
static struct store_add adds[N];
static struct store_add *list[N];
static struct store_claim *claims[N];

#define ok(call) ck_assert_msg((call) == STORE_OK, "%s", err.text)

static void
remove_files(void)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	(void)closedir(d);
}

/* A file anew, with no failure planned. */
static void
open_anew(void)
{
	const struct store_params params = {.url = url, .timeout_ms = 2000};

	if (sql != NULL)
		sql_twin.destroy(sql);
	remove_files();
	twin = (struct twin){0};
	ck_assert_int_eq(sql_twin.create(&params, &sql, &err), 0);
	ok(sql_twin.open(sql, &err));
}

static void
begin_anew(void)
{
	open_anew();
	ok(schema_check(sql, true, 0, &err));
}

static void
setup(void)
{
	static char ids[N][8];

	for (int i = 0; i < N; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "e%d", i);
		events[i] = (struct event){
		    .app = SLICE_LITERAL("app"),
		    .id = slice_from_string(ids[i]),
		    .method = SLICE_LITERAL("POST"),
		    .url = SLICE_LITERAL("http://a/"),
		    .headers = SLICE_LITERAL(""),
		    .body = SLICE_LITERAL("{}"),
		    .expiry_ms = 1000 + i,
		};
		adds[i] = (struct store_add){.event = &events[i]};
		ck_assert_int_eq(
		    event_key_make(events[i].app, events[i].id, &adds[i].key),
		    0);
		adds[i].fingerprint[0] = (uint8_t)i;
	}
}

static void
teardown(void)
{
	sql_twin.destroy(sql);
	sql = NULL;
	remove_files();
}

/* Plans the failure for the n-th call from now on. */
static void
plan(enum twin_failure failure, unsigned n)
{
	twin = (struct twin){.failure = failure, .fails_at = n};
}

/* Whether the failure has come; the connection is one again. */
static bool
has_failed(void)
{
	bool came = twin.n_calls >= twin.fails_at;

	ck_assert_uint_lt(twin.n_calls, CALLS_MAX);
	twin = (struct twin){0};
	if (!sql->connected)
		ok(sql_twin.open(sql, &err));
	return came;
}

static enum store_status
add_all(void)
{
	for (int i = 0; i < N; i++)
		list[i] = &adds[i];
	return add_new_events(sql, list, N, &err);
}

static size_t
count_found(void)
{
	size_t n = 0;

	for (int i = 0; i < N; i++) {
		struct store_record *record;

		ok(find_event(sql, &adds[i].key, FIND_WHOLE, &record, &err));
		n += record != NULL;
		store_record_free(record);
	}
	return n;
}

static enum store_status
lease(struct lease_reply *reply, bool in_doubt)
{
	static struct store_instance instances[STORE_INSTANCES_MAX];
	const struct lease_request request = {.owner = OWNER,
	    .lease_ms = 60000,
	    .instances = instances,
	    .in_doubt = in_doubt,
	    .max_attempts = 3};

	return lease_shards(sql, &request, reply, &err);
}

static enum store_status
turn(struct claim_reply *reply, const struct store_result *results,
    size_t n_results, size_t claim_max)
{
	const struct claim_request request = {.owner = OWNER,
	    .shards = UINT64_MAX,
	    .results = results,
	    .n_results = n_results,
	    .claim_max = claim_max,
	    .horizon_ms = 5000,
	    .claims = claims};

	return settle_and_claim(sql, &request, reply, &err);
}

static void
free_claims(struct claim_reply *reply)
{
	while (reply->n_claims > 0)
		store_claim_free(claims[--reply->n_claims]);
}

/* What must come of a call by the failure planned for it. */
static void
assert_came(enum store_status status, enum twin_failure failure, bool came)
{
	ck_assert_msg(
	    status ==
		(came && failure != TWIN_AGAIN ? STORE_UNAVAILABLE : STORE_OK),
	    "%s", err.text);
}

START_TEST(test_add)
{
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		enum store_status status;
		size_t there;

		begin_anew();
		plan(failure, n);
		status = add_all();
		came = has_failed();
		assert_came(status, failure, came);
		there = count_found();
		/* All, or none. */
		if (status == STORE_OK)
			ck_assert_uint_eq(there, N);
		else
			ck_assert(
			    there == 0 || (failure == TWIN_LOST && there == N));
		ok(add_all());
		for (int i = 0; i < N; i++)
			ck_assert_int_eq(adds[i].outcome,
			    there == 0 ? ADD_CREATED : ADD_SAME);
		ck_assert_uint_eq(count_found(), N);
	}
}
END_TEST

START_TEST(test_cancel)
{
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		enum cancel_outcome outcome;
		enum event_state state;
		enum store_status status;
		size_t there;

		begin_anew();
		ok(add_all());
		plan(failure, n);
		status =
		    cancel_event(sql, &adds[0].key, &outcome, &state, &err);
		came = has_failed();
		assert_came(status, failure, came);
		there = count_found();
		if (status == STORE_OK)
			ck_assert_uint_eq(there, N - 1);
		else
			ck_assert(there == N || failure == TWIN_LOST);
		ok(cancel_event(sql, &adds[0].key, &outcome, &state, &err));
		ck_assert_int_eq(
		    outcome, there == N ? CANCEL_DELETED : CANCEL_UNKNOWN);
		ck_assert_uint_eq(count_found(), N - 1);
	}
}
END_TEST

/* An answer that is lost leaves leases that are renewed, and no stray. */
START_TEST(test_lease)
{
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		struct lease_reply reply;
		enum store_status status;

		begin_anew();
		plan(failure, n);
		status = lease(&reply, true);
		came = has_failed();
		assert_came(status, failure, came);
		ok(lease(&reply, true));
		ck_assert_uint_eq(reply.shards, UINT64_MAX);
		ck_assert_uint_eq(reply.n_living, 1);
		ck_assert_uint_eq(reply.n_strays, 0);
	}
}
END_TEST

/* Nothing claimed, as far as the caller goes; what is, is told as strays. */
START_TEST(test_claim)
{
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		struct store_result released[N];
		struct lease_reply leased;
		struct claim_reply reply;
		enum store_status status;

		begin_anew();
		ok(add_all());
		ok(lease(&leased, false));
		plan(failure, n);
		status = turn(&reply, NULL, 0, N);
		came = has_failed();
		assert_came(status, failure, came);
		ck_assert_uint_eq(reply.n_claims, status == STORE_OK ? N : 0);
		for (size_t i = 0; i < reply.n_claims; i++)
			ck_assert_uint_eq(claims[i]->attempt, 1);
		free_claims(&reply);
		ok(lease(&leased, true));
		ck_assert(leased.n_strays == 0 || leased.n_strays == N);
		if (status != STORE_OK && failure != TWIN_LOST)
			ck_assert_uint_eq(leased.n_strays, 0);
		for (size_t i = 0; i < leased.n_strays; i++)
			released[i] =
			    (struct store_result){.row_id = leased.strays[i],
				.kind = RESULT_RELEASED};
		/* Released, all are there for the same attempt. */
		ok(turn(&reply, released, leased.n_strays, N));
		ck_assert_uint_eq(reply.n_stale, 0);
		ck_assert_uint_eq(reply.n_claims, N);
		for (size_t i = 0; i < N; i++)
			ck_assert_uint_eq(claims[i]->attempt, 1);
		free_claims(&reply);
	}
}
END_TEST

/* The results are given again, which is harmless. */
START_TEST(test_settle)
{
	static const enum result_kind kinds[N] = {RESULT_COMPLETED,
	    RESULT_RETRY, RESULT_FAILED, RESULT_COMPLETED, RESULT_RETRY,
	    RESULT_FAILED};
	static const enum event_state states[N] = {EVENT_COMPLETED,
	    EVENT_SERVICE_UNAVAILABLE, EVENT_FAILED, EVENT_COMPLETED,
	    EVENT_SERVICE_UNAVAILABLE, EVENT_FAILED};
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		struct store_result results[N];
		struct lease_reply leased;
		struct claim_reply reply;
		enum store_status status;

		begin_anew();
		ok(add_all());
		ok(lease(&leased, false));
		ok(turn(&reply, NULL, 0, N));
		ck_assert_uint_eq(reply.n_claims, N);
		for (int i = 0; i < N; i++)
			results[i] =
			    (struct store_result){.row_id = claims[i]->row_id,
				.kind = kinds[i],
				.attempt = 1,
				.at_ms = 2000,
				.due_ms = 9000,
				.code = 500,
				.error = SLICE_LITERAL("no"),
				.response = SLICE_LITERAL("oh")};
		free_claims(&reply);
		plan(failure, n);
		status = turn(&reply, results, N, 0);
		came = has_failed();
		assert_came(status, failure, came);
		ok(turn(&reply, results, N, 0));
		ck_assert(reply.n_stale == 0 || reply.n_stale == N);
		for (int i = 0; i < N; i++) {
			struct store_record *record;

			ok(find_event(
			    sql, &adds[i].key, FIND_WHOLE, &record, &err));
			ck_assert_ptr_nonnull(record);
			ck_assert_int_eq(record->state, states[i]);
			ck_assert_uint_eq(record->attempts, 1);
			ck_assert_uint_eq(record->n_log,
			    kinds[i] == RESULT_COMPLETED ? 0 : 1);
			store_record_free(record);
		}
	}
}
END_TEST

static enum store_status
put_each(const char *spec)
{
	struct event ev = events[0];
	struct schedule_put put = {.app = ev.app,
	    .name = SLICE_LITERAL("s"),
	    .spec = slice_from_string(spec),
	    .event = &ev,
	    .max = 1};

	ev.options = SLICE_LITERAL("{\"later\":1}");
	return put_schedule(sql, &put, &err);
}

/* Of another connection, past the twin. */
static void
delete_meanwhile(void)
{
	const struct store_params params = {.url = url, .timeout_ms = 2000};
	struct schedule_change change = {.app = SLICE_LITERAL("app"),
	    .name = SLICE_LITERAL("s"),
	    .verb = SCHEDULE_DELETE};
	struct sql *other;

	ck_assert_int_eq(sql_sqlite.create(&params, &other, &err), 0);
	ok(sql_sqlite.open(other, &err));
	ok(change_schedule(other, &change, &err));
	ck_assert_int_eq(change.outcome, SCHEDULE_MADE);
	sql_sqlite.destroy(other);
}

/* A put is repeated, and what it was to replace is gone by then: nothing of it
 * is left in what is made instead. */
START_TEST(test_put)
{
	bool came = true;

	for (unsigned n = 1; came; n++) {
		struct schedule_change pause = {.app = SLICE_LITERAL("app"),
		    .name = SLICE_LITERAL("s"),
		    .verb = SCHEDULE_PAUSE};
		struct store_schedule *s;

		begin_anew();
		ok(put_each("{\"every\":\"1m\"}"));
		ok(change_schedule(sql, &pause, &err));
		plan(TWIN_AGAIN, n);
		twin.stall = delete_meanwhile;
		twin.stalls_at = n + 1;
		ok(put_each("{\"every\":\"2m\"}"));
		came = has_failed();
		ok(find_schedule(
		    sql, SLICE_LITERAL("app"), SLICE_LITERAL("s"), &s, &err));
		ck_assert_ptr_nonnull(s);
		ck_assert_int_eq(s->paused, !came);
		ck_assert_int_eq(s->next_s != 0, came);
		store_schedule_free(s);
	}
}
END_TEST

START_TEST(test_purge)
{
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		struct store_result results[N];
		struct lease_reply leased;
		struct claim_reply reply;
		enum store_status status;
		size_t purged, rest;

		begin_anew();
		ok(add_all());
		ok(lease(&leased, false));
		ok(turn(&reply, NULL, 0, N));
		for (int i = 0; i < N; i++)
			results[i] =
			    (struct store_result){.row_id = claims[i]->row_id,
				.kind = RESULT_FAILED,
				.attempt = 1,
				.at_ms = 2000};
		free_claims(&reply);
		ok(turn(&reply, results, N, 0));
		plan(failure, n);
		status = purge_ended(sql, UINT64_MAX, 3000, 100, &purged, &err);
		came = has_failed();
		assert_came(status, failure, came);
		rest = count_found();
		ck_assert(rest == 0 || rest == N);
		if (status != STORE_OK && failure != TWIN_LOST)
			ck_assert_uint_eq(rest, purged == 0 ? N : 0);
		ok(purge_ended(sql, UINT64_MAX, 3000, 100, &purged, &err));
		ck_assert_uint_eq(purged, rest);
		ck_assert_uint_eq(count_found(), 0);
	}
}
END_TEST

/* A migration that fails leaves the connection as it was: without the checks
 * that are for others. */
START_TEST(test_migration)
{
	static const struct sql_text unchecked = {
	    .head = "PRAGMA ignore_check_constraints", .columns = "i"};
	enum twin_failure failure = failures[_i];
	bool came = true;

	for (unsigned n = 1; came; n++) {
		int64_t is_unchecked = 0;

		open_anew();
		plan(failure, n);
		if (schema_check(sql, true, 0, &err) != STORE_OK)
			ck_assert_uint_ge(twin.n_calls, n);
		came = has_failed();
		ok(sql_value(sql, &unchecked, &is_unchecked, &err));
		ck_assert_int_eq(is_unchecked, 1);
		ok(schema_check(sql, true, 0, &err));
	}
}
END_TEST

/* ---- a call that stalls ---- */

static size_t n_read;

/* Before the commit of a claim: others read what was, and cannot write. */
static void
meanwhile(void)
{
	const struct store_params params = {.url = url, .timeout_ms = 1};
	struct store_record *record = NULL;
	enum cancel_outcome outcome;
	enum event_state state;
	struct sql *other;

	ck_assert_int_eq(sql_sqlite.create(&params, &other, &err), 0);
	ok(sql_sqlite.open(other, &err));
	for (int i = 0; i < N; i++) {
		ok(find_event(other, &adds[i].key, FIND_STATUS, &record, &err));
		ck_assert_ptr_nonnull(record);
		ck_assert_int_eq(record->state, EVENT_PENDING);
		store_record_free(record);
		n_read++;
	}
	ck_assert_int_eq(
	    cancel_event(other, &adds[0].key, &outcome, &state, &err),
	    STORE_UNAVAILABLE);
	sql_sqlite.destroy(other);
}

START_TEST(test_stall)
{
	struct lease_reply leased;
	struct claim_reply reply;
	unsigned n_calls;

	for (int pass = 0; pass < 2; pass++) {
		begin_anew();
		ok(add_all());
		ok(lease(&leased, false));
		twin = (struct twin){0};
		if (pass == 1) {
			twin.stall = meanwhile;
			twin.stalls_at = n_calls;
		}
		ok(turn(&reply, NULL, 0, N));
		n_calls = twin.n_calls; /* the last is the commit */
		ck_assert_uint_eq(reply.n_claims, N);
		free_claims(&reply);
	}
	ck_assert_uint_eq(n_read, N);
}
END_TEST

/* After a loss there is no pause where another server is. */
START_TEST(test_goes_on)
{
	const struct store_params params = {.url = url, .timeout_ms = 2000};
	struct store *store;

	begin_anew();
	ck_assert_int_eq(store_open_with(&sql_twin, &params, &store, &err), 0);
	list[0] = &adds[0];
	ok(store_add_events(store, list, 1, &err));
	for (int i = 0; i < 3; i++) {
		twin = (struct twin){
		    .failure = TWIN_LOST, .fails_at = 2, .elsewhere = true};
		ck_assert_int_eq(
		    store_add_events(store, list, 1, &err), STORE_UNAVAILABLE);
		ck_assert(store_goes_on(store));
		ok(store_add_events(store, list, 1, &err));
	}
	store_close(&store);
}
END_TEST

/* One that cannot be read for want of memory is not one that is damaged. */
START_TEST(test_pause)
{
	struct store_pauses pauses;
	struct store_pause_change change = {
	    .pause = {.kind = PAUSE_APP,
		.since_ms = 1000,
		.name = SLICE_LITERAL("app"),
		.note = SLICE_LITERAL("")},
	    .max = 1,
	    .found = &pauses,
	};
	bool over;

	begin_anew();
	pauses_init(&pauses);
	ok(pause_change(sql, &change, &err));
	twin.short_of_memory = true;
	ck_assert_int_eq(pause_read(sql, 1000, false, &pauses, &over, &err),
	    STORE_UNAVAILABLE);
	twin.short_of_memory = false;
	ok(pause_read(sql, 1000, false, &pauses, &over, &err));
	ck_assert_uint_eq(pauses.n, 1);
	pauses_fini(&pauses);
}
END_TEST

/* ---- a server that answers with more rows than it is asked for ---- */

static enum store_status
endless_select(struct sql *conn, const struct sql_text *text, unsigned arity,
    struct err *reason)
{
	(void)conn, (void)text, (void)arity, (void)reason;
	return STORE_OK;
}

static bool
endless_next(struct sql *conn, enum store_status *status, struct err *reason)
{
	(void)conn, (void)status, (void)reason;
	return true;
}

/* An event that waits, in shard 1. */
static int64_t
endless_read_i64(struct sql *conn, unsigned column)
{
	static const int64_t row[] = {1000, 1, 1, 0};

	(void)conn;
	return row[column];
}

static enum store_status
endless_done(struct sql *conn, struct err *reason)
{
	(void)conn, (void)reason;
	return STORE_OK;
}

START_TEST(test_endless)
{
	static const struct sql_driver driver = {.kind = SQL_MYSQL,
	    .remote = true,
	    .select = endless_select,
	    .next = endless_next,
	    .done = endless_done,
	    .read_i64 = endless_read_i64};
	static struct sql server = {.driver = &driver};
	struct newest_request request = {.to_ms = 1000, .max = 2};
	struct newest_reply reply;
	struct store_news *news = calloc(request.max, sizeof(*news));

	ck_assert_ptr_nonnull(news);
	for (int marks = 0; marks < 2; marks++) {
		request.marks = marks == 1;
		ok(find_newest(&server, &request, news, &reply, &err));
		ck_assert_uint_eq(reply.n, request.max);
		ck_assert(reply.more);
	}
	free(news);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store_twin");
	TCase *tc = tcase_create("failures");
	/* In memory, where there is such a place: no disk is tested. */
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	int status;

	(void)snprintf(dir, sizeof(dir), "%s/store_twin.XXXXXX", tmp);
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		return EXIT_FAILURE;
	}
	(void)snprintf(url, sizeof(url), "sqlite:%s/test.db", dir);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_add, 0, N_FAILURES);
	tcase_add_loop_test(tc, test_cancel, 0, N_FAILURES);
	tcase_add_loop_test(tc, test_lease, 0, N_FAILURES);
	tcase_add_loop_test(tc, test_claim, 0, N_FAILURES);
	tcase_add_loop_test(tc, test_settle, 0, N_FAILURES);
	tcase_add_loop_test(tc, test_purge, 0, N_FAILURES);
	tcase_add_test(tc, test_put);
	tcase_add_loop_test(tc, test_migration, 0, N_FAILURES);
	tcase_add_test(tc, test_goes_on);
	tcase_add_test(tc, test_stall);
	tcase_add_test(tc, test_pause);
	suite_add_tcase(suite, tc);
	tc = tcase_create("server");
	tcase_add_test(tc, test_endless);
	suite_add_tcase(suite, tc);
	status = suite_run(suite);
	(void)rmdir(dir);
	return status;
}
