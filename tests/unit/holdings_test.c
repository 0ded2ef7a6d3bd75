/* SPDX-License-Identifier: ISC */
#include "worker/holdings.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <check.h>

#include "suite.h"

enum { BYTES = 1000, MONO = 77, EPOCH = 3 };

static const struct delivery_policy policy = {.response_bytes_kept = 10};
static struct holdings h;

static void
begin(void)
{
	holdings_init(&h);
}

static void
end(void)
{
	holdings_fini(&h);
	ck_assert_uint_eq(h.n, 0);
	ck_assert_uint_eq(h.n_bytes, 0);
}

static struct delivery *
make(int64_t row_id, int64_t due_ms)
{
	struct store_claim *claim = calloc(1, sizeof(*claim));
	struct delivery *d;

	ck_assert_ptr_nonnull(claim);
	*claim = (struct store_claim){
	    .row_id = row_id, .attempt = 2, .due_ms = due_ms, .bytes = BYTES};
	d = delivery_create(claim, &policy);
	ck_assert_ptr_nonnull(d);
	return d;
}

static struct delivery *
hold(int64_t row_id, int64_t due_ms)
{
	struct delivery *d = make(row_id, due_ms);

	ck_assert_int_eq(holdings_hold(&h, d, EPOCH), 0);
	ck_assert_uint_eq(d->epoch, EPOCH);
	return d;
}

static int64_t
first_finished(void)
{
	struct delivery *d = holdings_take_finished(&h);
	int64_t row_id = d == NULL ? 0 : d->result.row_id;

	if (d != NULL)
		holdings_written(&h, d);
	return row_id;
}

START_TEST(test_ready_by_due_time)
{
	ck_assert_int_eq(holdings_next_due_ms(&h), INT64_MAX);
	ck_assert_ptr_null(holdings_take_ready(&h));
	(void)hold(1, 30);
	(void)hold(2, 10);
	(void)hold(3, 20);
	ck_assert_uint_eq(h.n, 3);
	ck_assert_uint_eq(h.n_bytes, 3 * BYTES);
	for (int64_t due_ms = 10; due_ms <= 30; due_ms += 10) {
		ck_assert_int_eq(holdings_next_due_ms(&h), due_ms);
		ck_assert_int_eq(
		    holdings_take_ready(&h)->claim->due_ms, due_ms);
	}
	ck_assert_int_eq(holdings_next_due_ms(&h), INT64_MAX);
	/* Taken, not gone. */
	ck_assert_uint_eq(h.n, 3);
}
END_TEST

/* From the claim to the written result. */
START_TEST(test_way_of_one)
{
	struct delivery *d = hold(1, 10);

	ck_assert_ptr_eq(holdings_take_ready(&h), d);
	holdings_queued(&h, d);
	ck_assert_int_eq(d->state, DELIVERY_QUEUED);
	ck_assert_uint_eq(h.n_queued, 1);
	holdings_unqueued(&h);
	ck_assert_uint_eq(h.n_queued, 0);
	ck_assert_ptr_null(holdings_on_wire(&h));

	d->state = DELIVERY_ON_WIRE;
	holdings_sent(&h);
	ck_assert_uint_eq(h.n_on_wire, 1);
	ck_assert_ptr_eq(holdings_on_wire(&h), d);
	holdings_returned(&h);

	d->state = DELIVERY_FINISHED;
	holdings_finish(&h, d, MONO);
	ck_assert_uint_eq(h.n_finished, 1);
	ck_assert_int_eq(h.oldest_ms, MONO);
	ck_assert_ptr_eq(holdings_take_finished(&h), d);
	ck_assert_uint_eq(h.n_finished, 0);
	ck_assert_uint_eq(h.n, 1);
	holdings_written(&h, d);
	ck_assert_uint_eq(h.n, 0);
	ck_assert_uint_eq(h.n_bytes, 0);
}
END_TEST

/* The oldest is the first of those that wait, whatever comes after it. */
START_TEST(test_results_in_order)
{
	struct delivery_queue unwritten = STAILQ_HEAD_INITIALIZER(unwritten);
	struct delivery *d;

	for (int64_t id = 1; id <= 3; id++) {
		d = hold(id, 0);
		ck_assert_ptr_eq(holdings_take_ready(&h), d);
		holdings_release(&h, d, 50, MONO + id);
		ck_assert_int_eq(d->result.kind, RESULT_RELEASED);
		ck_assert_int_eq(d->result.due_ms, 50);
	}
	ck_assert_int_eq(h.oldest_ms, MONO + 1);
	for (int i = 0; i < 2; i++) {
		d = holdings_take_finished(&h);
		STAILQ_INSERT_TAIL(&unwritten, d, queue);
	}
	holdings_put_finished(&h, &unwritten);
	ck_assert(STAILQ_EMPTY(&unwritten));
	ck_assert_uint_eq(h.n_finished, 3);
	ck_assert_uint_eq(h.n_writing, 0);
	for (int64_t id = 1; id <= 3; id++)
		ck_assert_int_eq(first_finished(), id);
	ck_assert_int_eq(first_finished(), 0);
}
END_TEST

START_TEST(test_stray)
{
	struct delivery *d = delivery_create_stray(9);

	ck_assert_ptr_nonnull(d);
	holdings_hold_stray(&h, d, EPOCH, MONO);
	ck_assert_uint_eq(h.n, 1);
	ck_assert_uint_eq(h.n_bytes, 0);
	ck_assert(!holdings_has_older(&h, EPOCH));
	ck_assert_int_eq(first_finished(), 9);
}
END_TEST

START_TEST(test_take_all)
{
	struct delivery_queue all = STAILQ_HEAD_INITIALIZER(all);
	struct delivery *d;
	int n = 0;

	for (int64_t id = 1; id <= 5; id++)
		(void)hold(id, id);
	holdings_take_all_ready(&h, &all);
	ck_assert_int_eq(holdings_next_due_ms(&h), INT64_MAX);
	while ((d = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, queue);
		if (n++ % 2 == 0)
			ck_assert_int_eq(holdings_put_ready(&h, d), 0);
		else
			holdings_release(&h, d, 0, MONO);
	}
	ck_assert_int_eq(n, 5);
	ck_assert_uint_eq(h.n_finished, 2);
	ck_assert_int_eq(holdings_next_due_ms(&h), 1);
}
END_TEST

START_TEST(test_find)
{
	struct delivery *d = hold(4, 0);

	ck_assert_ptr_eq(holdings_find(&h, 4, 2), d);
	ck_assert_ptr_null(holdings_find(&h, 4, 3));
	ck_assert_ptr_null(holdings_find(&h, 5, 2));
	ck_assert(!holdings_has_older(&h, EPOCH));
	ck_assert(holdings_has_older(&h, EPOCH + 1));
}
END_TEST

START_TEST(test_ids)
{
	const int64_t *ids = NULL;
	size_t n = 1;

	ck_assert_int_eq(holdings_ids(&h, &ids, &n), 0);
	ck_assert_uint_eq(n, 0);
	for (int64_t i = 0; i < 200; i++)
		(void)hold((i * 71 + 3) % 200 + 1, 0);
	ck_assert_int_eq(holdings_ids(&h, &ids, &n), 0);
	ck_assert_uint_eq(n, 200);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(ids[i], (int64_t)i + 1);
}
END_TEST

/* ---- what may not be ---- */

static void
unqueue_none(void)
{
	holdings_unqueued(&h);
}

static void
return_none(void)
{
	holdings_returned(&h);
}

static void
finish_one_on_wire(void)
{
	struct delivery *d = hold(1, 0);

	d->state = DELIVERY_ON_WIRE;
	holdings_finish(&h, d, MONO);
}

static void
write_one_not_taken(void)
{
	holdings_written(&h, hold(1, 0));
}

static void
hold_finished(void)
{
	struct delivery *d = make(1, 0);

	d->state = DELIVERY_FINISHED;
	(void)holdings_hold(&h, d, EPOCH);
}

static void (*const broken[])(void) = {
    unqueue_none,
    return_none,
    finish_one_on_wire,
    write_one_not_taken,
    hold_finished,
};

START_TEST(test_broken_promise)
{
	struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
	broken[_i]();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("holdings");
	TCase *tc = tcase_create("core");
	TCase *checks = tcase_create("checks");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, test_ready_by_due_time);
	tcase_add_test(tc, test_way_of_one);
	tcase_add_test(tc, test_results_in_order);
	tcase_add_test(tc, test_stray);
	tcase_add_test(tc, test_take_all);
	tcase_add_test(tc, test_find);
	tcase_add_test(tc, test_ids);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(checks, begin, NULL);
	tcase_add_loop_test_raise_signal(checks, test_broken_promise, SIGABRT,
	    0, (int)(sizeof(broken) / sizeof(broken[0])));
	suite_add_tcase(suite, checks);
	return suite_run(suite);
}
