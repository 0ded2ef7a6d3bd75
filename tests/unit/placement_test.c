/* SPDX-License-Identifier: ISC */
#include "board/placement.h"

#include <stdlib.h>

#include <check.h>

#include "base/clock.h"
#include "board/shardboard.h"
#include "suite.h"

enum { MONO = 5000, WALL = 1000000, LOOK = 10000, SLACK = 1000 };

#define ALL    UINT64_MAX
#define BIT(n) (UINT64_C(1) << (n))
/* The worker of that number, of three, and its shard of that number. */
#define LOT(worker, nth) ((uint32_t)(worker) << 16 | (nth))

static const struct {
	const char *what;
	uint64_t shards[4]; /* of workers, to the first 0 */
	int64_t due_ms;     /* after now */
	uint32_t lot;
	unsigned shard;
} rows[] = {
    {"the only one", {BIT(7)}, 0, 0xffffffff, 7},
    {"over by now", {BIT(7)}, -1000000, 5, 7},
    {"the last that is soon", {BIT(7)}, LOOK + SLACK - 1, 5, 7},
    {"the first that is not", {BIT(7)}, LOOK + SLACK, 5, 5},
    {"the end of time", {BIT(7)}, INT64_MAX - WALL, 64 + 9, 9},
    {"nobody here", {0}, 0, 63, 63},
    {"nobody here, another lot", {0}, 0, 64, 0},
    {"all are ours", {ALL}, 0, LOT(0, 0), 0},
    {"all are ours, the last", {ALL}, 0, LOT(0, 63), 63},
    {"all are ours, round again", {ALL}, 0, LOT(0, 64), 0},
    {"first a worker: the first", {BIT(1), ~BIT(1)}, 0, LOT(0, 44), 1},
    {"the other", {BIT(1), ~BIT(1)}, 0, LOT(1, 0), 0},
    {"the other's second", {BIT(1), ~BIT(1)}, 0, LOT(1, 1), 2},
    {"the other's last", {BIT(1), ~BIT(1)}, 0, LOT(1, 62), 63},
    {"of three", {BIT(1), BIT(2), BIT(3)}, 0, LOT(5, 9), 3},
    {"the highest", {BIT(1), BIT(63) | BIT(62)}, 0, LOT(1, 1), 63},
};

START_TEST(test_shard)
{
	struct placement p = {.soon_ms = WALL + LOOK + SLACK};

	while (rows[_i].shards[p.n_workers] != 0) {
		p.shards[p.n_workers] = rows[_i].shards[p.n_workers];
		p.n_workers++;
	}
	ck_assert_msg(placement_shard(&p, WALL + rows[_i].due_ms,
			  rows[_i].lot) == rows[_i].shard,
	    "%s", rows[_i].what);
}
END_TEST

/* Each worker has as many, however few shards it holds, and of it each shard;
 * all of 64 have as many of those that are due late. */
START_TEST(test_balance)
{
	struct placement p = {.shards = {BIT(3), BIT(4) | BIT(5), 0xff00},
	    .n_workers = 3,
	    .soon_ms = 100};
	unsigned soon[EVENT_SHARDS] = {0}, late[EVENT_SHARDS] = {0};

	for (uint32_t worker = 0; worker < 3; worker++)
		for (uint32_t nth = 0; nth < 64; nth++) {
			soon[placement_shard(&p, 99, LOT(worker, nth))]++;
			late[placement_shard(&p, 100, LOT(worker, nth))]++;
		}
	for (unsigned shard = 0; shard < EVENT_SHARDS; shard++) {
		unsigned n = shard == 3                    ? 64
			     : shard == 4 || shard == 5    ? 32
			     : shard >= 8 && shard <= 0x0f ? 8
							   : 0;

		ck_assert_uint_eq(soon[shard], n);
		ck_assert_uint_eq(late[shard], 3);
	}
}
END_TEST

static int64_t
mono(void)
{
	return MONO;
}

static int64_t
wall(void)
{
	return WALL;
}

/* Whoever holds shards here and is there. */
START_TEST(test_read)
{
	struct scoreboard sb;
	struct placement p;
	struct err err;
	int slots[4];

	clock_mono_replace(mono);
	clock_wall_replace(wall);
	ck_assert_int_eq(scoreboard_create(&sb, &err), 0);
	placement_read(&p, &sb, LOOK);
	ck_assert_uint_eq(p.n_workers, 0);
	ck_assert_int_eq(p.soon_ms, WALL + LOOK + SLACK);

	for (int i = 0; i < 4; i++) {
		slots[i] = scoreboard_slot_claim(&sb, ROLE_WORKER, &err);
		sb.writable->children[slots[i]].slot.shards = BIT(i);
		sb.writable->children[slots[i]].slot.held_until_ms = MONO + 1;
	}
	/* It holds none; another was stopped, and does no longer. */
	sb.writable->children[slots[0]].slot.shards = 0;
	sb.writable->children[slots[3]].slot.held_until_ms = MONO;
	placement_read(&p, &sb, LOOK);
	ck_assert_uint_eq(p.n_workers, 2);
	ck_assert_uint_eq(p.shards[0], BIT(1));
	ck_assert_uint_eq(p.shards[1], BIT(2));

	/* It died: nothing more goes there. */
	shardboard_bury(&sb, slots[1], END_KILLED);
	placement_read(&p, &sb, LOOK);
	ck_assert_uint_eq(p.n_workers, 1);
	ck_assert_uint_eq(p.shards[0], BIT(2));
	scoreboard_free(&sb);
	clock_mono_replace(NULL);
	clock_wall_replace(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("placement");
	TCase *tc = tcase_create("placement");

	tcase_add_loop_test(
	    tc, test_shard, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tc, test_balance);
	tcase_add_test(tc, test_read);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
