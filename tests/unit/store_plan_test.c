/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/url.h"
#include "store/due_pick.h"
#include "store/lease_plan.h"
#include "store/list.h"
#include "store/record.h"
#include "suite.h"

#define ALL UINT64_MAX

/* Shards from a up to but without b. */
#define SHARDS(a, b) (ALL << (a)&ALL >> (64 - (b)))

static const struct {
	const char *name;
	uint64_t mine, free;
	unsigned share;
	struct lease_plan plan; /* keep, drop, take */
} lease_cases[] = {
    {"takes all", 0, ALL, 64, {0, 0, ALL}},
    {"keeps all", ALL, 0, 64, {ALL, 0, 0}},
    {"gives up half", ALL, 0, 32, {SHARDS(32, 64), SHARDS(0, 32), 0}},
    {"leaves those of others alone", 0, SHARDS(32, 64), 64,
	{0, 0, SHARDS(32, 64)}},
    {"fills up to its share", SHARDS(0, 10), SHARDS(10, 64), 32,
	{SHARDS(0, 10), 0, SHARDS(10, 32)}},
    {"has its share", SHARDS(0, 32), SHARDS(32, 64), 32, {SHARDS(0, 32), 0, 0}},
    {"one too many", 0, ALL, 0, {0, 0, 0}},
    {"leaves", SHARDS(0, 32), SHARDS(32, 64), 0, {0, SHARDS(0, 32), 0}},
};

START_TEST(lease_plan)
{
	struct lease_plan plan = store_lease_plan(
	    lease_cases[_i].mine, lease_cases[_i].free, lease_cases[_i].share);

	ck_assert_msg(plan.keep == lease_cases[_i].plan.keep &&
			  plan.drop == lease_cases[_i].plan.drop &&
			  plan.take == lease_cases[_i].plan.take,
	    "%s: keep %016llx drop %016llx take %016llx", lease_cases[_i].name,
	    (unsigned long long)plan.keep, (unsigned long long)plan.drop,
	    (unsigned long long)plan.take);
}
END_TEST

/* All shares are all shards, and differ by one at most. */
START_TEST(lease_share)
{
	unsigned n_living = (unsigned)_i, sum = 0;

	for (unsigned rank = 0; rank < n_living; rank++) {
		unsigned share = store_lease_share(rank, n_living);

		ck_assert_uint_ge(share, EVENT_SHARDS / n_living);
		ck_assert_uint_le(share, EVENT_SHARDS / n_living + 1);
		sum += share;
	}
	ck_assert_uint_eq(sum, EVENT_SHARDS);
}
END_TEST

/* Any number of workers ends at even shares in two turns each, and stays. */
START_TEST(lease_plan_settles)
{
	unsigned n_living = (unsigned)_i;
	uint64_t mine[100] = {ALL}, free = 0;
	unsigned changes = 0;

	for (unsigned round = 0; round < 3; round++) {
		changes = 0;
		for (unsigned rank = 0; rank < n_living; rank++) {
			struct lease_plan plan = store_lease_plan(mine[rank],
			    free, store_lease_share(rank, n_living));

			mine[rank] = plan.keep | plan.take;
			free = (free & ~plan.take) | plan.drop;
			if ((plan.drop | plan.take) != 0)
				changes++;
		}
	}
	ck_assert_uint_eq(changes, 0);
	ck_assert_uint_eq(free, 0);
}
END_TEST

static const struct {
	const char *name;
	struct due_row rows[8]; /* due, id, shard; ends with id 0 */
	size_t limit;
	size_t claim_max;
	int64_t horizon_ms;
	int64_t ids[8]; /* to claim */
	bool more;
	int64_t next_due_ms;
} pick_cases[] = {
    {"nothing", {{0}}, 5, 4, 100, {0}, false, INT64_MAX},
    {"in order of due and id", {{30, 1, 0}, {10, 9, 0}, {20, 3, 1}, {20, 2, 2}},
	5, 4, 100, {9, 2, 3, 1}, false, INT64_MAX},
    {"the horizon counts in", {{100, 1, 0}, {101, 2, 0}}, 5, 4, 100, {1}, false,
	101},
    {"only later ones", {{300, 1, 0}, {200, 2, 1}}, 5, 4, 100, {0}, false, 200},
    {"stops at the maximum", {{10, 1, 0}, {20, 2, 1}, {30, 3, 2}}, 5, 2, 100,
	{1, 2}, true, 30},
    {"exactly the maximum", {{10, 1, 0}, {20, 2, 1}}, 3, 2, 100, {1, 2}, false,
	INT64_MAX},
    {"maximum, the next is later", {{10, 1, 0}, {200, 2, 1}}, 3, 1, 100, {1},
	false, 200},
    {"a shard was cut, others are due behind it",
	{{10, 1, 0}, {20, 2, 0}, {50, 3, 1}, {200, 4, 1}}, 2, 4, 100, {1, 2, 3},
	true, 20},
    {"a cut shard ends beyond the horizon", {{10, 1, 0}, {150, 2, 0}}, 2, 4,
	100, {1}, false, 150},
    {"horizon without end", {{10, 1, 0}}, 5, 4, INT64_MAX, {1}, false,
	INT64_MAX},
};

START_TEST(pick)
{
	const struct claim_request request = {
	    .claim_max = pick_cases[_i].claim_max,
	    .horizon_ms = pick_cases[_i].horizon_ms};
	struct claim_reply reply = {0};
	struct due_row rows[8];
	size_t n = 0, picked;

	memcpy(rows, pick_cases[_i].rows, sizeof(rows));
	while (n < 8 && rows[n].row_id != 0)
		n++;
	picked = store_pick(rows, n, pick_cases[_i].limit, &request, &reply);
	for (size_t i = 0; i < picked; i++)
		ck_assert_msg(rows[i].row_id == pick_cases[_i].ids[i],
		    "%s: place %zu", pick_cases[_i].name, i);
	ck_assert_msg(
	    pick_cases[_i].ids[picked] == 0, "%s", pick_cases[_i].name);
	ck_assert_msg(
	    reply.more == pick_cases[_i].more, "%s", pick_cases[_i].name);
	ck_assert_msg(reply.next_due_ms == pick_cases[_i].next_due_ms,
	    "%s: %lld", pick_cases[_i].name, (long long)reply.next_due_ms);
}
END_TEST

/* Enough for a full claim and one more row, never more than that per shard. */
START_TEST(pick_limit)
{
	for (unsigned shards = 1; shards <= EVENT_SHARDS; shards++)
		for (size_t max = 1; max <= 1000; max++) {
			size_t limit = store_pick_limit(max, shards);

			ck_assert_uint_gt(limit * shards, max);
			ck_assert_uint_le(limit, max + 1);
		}
}
END_TEST

static const struct {
	enum row_status status;
	int last_code;
	bool has_error;
	enum event_state state;
} state_cases[] = {
    {ROW_WAITING, 0, false, EVENT_PENDING},
    {ROW_WAITING, 503, false, EVENT_SERVICE_UNAVAILABLE},
    {ROW_WAITING, 0, true, EVENT_SERVICE_UNAVAILABLE},
    {ROW_WAITING, 202, false, EVENT_AWAITING},
    {ROW_WAITING, 202, true, EVENT_SERVICE_UNAVAILABLE},
    {ROW_WAITING, 199, false, EVENT_SERVICE_UNAVAILABLE},
    {ROW_WAITING, 300, false, EVENT_SERVICE_UNAVAILABLE},
    {ROW_PROCESSING, 0, false, EVENT_PROCESSING},
    {ROW_PROCESSING, 503, true, EVENT_PROCESSING},
    {ROW_COMPLETED, 200, false, EVENT_COMPLETED},
    {ROW_FAILED, 404, false, EVENT_FAILED},
};

START_TEST(row_state)
{
	ck_assert_int_eq(
	    store_row_state(state_cases[_i].status, state_cases[_i].last_code,
		state_cases[_i].has_error),
	    state_cases[_i].state);
}
END_TEST

START_TEST(clock_offset)
{
	ck_assert_int_eq(store_clock_offset(100, 100, 100), 0);
	ck_assert_int_eq(store_clock_offset(100, 190, 200), 0);
	ck_assert_int_eq(store_clock_offset(100, 210, 200), 10);
	ck_assert_int_eq(store_clock_offset(100, 90, 200), -110);
}
END_TEST

START_TEST(record_owns_its_bytes)
{
	char app[] = "app", id[] = "id", body[] = "body\0tail",
	     text[] = "refused";
	const struct store_row row = {
	    .last_error = slice_of(text, 7),
	    .n_log = 2,
	    .log_bytes = 16,
	    .event.app = slice_of(app, 3),
	    .event.id = slice_of(id, 2),
	    .event.body = slice_of(body, 9),
	    .event.expiry_ms = 5,
	};
	const struct store_log_row attempts[] = {
	    {.number = 1, .error = slice_of(text, 7)},
	    {.number = 2, .code = 500, .response = slice_of(body, 9)},
	};
	struct store_record *record;
	struct err err;

	ck_assert_int_eq(store_record_create(&row, &record, &err), STORE_OK);
	ck_assert_int_eq(
	    store_record_log(record, &attempts[0], &err), STORE_OK);
	ck_assert_int_eq(
	    store_record_log(record, &attempts[1], &err), STORE_OK);
	memset(app, 'x', 3);
	memset(id, 'x', 2);
	memset(body, 'x', 9);
	memset(text, 'x', 7);
	ck_assert(slice_eq(record->event.app, SLICE_LITERAL("app")));
	ck_assert(slice_eq(record->event.id, SLICE_LITERAL("id")));
	ck_assert(slice_eq(record->event.body, SLICE_LITERAL("body\0tail")));
	ck_assert_uint_eq(record->event.url.len, 0);
	ck_assert_int_eq(record->event.expiry_ms, 5);
	ck_assert(slice_eq(record->last_error, SLICE_LITERAL("refused")));
	ck_assert_uint_eq(record->n_log, 2);
	ck_assert(slice_eq(record->log[0].error, SLICE_LITERAL("refused")));
	ck_assert_uint_eq(record->log[0].response.len, 0);
	ck_assert_int_eq(record->log[1].code, 500);
	ck_assert(
	    slice_eq(record->log[1].response, SLICE_LITERAL("body\0tail")));
	store_record_free(record);
}
END_TEST

/* A row of which only some can be true. */
static const struct {
	struct store_row row;
	const char *reason; /* NULL: a record */
} row_cases[] = {
    {{.id = 7, .shard = 63, .status = 3, .attempts = 1}, NULL},
    {{.id = -1}, "id -1"},
    {{.id = 7, .shard = 64}, "event 7 is damaged: the datastore says shard 64"},
    {{.shard = INT64_MIN}, "shard -9223372036854775808"},
    {{.status = 4}, "status 4"},
    {{.status = -1}, "status -1"},
    {{.status = INT64_C(1) << 32}, "status 4294967296"},
    {{.attempts = STORE_ATTEMPTS_MAX + 1}, "attempts 1000001"},
    {{.due_ms = -1}, "due_ms -1"},
    {{.due_ms = INT64_MAX}, "due_ms 9223372036854775807"},
    {{.created_ms = INT64_MIN}, "created_ms"},
    {{.event.expiry_ms = INT64_MAX}, "expiry_ms"},
    {{.last_code = INT64_C(1) << 40}, "last_code"},
    {{.last_error = {"", 513}}, "bytes of last_error 513"},
    {{.event.app = {"", 101}}, "bytes of app 101"},
    {{.event.id = {"", 256}}, "bytes of event_id 256"},
    {{.event.method = {"", 17}}, "bytes of method 17"},
    {{.event.url = {"", 8193}}, "bytes of url 8193"},
    {{.event.headers = {"", 16385}}, "bytes of headers 16385"},
    {{.event.body = {"", SIZE_MAX / 2}}, "bytes of body"},
    {{.event.body = {"", EVENT_BODY_MAX + 1}}, "bytes of body 268435457"},
    {{.event.options = {"", EVENT_OPTIONS_MAX + 1}},
	"bytes of options 32769"},
    {{.n_log = -1}, "count of attempts -1"},
    {{.n_log = INT64_C(1) << 60}, "count of attempts"},
    {{.log_bytes = INT64_MIN}, "bytes of attempts"},
    {{.log_bytes = INT64_MAX}, "bytes of attempts"},
};

START_TEST(nonsense_is_refused)
{
	const char *reason = row_cases[_i].reason;
	enum store_status expected = reason == NULL ? STORE_OK : STORE_BROKEN;
	struct store_record *record;
	struct store_claim *claim;
	struct err err;

	ck_assert_int_eq(
	    store_record_create(&row_cases[_i].row, &record, &err), expected);
	if (reason != NULL) {
		ck_assert_msg(strstr(err.text, reason) != NULL, "%s", err.text);
		ck_assert_ptr_null(record);
	}
	store_record_free(record);
	ck_assert_int_eq(
	    store_claim_create(&row_cases[_i].row, &claim, &err), expected);
	store_claim_free(claim);
}
END_TEST

START_TEST(claim_is_the_next_attempt)
{
	const struct store_row row = {.id = 7, .attempts = 2};
	struct store_claim *claim;
	struct err err;

	ck_assert_int_eq(store_claim_create(&row, &claim, &err), STORE_OK);
	ck_assert_uint_eq(claim->attempt, 3);
	store_claim_free(claim);
}
END_TEST

/* What was counted, and what came. */
static const struct {
	int64_t n_log, log_bytes;
	struct store_log_row row;
	bool fits;
} log_cases[] = {
    {1, 5, {1, 2, 3, {"12", 2}, {"345", 3}}, true},
    {1, 5, {1, 2, 3, {"12345", 5}, {"", 0}}, true},
    {0, 0, {1, 2, 3, {"", 0}, {"", 0}}, false},
    {0, 100, {1, 2, 3, {"", 0}, {"", 0}}, false},
    {1, 5, {1, 2, 3, {"123456", 6}, {"", 0}}, false},
    {1, 5, {1, 2, 3, {"", 0}, {"123456", 6}}, false},
    {1, 5, {1, 2, 3, {"123", 3}, {"456", 3}}, false},
    {1, 5, {1, 2, 3, {"1", 1}, {"", SIZE_MAX}}, false},
    {1, 5, {1, 2, 3, {"", SIZE_MAX}, {"123456", 6}}, false},
    {1, 5, {-1, 2, 3, {"", 0}, {"", 0}}, false},
    {1, 5, {INT64_C(1) << 32, 2, 3, {"", 0}, {"", 0}}, false},
    {1, 5, {1, INT64_MIN, 3, {"", 0}, {"", 0}}, false},
    {1, 5, {1, 2, INT64_C(1) << 32, {"", 0}, {"", 0}}, false},
};

START_TEST(log_has_its_room_only)
{
	const struct store_row row = {
	    .n_log = log_cases[_i].n_log,
	    .log_bytes = log_cases[_i].log_bytes,
	};
	bool fits = log_cases[_i].fits;
	struct store_record *record;
	struct err err;

	ck_assert_int_eq(store_record_create(&row, &record, &err), STORE_OK);
	ck_assert_int_eq(store_record_log(record, &log_cases[_i].row, &err),
	    fits ? STORE_OK : STORE_BROKEN);
	ck_assert_uint_eq(record->n_log, fits ? 1 : 0);
	store_record_free(record);
}
END_TEST

enum { ROW = 50, KNOWN = 3, UNKNOWN = 4, MAX = 3 };

static const struct {
	uint64_t owner;
	int64_t culprit; /* of KNOWN's death */
	int n_wire;      /* -1: not known; 1: ROW */
	unsigned attempts, suspect;
	enum verdict verdict;
} judge_cases[] = {
    /* a crash with a note */
    {KNOWN, ROW, 1, 1, 0, VERDICT_COUNTED},
    {KNOWN, ROW, 1, 2, 1, VERDICT_COUNTED},
    {KNOWN, ROW, 1, 3, 0, VERDICT_GIVEN_UP},
    {KNOWN, ROW, 1, 1000, 0, VERDICT_GIVEN_UP},
    {KNOWN, ROW, 0, 1, 2, VERDICT_COUNTED},
    {KNOWN, ROW, 0, 3, 2, VERDICT_GIVEN_UP},
    {KNOWN, 51, 1, 3, 0, VERDICT_INNOCENT},
    {KNOWN, 51, -1, 3, 1, VERDICT_INNOCENT},
    /* without one */
    {KNOWN, 0, 1, 3, 0, VERDICT_SUSPECT},
    {KNOWN, 0, 1, 3, 1, VERDICT_QUARANTINED},
    {KNOWN, 0, 1, 3, 2, VERDICT_INNOCENT},
    {KNOWN, 0, 0, 3, 0, VERDICT_INNOCENT},
    {KNOWN, 0, 0, 3, 1, VERDICT_INNOCENT},
    {KNOWN, 0, -1, 3, 0, VERDICT_SUSPECT},
    {KNOWN, 0, -1, 3, 1, VERDICT_QUARANTINED},
    /* gone with its host */
    {UNKNOWN, ROW, 0, 3, 0, VERDICT_SUSPECT},
    {UNKNOWN, ROW, 0, 3, 1, VERDICT_QUARANTINED},
    {UNKNOWN, 0, 0, 1, 2, VERDICT_COUNTED},
    {UNKNOWN, 0, 0, 3, 2, VERDICT_GIVEN_UP},
};

START_TEST(judge)
{
	static const int64_t wire[] = {ROW};
	const struct store_death death = {.owner = KNOWN,
	    .culprit = judge_cases[_i].culprit,
	    .wire_known = judge_cases[_i].n_wire >= 0,
	    .wire = wire,
	    .n_wire = judge_cases[_i].n_wire > 0 ? 1 : 0};
	const struct lease_request turn = {
	    .dead = &death, .n_dead = 1, .max_attempts = MAX};
	const struct lost_row row = {.id = ROW,
	    .owner = judge_cases[_i].owner,
	    .attempts = judge_cases[_i].attempts,
	    .suspect = judge_cases[_i].suspect};
	struct lease_request once = turn;
	struct lost_row own = row;
	enum verdict verdict = store_judge(&turn, &row);
	int64_t id = 0;

	ck_assert_int_eq(verdict, judge_cases[_i].verdict);
	for (int v = 0; v < VERDICTS; v++)
		ck_assert_uint_eq(
		    store_judged(&turn, &row, 1, (enum verdict)v, &id),
		    v == (int)verdict ? 1 : 0);
	ck_assert_int_eq(id, ROW);
	/* The event's own limit goes before. */
	own.max_attempts = 1001;
	ck_assert_int_ne(store_judge(&turn, &own), VERDICT_GIVEN_UP);
	own.max_attempts = 2;
	if (verdict == VERDICT_COUNTED && row.attempts == 2)
		ck_assert_int_eq(store_judge(&turn, &own), VERDICT_GIVEN_UP);
	/* Never by the first, whatever is allowed. */
	once.max_attempts = 1;
	if (row.attempts == 1)
		ck_assert_int_ne(store_judge(&once, &row), VERDICT_GIVEN_UP);
}
END_TEST

static const struct {
	const char *url, *destination;
	bool leads;
} destination_cases[] = {
    {"http://a.example/x", "", true},
    {"http://a.example/x", "a.example", true},
    {"http://A.example:80/x", "a.EXAMPLE", true},
    {"http://a.example:80/x", "a.example:80", true},
    {"http://a.example/x", "a.example:80", false},
    {"http://b.example/a.example", "a.example", false},
    {"http://a.example.net/", "a.example", false},
    {"http://u:p@a.example/", "a.example", true},
    {"http://[::1]:8/", "[::1]:8", true},
    {"http://[::1]:8/", "::1", true},
    {"no URL", "no URL", false},
};

START_TEST(list_destination)
{
	ck_assert_msg(
	    url_leads_to(slice_from_string(destination_cases[_i].url),
		slice_from_string(destination_cases[_i].destination)) ==
		destination_cases[_i].leads,
	    "%s %s", destination_cases[_i].url,
	    destination_cases[_i].destination);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int
main(void)
{
	Suite *suite = suite_create("store_plan");
	TCase *tc = tcase_create("all");

	suite_add_tcase(suite, tc);
	tcase_add_loop_test(tc, lease_plan, 0, COUNT(lease_cases));
	tcase_add_loop_test(tc, lease_plan_settles, 1, 70);
	tcase_add_loop_test(tc, lease_share, 1, 130);
	tcase_add_loop_test(tc, pick, 0, COUNT(pick_cases));
	tcase_add_test(tc, pick_limit);
	tcase_add_loop_test(tc, row_state, 0, COUNT(state_cases));
	tcase_add_test(tc, clock_offset);
	tcase_add_test(tc, record_owns_its_bytes);
	tcase_add_loop_test(tc, nonsense_is_refused, 0, COUNT(row_cases));
	tcase_add_test(tc, claim_is_the_next_attempt);
	tcase_add_loop_test(tc, log_has_its_room_only, 0, COUNT(log_cases));
	tcase_add_loop_test(tc, list_destination, 0, COUNT(destination_cases));
	tcase_add_loop_test(tc, judge, 0, COUNT(judge_cases));
	return suite_run(suite);
}
