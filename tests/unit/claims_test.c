/* SPDX-License-Identifier: ISC */
#include "board/shardboard.h"
#include "worker/claims.h"

#include <stdint.h>

#include "suite.h"
#include "worker_parts.h"

static const struct delivery_policy policy = {.response_bytes_kept = 10};
static struct claims claims;
static struct leases leases;
static struct dbclock db;
static struct holdings held;
static const char *tell_of = ""; /* options of what is claimed */

static void
begin(void)
{
	parts_begin();
	holdings_init(&held);
	ck_assert_int_eq(
	    leases_init(&leases, &parts_child, &db, parts_done), 0);
	leases.shards = UINT64_MAX;
	leases.epoch = 1;
	ck_assert_int_eq(claims_init(&claims, &parts_child, &held, &leases, &db,
			     &policy, parts_done),
	    0);
	/* The first look is over, nothing is due. */
	claims.poll_due_ms = parts_now_ms + PARTS_POLL;
	parts_child.score->wake_at_ms = INT64_MAX;
}

static void
end(void)
{
	claims_fini(&claims);
	holdings_fini(&held);
	leases_fini(&leases);
	parts_end();
}

static int64_t
wait_ms(void)
{
	return claims_wait_ms(&claims, parts_now_ms);
}

static void
submit(void)
{
	ck_assert_ptr_eq(claims_submit(&claims, parts_now_ms), &claims.job);
	claims.reply = (struct claim_reply){
	    .owned = claims.request.shards, .next_due_ms = INT64_MAX};
}

static struct claims_change
done(enum store_status status)
{
	claims.status = status;
	return claims_done(&claims, parts_now_ms);
}

/* So many events are claimed, of rows from first on. */
static void
claim(int64_t first, size_t n)
{
	parts_child.score->wake_at_ms = 0;
	ck_assert_int_eq(wait_ms(), 0);
	submit();
	ck_assert_uint_ge(claims.request.claim_max, n);
	for (size_t i = 0; i < n; i++) {
		claims.request.claims[i] =
		    parts_claim(first + (int64_t)i, 1, parts_wall());
		claims.request.claims[i]->event.options =
		    slice_from_string(tell_of);
	}
	claims.reply.n_claims = n;
	(void)done(STORE_OK);
}

/* All that are ready end as that. */
static void
finish_ready(enum result_kind kind)
{
	struct delivery *d;

	while ((d = holdings_take_ready(&held)) != NULL) {
		d->state = DELIVERY_FINISHED;
		d->result.kind = kind;
		d->result.due_ms = parts_wall() + 500;
		holdings_finish(&held, d, parts_now_ms);
	}
}

/* ---- when ---- */

START_TEST(test_wait_for_events)
{
	ck_assert_int_eq(wait_ms(), PARTS_POLL);
	/* Half of claimAhead early. */
	parts_child.score->wake_at_ms = parts_wall() + 1000;
	ck_assert_int_eq(wait_ms(), 1000 - PARTS_AHEAD / 2);
	parts_child.score->wake_at_ms = 0;
	ck_assert_int_eq(wait_ms(), 0);
	leases.shards = 0;
	ck_assert_int_eq(wait_ms(), INT64_MAX);
	leases.shards = 1;
	parts_child.draining = true;
	ck_assert_int_eq(wait_ms(), INT64_MAX);
}
END_TEST

START_TEST(test_claim)
{
	uint64_t look = parts_child.score->look;

	parts_child.score->wake_at_ms = 0;
	submit();
	ck_assert_uint_eq(claims.request.owner, leases.owner);
	ck_assert_uint_eq(claims.request.claim_max, 5);
	ck_assert_int_eq(claims.request.horizon_ms, parts_wall() + PARTS_AHEAD);
	ck_assert_int_eq(claims.request.soon_ms,
	    parts_wall() + PARTS_AHEAD + PARTS_POLL + 1000);
	ck_assert_uint_eq(claims.request.n_results, 0);
	/* From here on any event wakes us. */
	ck_assert_uint_eq(parts_child.score->look, look + 1);
	ck_assert_int_eq(parts_child.score->wake_at_ms, INT64_MAX);
	claims.request.claims[0] = parts_claim(7, 1, 100);
	claims.reply.n_claims = 1;
	claims.reply.next_due_ms = parts_wall() + 5000;
	ck_assert(!done(STORE_OK).in_doubt);
	ck_assert_uint_eq(held.n, 1);
	ck_assert_int_eq(holdings_next_due_ms(&held), 100);
	ck_assert_uint_eq(holdings_find(&held, 7, 1)->epoch, 1);
	ck_assert_int_eq(parts_child.score->wake_at_ms, parts_wall() + 5000);
	ck_assert_int_eq(wait_ms(), 5000 - PARTS_AHEAD / 2);
}
END_TEST

/* Results wait a moment for others. */
START_TEST(test_wait_for_results)
{
	claim(1, 2);
	ck_assert_int_eq(wait_ms(), PARTS_POLL);
	finish_ready(RESULT_COMPLETED);
	ck_assert_int_eq(wait_ms(), 10);
	parts_now_ms += 9;
	ck_assert_int_eq(wait_ms(), 1);
	parts_child.draining = true;
	ck_assert_int_eq(wait_ms(), 0);
	parts_child.draining = false;
	parts_now_ms += 1;
	ck_assert_int_eq(wait_ms(), 0);
	submit();
	ck_assert_uint_eq(claims.request.n_results, 2);
	ck_assert_uint_eq(claims.request.claim_max, 0);
	(void)done(STORE_OK);
	ck_assert_uint_eq(held.n, 0);
	ck_assert_int_eq(wait_ms(), PARTS_POLL - 10);
}
END_TEST

/* As long again where a claim comes by then: one commit is enough. */
START_TEST(test_results_wait_for_a_claim)
{
	claim(1, 2);
	finish_ready(RESULT_COMPLETED);
	parts_child.score->wake_at_ms = parts_wall() + PARTS_AHEAD / 2 + 21;
	ck_assert_int_eq(wait_ms(), 10);
	parts_child.score->wake_at_ms--;
	ck_assert_int_eq(wait_ms(), 20);
	parts_now_ms += 12;
	ck_assert_int_eq(wait_ms(), 8);
	/* It was put off: they wait no longer for it. */
	parts_child.score->wake_at_ms += 1;
	ck_assert_int_eq(wait_ms(), 0);
	parts_child.score->wake_at_ms -= 1;
	parts_now_ms += 8;
	ck_assert_int_eq(wait_ms(), 0);
	submit();
	ck_assert_uint_eq(claims.request.n_results, 2);
	ck_assert_uint_eq(claims.request.claim_max, 5);
	(void)done(STORE_OK);
	ck_assert_uint_eq(held.n, 0);
}
END_TEST

/* No more events than there is memory for. */
START_TEST(test_memory)
{
	parts_cfg.worker.max_event_memory_bytes = 2500;
	claim(1, 2);
	parts_child.score->wake_at_ms = 0;
	submit();
	ck_assert_uint_eq(claims.request.claim_bytes, 500);
	claims.request.claims[0] = parts_claim(3, 1, 0);
	claims.reply.n_claims = 1;
	(void)done(STORE_OK);
	parts_child.score->wake_at_ms = 0;
	ck_assert_int_eq(wait_ms(), INT64_MAX);
}
END_TEST

/* ---- what comes of it ---- */

struct announce_row {
	enum result_kind kind;
	bool ours; /* its shard, by then */
	bool wakes;
};

static const struct announce_row announce_rows[] = {
    {RESULT_COMPLETED, true, false},
    {RESULT_FAILED, true, false},
    {RESULT_RETRY, true, true},
    {RESULT_RELEASED, true, true},
    /* the services' counter of events for whom nobody here was told */
    {RESULT_RETRY, false, false},
    {RESULT_RELEASED, false, false},
};

START_TEST(test_announce)
{
	const struct announce_row *row = &announce_rows[_i];
	uint64_t n_unheld = shardboard_n_unheld(&parts_sb);
	bool told = !row->ours;

	parts_sb.self = 0; /* that is us */
	claim(1, 1);
	finish_ready(row->kind);
	if (!row->ours)
		leases.shards = 1;
	parts_child.score->wake_at_ms = INT64_MAX;
	submit();
	(void)done(STORE_OK);
	ck_assert_int_eq(parts_child.score->wake_at_ms,
	    row->wakes ? parts_wall() + 500 : INT64_MAX);
	ck_assert_uint_eq(
	    shardboard_n_unheld(&parts_sb), n_unheld + (told ? 1 : 0));
}
END_TEST

/* An answer that was lost: the results stay, and what was claimed is looked
 * for. */
START_TEST(test_unavailable)
{
	claim(1, 3);
	finish_ready(RESULT_COMPLETED);
	parts_child.score->wake_at_ms = 0;
	submit();
	ck_assert_uint_eq(claims.request.n_results, 3);
	ck_assert_uint_gt(claims.request.claim_max, 0);
	ck_assert(done(STORE_UNAVAILABLE).in_doubt);
	ck_assert_uint_eq(held.n, 3);
	ck_assert_uint_eq(held.n_finished, 3);
	ck_assert_int_eq(parts_child.score->wake_at_ms, 0);
	/* All of it again. */
	submit();
	ck_assert_uint_eq(claims.request.n_results, 3);
	ck_assert_uint_gt(claims.request.claim_max, 0);
	(void)done(STORE_OK);
	ck_assert_uint_eq(held.n, 0);
}
END_TEST

/*
 * A RETRY and a new claim of its row were committed, and the answer was lost.
 * The row was no stray, since its result was still here; now that this comes
 * too late, it is one.
 */
START_TEST(test_stale_result)
{
	struct claims_change change;

	claim(1, 1);
	finish_ready(RESULT_RETRY);
	submit();
	claims.reply.n_stale = 1;
	change = done(STORE_OK);
	ck_assert(change.in_doubt);
	ck_assert_uint_eq(held.n, 0);
	ck_assert_int_eq(parts_child.score->metric[METRIC_RESULTS_STALE], 1);
}
END_TEST

START_TEST(test_lost_leases)
{
	parts_child.score->wake_at_ms = 0;
	submit();
	claims.reply.owned = 1;
	ck_assert(done(STORE_OK).lost);
}
END_TEST

/* One of before a lapse that is on the wire is claimed again. */
START_TEST(test_adopt)
{
	struct delivery *d;

	claim(1, 1);
	d = holdings_take_ready(&held);
	d->state = DELIVERY_ON_WIRE;
	leases.epoch++;
	claim(1, 1); /* the same attempt */
	ck_assert_uint_eq(held.n, 1);
	ck_assert_uint_eq(d->epoch, leases.epoch);
	d->state = DELIVERY_FINISHED;
}
END_TEST

/* Unless a client has changed it meanwhile. */
START_TEST(test_changed_since)
{
	struct delivery *d;

	claim(1, 1);
	d = holdings_take_ready(&held);
	d->state = DELIVERY_ON_WIRE;
	leases.epoch++;
	parts_child.score->wake_at_ms = 0;
	submit();
	claims.request.claims[0] = parts_claim(1, 1, parts_wall());
	claims.request.claims[0]->event.body = slice_from_string("changed");
	claims.reply.n_claims = 1;
	(void)done(STORE_OK);
	ck_assert_uint_eq(held.n, 2);
	ck_assert_uint_ne(d->epoch, leases.epoch);
	/* The result of the old one is of no row. */
	ck_assert_ptr_ne(holdings_find(&held, 1, 1), d);
	ck_assert_ptr_nonnull(holdings_find(&held, 1, 1));
	d->state = DELIVERY_FINISHED;
}
END_TEST

/* ---- alone ---- */

START_TEST(test_alone)
{
	parts_child.alone = true;
	leases.shards = 0;
	claim(1, 1);
	ck_assert(claims.request.alone);
	/* Until its result is written there is no other. */
	parts_child.score->wake_at_ms = 0;
	ck_assert_int_eq(wait_ms(), INT64_MAX);
	finish_ready(RESULT_COMPLETED);
	ck_assert_int_eq(wait_ms(), 10);
	submit();
	ck_assert_uint_eq(claims.request.claim_max, 0);
	(void)done(STORE_OK);
	for (int i = 0; i < 7; i++) {
		parts_now_ms += PARTS_POLL;
		ck_assert_int_eq(wait_ms(), 0);
		submit();
		ck_assert(done(STORE_OK).idle == (i == 6));
	}
}
END_TEST

/* ---- refusals ---- */

/* What a datastore says that refuses the result of a row, and claims. */
struct refusal {
	int64_t row_id;
	bool claims;
};

static enum store_status
judge(const struct refusal *bad)
{
	if (bad->claims && claims.request.claim_max > 0)
		return STORE_BROKEN;
	for (size_t i = 0; i < claims.request.n_results; i++)
		if (claims.request.results[i].row_id == bad->row_id)
			return STORE_BROKEN;
	return STORE_OK;
}

/* Calls until nothing is left to write, with claims due at all times. */
static int
settle(const struct refusal *bad, int *n_claims)
{
	int n = 0;

	*n_claims = 0;
	while (held.n_finished > 0) {
		enum store_status status;

		ck_assert_int_lt(n++, 50);
		parts_child.score->wake_at_ms = 0;
		parts_now_ms += 10;
		ck_assert_int_eq(wait_ms(), 0);
		submit();
		status = judge(bad);
		if (status == STORE_OK && claims.request.claim_max > 0)
			(*n_claims)++;
		(void)done(status);
	}
	return n;
}

/* The others are written, and events are claimed meanwhile; it stays. */
START_TEST(test_refused_result)
{
	const struct refusal bad = {.row_id = 3};
	int n_claims;

	claim(1, 5);
	finish_ready(RESULT_COMPLETED);
	(void)settle(&bad, &n_claims);
	ck_assert_int_gt(n_claims, 0);
	ck_assert_uint_eq(held.n, 1);
	ck_assert_ptr_nonnull(holdings_find(&held, 3, 1));
	ck_assert_uint_eq(claims.n_refused, 1);

	/* Later results do not wait for it. */
	claim(10, 5);
	finish_ready(RESULT_COMPLETED);
	ck_assert_int_le(settle(&bad, &n_claims), 5);
	ck_assert_uint_eq(held.n, 1);
}
END_TEST

/* It is asked again from time to time, alone. */
START_TEST(test_refused_result_is_tried_again)
{
	const struct refusal bad = {.row_id = 1};
	int n_claims;

	claim(1, 1);
	finish_ready(RESULT_COMPLETED);
	(void)settle(&bad, &n_claims);
	for (int i = 0; i < 3; i++) {
		parts_child.score->wake_at_ms = INT64_MAX;
		claims.poll_due_ms = INT64_MAX;
		ck_assert_int_gt(wait_ms(), 5000);
		ck_assert_int_le(wait_ms(), 10000);
		parts_now_ms += 10000;
		ck_assert_int_eq(wait_ms(), 0);
		submit();
		ck_assert_uint_eq(claims.request.n_results, 1);
		ck_assert_uint_eq(claims.request.claim_max, 0);
		(void)done(i < 2 ? STORE_BROKEN : STORE_OK);
	}
	ck_assert_uint_eq(held.n, 0);
	ck_assert_uint_eq(claims.n_refused, 0);
}
END_TEST

/* A delivery that somebody is to be told of is not repeated, nor is its result
 * written without that, while there is no memory for it. */
START_TEST(test_no_memory_to_tell)
{
	struct delivery *d;
	size_t room;

	claim(1, 2);
	tell_of = "{\"on-complete\":\"http://y/\"}";
	claim(3, 1);
	d = holdings_find(&held, 3, 1);
	room = d->callback->text.max;
	d->callback->text.max = 0;
	finish_ready(RESULT_COMPLETED);
	submit();
	ck_assert_uint_eq(claims.request.n_results, 2);
	(void)done(STORE_OK);
	parts_child.score->wake_at_ms = INT64_MAX;
	claims.poll_due_ms = INT64_MAX;
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(held.n, 1);
		ck_assert_int_eq(wait_ms(), 10000);
		parts_now_ms += 10000;
		ck_assert_int_eq(wait_ms(), 0);
		if (i == 1)
			d->callback->text.max = room;
		submit();
		ck_assert_int_eq((int)claims.request.n_results, i);
		if (i == 1)
			ck_assert_ptr_eq(claims.request.results[0].callback,
			    &d->callback->event);
		(void)done(STORE_OK);
	}
	ck_assert_uint_eq(held.n, 0);
}
END_TEST

/* What is taken again is taken one after the other, at once. */
START_TEST(test_all_refused)
{
	int n = 0;

	claim(1, 5);
	finish_ready(RESULT_COMPLETED);
	while (held.n_finished > 0) {
		ck_assert_int_lt(n++, 20);
		submit();
		(void)done(STORE_BROKEN);
	}
	ck_assert_uint_eq(claims.n_refused, 5);
	parts_now_ms += 10000;
	for (n = 0; n < 5; n++) {
		ck_assert_int_eq(wait_ms(), 0);
		submit();
		(void)done(STORE_OK);
	}
	ck_assert_uint_eq(held.n, 0);
}
END_TEST

/* A row that cannot be claimed keeps no result from being written. */
START_TEST(test_refused_claim)
{
	const struct refusal bad = {.claims = true};
	int n_claims;

	claim(1, 5);
	finish_ready(RESULT_COMPLETED);
	ck_assert_int_le(settle(&bad, &n_claims), 3);
	ck_assert_uint_eq(held.n, 0);
	ck_assert_uint_eq(claims.n_refused, 0);
	/* Once that is over they go together again. */
	claim(1, 5);
	finish_ready(RESULT_COMPLETED);
	parts_child.score->wake_at_ms = 0;
	claims.results_max = SIZE_MAX;
	submit();
	ck_assert_uint_gt(claims.request.claim_max, 0);
	ck_assert_uint_eq(claims.request.n_results, 5);
	(void)done(STORE_OK);
}
END_TEST

/* Who leaves leaves it to the datastore. */
START_TEST(test_refused_while_draining)
{
	const struct refusal bad = {.row_id = 2};
	int n = 0;

	claim(1, 3);
	finish_ready(RESULT_COMPLETED);
	parts_child.draining = true;
	while (held.n > 0) {
		ck_assert_int_lt(n++, 20);
		ck_assert_int_eq(wait_ms(), 0);
		submit();
		(void)done(judge(&bad));
	}
	ck_assert_int_eq(wait_ms(), INT64_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("claims");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, test_wait_for_events);
	tcase_add_test(tc, test_claim);
	tcase_add_test(tc, test_wait_for_results);
	tcase_add_test(tc, test_results_wait_for_a_claim);
	tcase_add_test(tc, test_memory);
	tcase_add_loop_test(tc, test_announce, 0, COUNT(announce_rows));
	tcase_add_test(tc, test_unavailable);
	tcase_add_test(tc, test_stale_result);
	tcase_add_test(tc, test_lost_leases);
	tcase_add_test(tc, test_adopt);
	tcase_add_test(tc, test_changed_since);
	tcase_add_test(tc, test_alone);
	tcase_add_test(tc, test_refused_result);
	tcase_add_test(tc, test_refused_result_is_tried_again);
	tcase_add_test(tc, test_no_memory_to_tell);
	tcase_add_test(tc, test_all_refused);
	tcase_add_test(tc, test_refused_claim);
	tcase_add_test(tc, test_refused_while_draining);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
