/* SPDX-License-Identifier: ISC */
#include "worker/dispatch.h"

#include "board/full.h"
#include "suite.h"
#include "worker_parts.h"

static struct dispatch dispatch;
static struct leases leases;
static struct dbclock db;
static struct holdings held;
static struct delivery_policy policy = {
    .response_bytes_kept = 10, .arg = &dispatch, .ended = dispatch_ended};
static int n_started, depth, max_depth;
static struct delivery *on_wire[100];

/* Takes the place of delivery_start. */
static void
start(struct delivery *d)
{
	d->state = DELIVERY_ON_WIRE;
	d->started_ms = parts_now_ms;
	on_wire[n_started++] = d;
}

static void
end_of(struct delivery *d, enum result_kind kind)
{
	d->state = DELIVERY_FINISHED;
	d->result.kind = kind;
	policy.ended(policy.arg, d);
}

/* The same where there is no memory for a request. */
static void
start_in_vain(struct delivery *d)
{
	if (++depth > max_depth)
		max_depth = depth;
	n_started++;
	d->state = DELIVERY_ON_WIRE;
	d->started_ms = parts_now_ms;
	delivery_release(d, parts_wall() + 1000);
	d->wants = true;
	policy.ended(policy.arg, d);
	depth--;
}

static void
begin(void)
{
	parts_begin();
	n_started = depth = max_depth = 0;
	holdings_init(&held);
	ck_assert_int_eq(
	    leases_init(&leases, &parts_child, &db, parts_done), 0);
	leases.shards = UINT64_MAX;
	leases.until_ms = parts_now_ms + PARTS_LEASE;
	dispatch_init(&dispatch, &parts_child, &held, &leases, &db);
	dispatch.start = start;
}

static void
end(void)
{
	struct delivery *d;

	while ((d = holdings_on_wire(&held)) != NULL)
		end_of(d, RESULT_COMPLETED);
	ck_assert_uint_eq(held.n_on_wire, 0);
	dispatch_release_unbegun(&dispatch);
	holdings_fini(&held);
	leases_fini(&leases);
	parts_end();
}

static void
hold(int64_t row_id, int64_t due_ms, const char *url)
{
	struct store_claim *claim = parts_claim(row_id, 1, due_ms);
	struct delivery *d;

	claim->event.url = slice_from_string(url);
	claim->event.app = slice_of(url, strlen(url));
	d = delivery_create(claim, &policy);
	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(holdings_hold(&held, d, leases.epoch), 0);
}

/* So many of one host and one application, due. */
static void
hold_many(int n)
{
	for (int i = 0; i < n; i++)
		hold(i + 1, parts_wall() - 1, "http://one.example/");
}

/* Each of another host and application: no share is full. */
static void
hold_apart(int n, int64_t due_ms)
{
	static char urls[100][32];

	for (int i = 0; i < n; i++) {
		(void)snprintf(
		    urls[i], sizeof(urls[i]), "http://h%d.example/", i);
		hold(i + 1, due_ms + i, urls[i]);
	}
}

static int64_t
run(void)
{
	return dispatch_run(&dispatch, parts_now_ms);
}

START_TEST(test_due)
{
	ck_assert_int_eq(run(), INT64_MAX);
	hold_apart(3, parts_wall() + 5);
	ck_assert_int_eq(run(), 5);
	ck_assert_int_eq(n_started, 0);
	parts_now_ms += 6;
	ck_assert_int_eq(run(), 1);
	ck_assert_int_eq(n_started, 2);
	ck_assert_int_eq(on_wire[0]->result.row_id, 1);
	ck_assert_uint_eq(held.n_on_wire, 2);
	ck_assert_int_eq(
	    parts_child.score->metric[METRIC_DELIVERIES_IN_FLIGHT], 2);
	ck_assert_int_eq(parts_child.score->wire[0], 1);
	end_of(on_wire[0], RESULT_COMPLETED);
	ck_assert_uint_eq(held.n_finished, 1);
	ck_assert_int_eq(parts_child.score->wire[0], 0);
	ck_assert_int_eq(parts_child.score->metric[METRIC_DELIVERED], 1);
}
END_TEST

START_TEST(test_slots)
{
	hold_apart(12, parts_wall() - 100);
	ck_assert_int_eq(run(), INT64_MAX); /* full: time does not help */
	ck_assert_int_eq(n_started, 10);
	end_of(on_wire[4], RESULT_RETRY);
	ck_assert_int_eq(run(), INT64_MAX);
	ck_assert_int_eq(n_started, 11);
	ck_assert_int_eq(parts_child.score->metric[METRIC_RETRIED], 1);
}
END_TEST

struct gate_row {
	bool lapsed, ended, draining;
};

static const struct gate_row gate_rows[] = {
    {true, false, false},
    {false, true, false},
    {false, false, true},
};

/* Nothing starts beyond the lease; a drain gives it back. */
START_TEST(test_gate)
{
	const struct gate_row *row = &gate_rows[_i];

	hold_apart(2, parts_wall());
	leases.lapsed = row->lapsed;
	if (row->ended)
		parts_now_ms += PARTS_LEASE;
	parts_child.draining = row->draining;
	ck_assert_int_eq(run(), INT64_MAX);
	ck_assert_int_eq(n_started, 0);
	ck_assert_uint_eq(held.n_finished, row->draining ? 2 : 0);
}
END_TEST

/* A host has 80 % of the slots, the rest queues; its ends let the next go. */
START_TEST(test_queue)
{
	hold_many(10);
	ck_assert_int_le(run(), 250);
	ck_assert_int_eq(n_started, 8);
	ck_assert_uint_eq(held.n_queued, 2);
	end_of(on_wire[0], RESULT_COMPLETED);
	ck_assert_int_eq(n_started, 9);
	ck_assert_uint_eq(held.n_queued, 1);
	end_of(on_wire[1], RESULT_COMPLETED);
	ck_assert_int_eq(n_started, 10);
	ck_assert_uint_eq(held.n_queued, 0);
	parts_now_ms += 250;
	ck_assert_int_eq(run(), INT64_MAX);
}
END_TEST

static bool
is_full(enum full_kind kind, const char *name, unsigned n_waiting)
{
	struct full full;

	return full_find(
		   parts_child.score, kind, slice_from_string(name), &full) &&
	       full.slots == 8 && full.waiting == n_waiting;
}

/* Who is at its cap is told at once, and what becomes of it a while later. */
START_TEST(test_full)
{
	static const char app[] = "http://one.example/";

	hold_many(8);
	(void)run();
	ck_assert(!is_full(FULL_APP, app, 0)); /* nobody asks for more */
	hold_many(2);
	(void)run();
	ck_assert(is_full(FULL_APP, app, 2));
	ck_assert(is_full(FULL_HOST, "ONE.example", 0));
	ck_assert(!is_full(FULL_APP, "http://ONE.example/", 2));
	ck_assert(!is_full(FULL_HOST, "two.example", 0));
	end_of(on_wire[0], RESULT_COMPLETED);
	ck_assert_int_eq(run(), 250);
	ck_assert(is_full(FULL_APP, app, 2));
	parts_now_ms += 250;
	(void)run();
	ck_assert(is_full(FULL_APP, app, 1));
	for (int i = 1; i < 4; i++)
		end_of(on_wire[i], RESULT_COMPLETED);
	parts_now_ms += 250;
	ck_assert_int_eq(run(), INT64_MAX);
	ck_assert(!is_full(FULL_APP, app, 0));
	ck_assert(!is_full(FULL_HOST, "one.example", 0));
}
END_TEST

/* Those that wait for their host go back, too. */
START_TEST(test_drain_gives_the_queue_back)
{
	hold_many(10);
	(void)run();
	ck_assert_uint_eq(held.n_queued, 2);
	parts_child.draining = true;
	(void)run();
	ck_assert_uint_eq(held.n_queued, 0);
	ck_assert_uint_eq(held.n_finished, 2);
	ck_assert_uint_eq(held.n_on_wire, 8);
}
END_TEST

struct unbegun_row {
	bool lapsed; /* else the shards of odd rows are lost */
	size_t n_back;
};

static const struct unbegun_row unbegun_rows[] = {{false, 5}, {true, 10}};

START_TEST(test_release_unbegun)
{
	const struct unbegun_row *row = &unbegun_rows[_i];
	struct delivery *d;
	size_t n = 0;

	hold_apart(10, parts_wall() + 1000);
	if (row->lapsed)
		leases.epoch++;
	else
		leases.shards = UINT64_C(0x5555555555555555);
	dispatch_release_unbegun(&dispatch);
	ck_assert_uint_eq(held.n_finished, row->n_back);
	while ((d = holdings_take_finished(&held)) != NULL) {
		ck_assert_int_eq(d->result.kind, RESULT_RELEASED);
		ck_assert_int_eq(d->result.due_ms, 0);
		holdings_written(&held, d);
		n++;
	}
	ck_assert_uint_eq(held.n, 10 - n);
}
END_TEST

/* A queue of an older epoch is not sent when its host has room. */
START_TEST(test_queue_of_an_older_epoch)
{
	hold_many(10);
	(void)run();
	leases.epoch++;
	end_of(on_wire[0], RESULT_COMPLETED);
	ck_assert_int_eq(n_started, 8);
	ck_assert_uint_eq(held.n_queued, 0);
	ck_assert_uint_eq(held.n_finished, 3);
}
END_TEST

/* Each ends at its start: none is started from within the end of another, and
 * none is forgotten in its queue. */
START_TEST(test_no_recursion)
{
	parts_cfg.worker.max_deliveries = 100;
	parts_cfg.worker.max_deliveries_per_host = 2;
	parts_cfg.worker.max_queued_per_host = 90;
	dispatch_init(&dispatch, &parts_child, &held, &leases, &db);
	dispatch.start = start;
	hold_many(60);
	(void)run();
	ck_assert_int_eq(n_started, 2);
	ck_assert_uint_eq(held.n_queued, 58);
	dispatch.start = start_in_vain;
	end_of(on_wire[0], RESULT_COMPLETED);
	for (int i = 0; i < 100 && run() == 0; i++)
		;
	ck_assert_uint_eq(held.n_queued, 0);
	ck_assert_int_eq(n_started, 60);
	ck_assert_int_le(max_depth, 1);
	ck_assert_int_eq(
	    parts_child.score->metric[METRIC_EVENTS_POSTPONED], 58);
}
END_TEST

/* Alone, whatever ends the worker meanwhile was that event. */
START_TEST(test_note)
{
	parts_child.alone = true;
	leases.shards = 0;
	hold(70, parts_wall(), "http://one.example/");
	(void)run();
	ck_assert_int_eq(parts_child.score->note, 70);
	end_of(on_wire[0], RESULT_COMPLETED);
	ck_assert_int_eq(parts_child.score->note, 0);
}
END_TEST

/* An address has its share, too; one in the way of IPv6 is the same. */
START_TEST(test_address)
{
	parts_cfg.worker.max_deliveries_per_address = 1;
	dispatch_init(&dispatch, &parts_child, &held, &leases, &db);
	dispatch.start = start;
	hold_apart(3, parts_wall() - 10);
	(void)run();
	ck_assert(dispatch_may_connect(
	    &dispatch, on_wire[0], slice_from_string("192.0.2.1")));
	ck_assert(dispatch_may_connect(
	    &dispatch, on_wire[0], slice_from_string("::ffff:192.0.2.1")));
	ck_assert(!dispatch_may_connect(
	    &dispatch, on_wire[1], slice_from_string("::ffff:192.0.2.1")));
	ck_assert(dispatch_may_connect(
	    &dispatch, on_wire[2], slice_from_string("::1")));
	end_of(on_wire[1], RESULT_RELEASED);
	ck_assert_int_eq(parts_child.score->metric[METRIC_EVENTS_DEFERRED], 1);
	ck_assert_int_ge(on_wire[1]->result.due_ms, parts_wall() + 1000);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, test_due);
	tcase_add_test(tc, test_slots);
	tcase_add_loop_test(tc, test_gate, 0, COUNT(gate_rows));
	tcase_add_test(tc, test_queue);
	tcase_add_test(tc, test_full);
	tcase_add_test(tc, test_drain_gives_the_queue_back);
	tcase_add_loop_test(tc, test_release_unbegun, 0, COUNT(unbegun_rows));
	tcase_add_test(tc, test_queue_of_an_older_epoch);
	tcase_add_test(tc, test_no_recursion);
	tcase_add_test(tc, test_note);
	tcase_add_test(tc, test_address);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
