/* SPDX-License-Identifier: ISC */
#include "service/intake.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "board/shardboard.h"
#include "suite.h"

enum { BATCH = 3, SHARD = 7, DUE = 123 };

/* The datastore, in the place of ours. */
struct store {
	bool fails; /* the next transaction */
	int n_calls;
	size_t batches[8]; /* adds of each transaction */
	char order[16];    /* their applications, and a dot behind each */
};

struct call {
	int left; /* items */
	int n_failed;
};

static struct store store;
static struct loop *loop;
static struct store_thread *thread;
static struct scoreboard sb;
static struct scoreboard_slot score;
static struct config config;
static struct child child = {.score = &score, .sb = &sb, .cfg = &config};
static struct intake intake;

enum store_status
store_add_events(
    struct store *s, struct store_add **adds, size_t n, struct err *err)
{
	s->batches[s->n_calls++] = n;
	for (size_t i = 0; i < n && adds[i]->event->app.len > 0; i++)
		s->order[strlen(s->order)] = adds[i]->event->app.p[0];
	s->order[strlen(s->order)] = '.';
	ck_assert_int_ne(score.adding_ms, 0);
	if (s->fails) {
		s->fails = false;
		(void)err_set(err, "away");
		return STORE_UNAVAILABLE;
	}
	/* The key says what comes out. */
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_lt(adds[i]->shard, EVENT_SHARDS);
		if (adds[i]->event->expiry_ms == DUE)
			ck_assert_uint_eq(adds[i]->shard, SHARD);
		adds[i]->outcome = adds[i]->key.bytes[0];
	}
	return STORE_OK;
}

bool
store_goes_on(const struct store *s)
{
	(void)s;
	return false;
}

unsigned
store_server(const struct store *s)
{
	(void)s;
	return 0;
}

void
store_close(struct store **closed)
{
	*closed = NULL;
}

/* Whether the worker was told of an event. */
static bool
is_announced(void)
{
	return shardboard_wake_at_ms(&sb, 0) == DUE;
}

static void
setup(void)
{
	struct err err;

	/* One worker here holds one shard, and sleeps. */
	ck_assert_int_eq(scoreboard_create(&sb, &err), 0);
	ck_assert_int_eq(scoreboard_slot_claim(&sb, ROLE_WORKER, &err), 0);
	sb.writable->children[0].slot.shards = UINT64_C(1) << SHARD;
	sb.writable->children[0].slot.held_until_ms = INT64_MAX;
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	thread = store_thread_create(&store, loop, &err);
	ck_assert_ptr_nonnull(thread);
	ck_assert_int_eq(intake_init(&intake, &child, thread, BATCH), 0);
}

static void
teardown(void)
{
	ck_assert_int_eq(score.adding_ms, 0);
	store_thread_free(&thread);
	intake_fini(&intake);
	loop_free(loop);
	scoreboard_free(&sb);
}

static void
before_sleep(void *arg)
{
	intake_commit(arg);
}

static void
item_done(
    struct intake_item *item, enum store_status status, const struct err *err)
{
	if (status != STORE_OK) {
		ck_assert_int_eq(status, STORE_UNAVAILABLE);
		ck_assert_str_eq(err->text, "away");
		item->call->n_failed++;
	}
	if (--item->call->left == 0)
		loop_stop(loop);
}

/* n items of one call, all with that outcome. */
static void
add_many(struct call *call, struct intake_item *items, int n,
    enum add_outcome outcome)
{
	static const struct event event = {.expiry_ms = DUE};

	for (int i = 0; i < n; i++) {
		items[i] = (struct intake_item){
		    .add = {.event = &event},
		    .call = call,
		    .turn = items[i].turn,
		    .done = item_done,
		};
		items[i].add.key.bytes[0] = (uint8_t)outcome;
		intake_add(&intake, &items[i]);
	}
	call->left += n;
}

/* One call may have more adds than a transaction takes. */
START_TEST(test_many_of_one_call)
{
	struct call call = {0};
	struct intake_item items[7] = {0};

	loop_before_sleep(loop, before_sleep, &intake);
	add_many(&call, items, 7, ADD_CREATED);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(call.n_failed, 0);
	ck_assert_int_eq(store.n_calls, 3);
	ck_assert_uint_eq(store.batches[0], BATCH);
	ck_assert_uint_eq(store.batches[1], BATCH);
	ck_assert_uint_eq(store.batches[2], 1);
	ck_assert(is_announced());
	ck_assert_int_eq(score.metric[METRIC_EVENTS_ADDED], 7);
	ck_assert_int_eq(score.metric[METRIC_ADD_COMMITS], 3);
}
END_TEST

static bool wrote_meanwhile;

static void
first_done(
    struct intake_item *item, enum store_status status, const struct err *err)
{
	wrote_meanwhile = intake.busy;
	item_done(item, status, err);
}

/* Who waits for the next transaction does not wait for the answers of the one
 * before. */
START_TEST(test_next_before_answers)
{
	struct call call = {0};
	struct intake_item items[BATCH + 1] = {0};

	loop_before_sleep(loop, before_sleep, &intake);
	add_many(&call, items, BATCH + 1, ADD_CREATED);
	items[0].done = first_done;
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert(wrote_meanwhile);
}
END_TEST

/* Those of a transaction that failed are told so, the others are not. */
START_TEST(test_one_fails)
{
	struct call one = {0}, other = {0};
	struct intake_item items[2] = {0}, more[3] = {0};

	loop_before_sleep(loop, before_sleep, &intake);
	store.fails = true;
	add_many(&one, items, 2, ADD_CREATED);
	add_many(&other, more, 3, ADD_SAME);
	while (one.left + other.left > 0)
		ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(one.n_failed, 2);
	ck_assert_int_eq(other.n_failed, 1);
	ck_assert(!is_announced());
	ck_assert_int_eq(score.metric[METRIC_EVENTS_ADDED], 0);
	ck_assert_int_eq(score.metric[METRIC_EVENTS_REPEATED], 2);
	ck_assert_int_eq(score.metric[METRIC_ADD_COMMITS], 1);
}
END_TEST

static int n_calls_at_single; /* commits, when the single one was answered */

static void
single_done(
    struct intake_item *item, enum store_status status, const struct err *err)
{
	n_calls_at_single = (int)score.metric[METRIC_ADD_COMMITS];
	item_done(item, status, err);
}

/* Many go into one commit; a single one that comes meanwhile is in the next,
 * and for a while none is long. */
START_TEST(test_bulk)
{
	enum { N = INTAKE_BESIDE_MAX + 1 };
	static struct intake_item items[N];
	struct intake_turn turn = {0};
	struct call call = {0};

	intake_fini(&intake);
	ck_assert_int_eq(intake_init(&intake, &child, thread, 2 * N), 0);
	loop_before_sleep(loop, before_sleep, &intake);
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < N; j++)
			items[j].turn =
			    i != 1 || j < N - 1 ? &turn : NULL;
		add_many(&call, items, N, ADD_CREATED);
		items[N - 1].done = single_done;
		if (i == 2) /* whatever time is between the two */
			intake.single_ms = clock_mono_ms() + 3600000;
		ck_assert_int_eq(loop_run(loop), 0);
		if (i == 1)
			ck_assert_int_eq(n_calls_at_single, 2);
	}
	ck_assert_int_eq(store.n_calls, 5);
	ck_assert_uint_eq(store.batches[0], N);
	for (int i = 1; i < 5; i += 2) {
		ck_assert_uint_eq(store.batches[i], INTAKE_BESIDE_MAX);
		ck_assert_uint_eq(store.batches[i + 1], 1);
	}
}
END_TEST

/* Three single ones wait, three of a call with many and one of another: who is
 * in which commit. */
static const struct {
	size_t max;
	const char *order; /* by application */
} shares[] = {
    {1, "s.a.s.b.s.a.a."},
    {2, "sa.sb.sa.a."},
    {3, "ssa.sba.a."},
    {4, "ssab.saa."},
    {9, "sssabaa."},
};

START_TEST(test_turns)
{
	static const struct event single = {.app = SLICE_INIT("s")},
				  a = {.app = SLICE_INIT("a")},
				  b = {.app = SLICE_INIT("b")};
	struct intake_turn turns[2] = {0};
	struct intake_item items[7] = {0};
	struct call call = {.left = 7};

	intake_fini(&intake);
	ck_assert_int_eq(
	    intake_init(&intake, &child, thread, shares[_i].max), 0);
	loop_before_sleep(loop, before_sleep, &intake);
	for (int i = 0; i < 7; i++) {
		items[i] = (struct intake_item){
		    .add.event = i < 3 ? &a : i < 6 ? &single : &b,
		    .call = &call,
		    .turn = i < 3 ? &turns[0] : i < 6 ? NULL : &turns[1],
		    .done = item_done,
		};
		intake_add(&intake, &items[i]);
	}
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(store.order, shares[_i].order);
}
END_TEST

/* Of what one call has, a commit has neighbours; of one key the first is first,
 * whichever commit it is in. */
START_TEST(test_neighbours)
{
	static const char keys[] = "dbgaecbf";
	static const struct event first = {.app = SLICE_INIT("B")};
	enum { N = sizeof(keys) - 1 };
	struct event events[N];
	struct intake_item items[N] = {0};
	struct intake_turn turn = {0};
	struct call call = {.left = N};

	loop_before_sleep(loop, before_sleep, &intake);
	for (size_t i = 0; i < N; i++) {
		events[i] = (struct event){.app = {&keys[i], 1}};
		items[i] = (struct intake_item){
		    .add.event = i == 1 ? &first : &events[i],
		    .call = &call,
		    .turn = &turn,
		    .done = item_done,
		};
		items[i].add.key.bytes[0] = (uint8_t)(keys[i] - 'a');
		intake_add(&intake, &items[i]);
	}
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_str_eq(store.order, "aBb.cde.fg.");
}
END_TEST

START_TEST(test_outcomes)
{
	struct call call = {0};
	struct intake_item items[3] = {0};

	loop_before_sleep(loop, before_sleep, &intake);
	add_many(&call, &items[0], 1, ADD_CONFLICT);
	add_many(&call, &items[1], 1, ADD_NO_ROOM);
	add_many(&call, &items[2], 1, ADD_SAME);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(items[0].add.outcome, ADD_CONFLICT);
	ck_assert_int_eq(score.metric[METRIC_EVENTS_CONFLICTING], 1);
	ck_assert_int_eq(score.metric[METRIC_EVENTS_REFUSED], 1);
	ck_assert_int_eq(score.metric[METRIC_EVENTS_REPEATED], 1);
	ck_assert(!is_announced());
}
END_TEST

/* What is due after everybody's next look goes anywhere, and wakes nobody. */
START_TEST(test_later)
{
	static struct event late = {0};
	struct call call = {.left = 1};
	struct intake_item item = {
	    .add = {.event = &late}, .call = &call, .done = item_done};

	config.worker.polling_interval_ms = 1000;
	late.expiry_ms = clock_wall_ms() + 3600000;
	loop_before_sleep(loop, before_sleep, &intake);
	intake_add(&intake, &item);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(item.add.outcome, ADD_CREATED);
	ck_assert_int_eq(score.metric[METRIC_EVENTS_ADDED], 1);
	/* Where a worker holds it, too. */
	sb.writable->children[0].slot.shards = UINT64_MAX;
	call.left = 1;
	intake_add(&intake, &item);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(shardboard_wake_at_ms(&sb, 0), INT64_MAX);
	ck_assert_uint_eq(shardboard_n_unheld(&sb), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("intake");
	TCase *tc = tcase_create("intake");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_many_of_one_call);
	tcase_add_test(tc, test_next_before_answers);
	tcase_add_test(tc, test_one_fails);
	tcase_add_test(tc, test_bulk);
	tcase_add_loop_test(
	    tc, test_turns, 0, (int)(sizeof(shares) / sizeof(shares[0])));
	tcase_add_test(tc, test_neighbours);
	tcase_add_test(tc, test_outcomes);
	tcase_add_test(tc, test_later);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
