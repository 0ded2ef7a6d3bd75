/* SPDX-License-Identifier: ISC */
#include "worker/newest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "board/shardboard.h"

#include "suite.h"
#include "worker_parts.h"

enum { INTERVAL = 25, OVERLAP = 2000, SHARD = 9 };

static struct newest newest;
static struct dbclock db;
static int other;
static int64_t made_ms; /* an event that is found */

static struct scoreboard_slot *
slot_of(int slot)
{
	return &parts_sb.writable->children[slot].slot;
}

static void
begin(void)
{
	struct clock_reading now;
	struct err err;

	parts_begin();
	made_ms = 0;
	now = clock_read();
	parts_cfg.worker.new_event_interval_ms = INTERVAL;
	parts_cfg.datastore.place.kind = SQL_MYSQL;
	dbclock_init(&db, &now);
	other = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	ck_assert_int_eq(other, 1);
	slot_of(0)->held_until_ms = slot_of(other)->held_until_ms = INT64_MAX;
	slot_of(0)->shards = 1;
	slot_of(other)->shards = UINT64_C(1) << SHARD;
	newest_init(&newest, &parts_child, &db, parts_done);
}

static int64_t
wait_ms(void)
{
	return newest_wait_ms(&newest, parts_now_ms);
}

/* Whose turn it is. */
static const struct {
	const char *what;
	int64_t interval_ms;
	enum sql_kind kind;
	uint64_t shards, shards_of_other; /* held */
	bool second, draining;            /* we are */
	bool asks;
} rows[] = {
    {"the first of two", INTERVAL, SQL_MYSQL, 1, 2, false, false, true},
    {"alone", INTERVAL, SQL_MYSQL, 1, 0, false, false, true},
    {"the second", INTERVAL, SQL_MYSQL, 1, 2, true, false, false},
    {"the first holds none", INTERVAL, SQL_MYSQL, 0, 2, true, false, true},
    {"we hold none", INTERVAL, SQL_MYSQL, 0, 2, false, false, false},
    {"nobody holds any", INTERVAL, SQL_MYSQL, 0, 0, false, false, false},
    {"for events never", 0, SQL_MYSQL, 1, 2, false, false, true},
    {"a file", INTERVAL, SQL_SQLITE, 1, 2, false, false, false},
    {"we leave", INTERVAL, SQL_MYSQL, 1, 2, false, true, false},
};

START_TEST(test_turn)
{
	parts_cfg.worker.new_event_interval_ms = rows[_i].interval_ms;
	parts_cfg.datastore.place.kind = rows[_i].kind;
	slot_of(0)->shards = rows[_i].shards;
	slot_of(other)->shards = rows[_i].shards_of_other;
	parts_child.draining = rows[_i].draining;
	parts_child.slot = rows[_i].second ? other : 0;
	ck_assert_msg(
	    wait_ms() == (rows[_i].asks ? 0 : INT64_MAX), "%s", rows[_i].what);
}
END_TEST

/* The one before it is gone: the next one asks. */
START_TEST(test_next)
{
	parts_child.slot = other;
	ck_assert_int_eq(wait_ms(), INT64_MAX);
	slot_of(0)->held_until_ms = parts_now_ms; /* or it is stopped */
	ck_assert_int_eq(wait_ms(), 0);
	slot_of(0)->held_until_ms = INT64_MAX;
	shardboard_bury(&parts_sb, 0, END_KILLED);
	ck_assert_int_eq(wait_ms(), 0);
}
END_TEST

/* While its worker asks the datastore. */
static void
found_beside(unsigned shard, int64_t due_ms, int64_t asking_ms)
{
	newest.status = STORE_OK;
	newest.news[0] = (struct store_news){shard, due_ms, made_ms};
	newest.reply.n = 1;
	slot_of(other)->asking_ms = asking_ms;
	newest_done(&newest, parts_now_ms);
	slot_of(other)->asking_ms = 0;
}

static void
found(unsigned shard, int64_t due_ms)
{
	(void)newest_submit(&newest, parts_now_ms);
	found_beside(shard, due_ms, 0);
}

/* Finds nothing after so long; what it waits for the next one. */
static int64_t
wait_after(int64_t ms)
{
	parts_now_ms += ms;
	newest.asked_ms = newest.marked_ms = parts_now_ms;
	return wait_ms();
}

/* What was news to somebody makes it ask often, for a minute. */
START_TEST(test_hurry)
{
	int64_t due_ms = parts_wall() + 3600000;

	found(SHARD + 1, due_ms); /* to nobody here */
	ck_assert_int_eq(wait_ms(), 8 * INTERVAL);
	(void)newest_submit(&newest, parts_now_ms);
	found_beside(SHARD, due_ms, parts_now_ms); /* it may see it itself */
	ck_assert_int_eq(wait_ms(), 8 * INTERVAL);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, other), INT64_MAX);
	found(SHARD, due_ms);
	ck_assert_int_eq(wait_ms(), INTERVAL);
	parts_now_ms += 30000;
	found(SHARD, due_ms); /* it was told that already */
	ck_assert_int_eq(wait_after(29999), INTERVAL);
	ck_assert_int_eq(wait_after(1), 8 * INTERVAL);
	found(SHARD, due_ms - 1);
	ck_assert_int_eq(wait_ms(), INTERVAL);
}
END_TEST

/* What was due already makes it ask more often, and for longer. */
START_TEST(test_pressed)
{
	int64_t due_ms = parts_wall() - 1;

	found(SHARD, due_ms + 3600000);
	ck_assert_int_eq(wait_ms(), INTERVAL);
	found(SHARD, due_ms);
	ck_assert_int_eq(wait_after(2999), (INTERVAL + 1) / 2);
	ck_assert_int_eq(wait_after(1), INTERVAL);
	ck_assert_int_eq(wait_after(596999), INTERVAL);
	ck_assert_int_eq(wait_after(1), 8 * INTERVAL);
	/* By the datastore's clock. */
	db.offset_ms = -5000;
	slot_of(other)->look++;
	due_ms = parts_wall() - 1;
	found(SHARD, due_ms);
	ck_assert_int_eq(wait_ms(), INTERVAL);
	found(SHARD, due_ms - 5000);
	ck_assert_int_eq(wait_ms(), (INTERVAL + 1) / 2);
	/* Another one that is not takes nothing away. */
	found(SHARD + 1, due_ms);
	ck_assert_int_eq(wait_after(599999), INTERVAL);
}
END_TEST

/* An event that a service here is adding is told, and no reason to hurry. */
START_TEST(test_being_added)
{
	struct err err;
	int slot = scoreboard_slot_claim(&parts_sb, ROLE_SERVICE, &err);

	ck_assert_int_ge(slot, 0);
	slot_of(slot)->adding_ms = made_ms = parts_wall();
	found(SHARD, 77);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, other), 77);
	ck_assert_int_eq(wait_ms(), 8 * INTERVAL);
	/* One of before it would have been told by now, were it ours. */
	made_ms--;
	found(SHARD, 76);
	ck_assert_int_eq(wait_ms(), (INTERVAL + 1) / 2);
}
END_TEST

/* Nor is one whose worker has looked since it was seen, or was just at it. */
START_TEST(test_claimed_since)
{
	(void)newest_submit(&newest, parts_now_ms);
	slot_of(other)->look++;
	found_beside(SHARD, 77, 0);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, other), 77);
	ck_assert_int_eq(wait_ms(), 8 * INTERVAL);
	slot_of(other)->asking_ms = parts_now_ms;
	(void)newest_submit(&newest, parts_now_ms);
	found_beside(SHARD, 76, 0);
	ck_assert_int_eq(wait_ms(), 8 * INTERVAL);
	(void)newest_submit(&newest, parts_now_ms);
	slot_of(0)->look++; /* of another one */
	found_beside(SHARD, 75, 0);
	ck_assert_int_eq(wait_ms(), (INTERVAL + 1) / 2);
}
END_TEST

START_TEST(test_interval)
{
	ck_assert_ptr_eq(newest_submit(&newest, parts_now_ms), &newest.job);
	ck_assert_int_eq(newest.request.from_ms, parts_wall() - OVERLAP);
	ck_assert_int_eq(newest.request.to_ms, parts_wall() + OVERLAP);
	/* Nothing has come. */
	ck_assert_int_eq(wait_ms(), 8 * INTERVAL);
	parts_now_ms += 8 * INTERVAL - 1;
	ck_assert_int_eq(wait_ms(), 1);
	parts_now_ms++;
	ck_assert_int_eq(wait_ms(), 0);
}
END_TEST

/* Ids are from the clocks of others: from before the one that is behind to
 * after the one that is ahead. */
START_TEST(test_clocks)
{
	db.offset_ms = -700;
	(void)newest_submit(&newest, parts_now_ms);
	ck_assert_int_eq(newest.request.from_ms, parts_wall() - 700 - OVERLAP);
	ck_assert_int_eq(newest.request.to_ms, parts_wall() + OVERLAP);
	db.offset_ms = 700;
	parts_now_ms += 8 * INTERVAL;
	(void)newest_submit(&newest, parts_now_ms);
	ck_assert_int_eq(newest.request.from_ms, parts_wall() - OVERLAP);
	ck_assert_int_eq(newest.request.to_ms, parts_wall() + 700 + OVERLAP);
}
END_TEST

/* Who holds the shard is woken; if nobody does here, nobody is, and no other
 * master either. */
START_TEST(test_found)
{
	uint64_t n_unheld = shardboard_n_unheld(&parts_sb);

	(void)newest_submit(&newest, parts_now_ms);
	newest.status = STORE_OK;
	newest.news[0] = (struct store_news){SHARD, 77, 0};
	newest.news[1] = (struct store_news){SHARD, 99, 0};
	newest.news[2] = (struct store_news){SHARD + 1, 55, 0};
	newest.reply.n = 3;
	newest_done(&newest, parts_now_ms);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, other), 77);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, 0), INT64_MAX);
	ck_assert_uint_eq(shardboard_n_unheld(&parts_sb), n_unheld);

	/* It has looked, and sleeps until then: to see the row again wakes it
	 * no more. */
	slot_of(other)->look++;
	slot_of(other)->wake_at_ms = 77;
	newest_done(&newest, parts_now_ms);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, other), 77);
	/* But if the look did not see the row yet, it does. */
	slot_of(other)->look++;
	slot_of(other)->wake_at_ms = INT64_MAX;
	newest_done(&newest, parts_now_ms);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, other), 77);
	/* The first own one. */
	newest.news[0].shard = 0;
	newest_done(&newest, parts_now_ms);
	ck_assert_int_eq(shardboard_wake_at_ms(&parts_sb, 0), 77);
}
END_TEST

/* All look, for what is hidden behind as many as were read; some times a
 * second. */
START_TEST(test_hidden)
{
	uint64_t changes = parts_sb.shared->master.news.changes;

	for (int i = 0; i < 4; i++) {
		(void)newest_submit(&newest, parts_now_ms);
		newest.status = STORE_OK;
		newest.reply.more = i != 1;
		newest_done(&newest, parts_now_ms);
		parts_now_ms += 150;
	}
	ck_assert_uint_eq(parts_sb.shared->master.news.changes, changes + 2);
}
END_TEST

/* One that makes no sense keeps nobody from the others, and is named, now and
 * then. */
START_TEST(test_damaged)
{
	char log_path[] = "/tmp/cassata-newest-XXXXXX", line[2048];
	int fd = mkstemp(log_path), n = 0;
	struct err err;
	FILE *f;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(log_open(log_path, LOG_LEVEL_INFO, 2048, &err), 0);
	for (int i = 0; i < 100; i++) {
		(void)newest_submit(&newest, parts_now_ms);
		newest.status = STORE_OK;
		newest.reply.damaged = 4711;
		newest_done(&newest, parts_now_ms);
		parts_now_ms += 1000;
	}
	ck_assert_int_eq(log_open("stderr", LOG_LEVEL_INFO, 2048, &err), 0);
	f = fopen(log_path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, "event 4711 is damaged") != NULL;
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(unlink(log_path), 0);
	ck_assert_int_eq(n, 2);
}
END_TEST

/* ---- what other hosts do ---- */

/* A look now; whether our pauses may be others. */
static bool
look(int64_t pauses, int64_t jobs)
{
	(void)newest_submit(&newest, parts_now_ms);
	newest.status = STORE_OK;
	if (newest.request.marks)
		newest.reply.marks = (struct store_marks){pauses, jobs};
	return newest_done(&newest, parts_now_ms);
}

static uint64_t
n_pauses_told(void)
{
	return atomic_load(&parts_sb.shared->master.news.pauses);
}

static bool
is_first_shard_told(void)
{
	bool told = shardboard_wake_at_ms(&parts_sb, 0) == 0;

	atomic_store(&slot_of(0)->look, atomic_load(&slot_of(0)->look) + 1);
	return told;
}

/* Marks that are not known may be of a change; then each of one is told, for
 * two seconds. */
START_TEST(test_pauses_changed)
{
	uint64_t n_told = n_pauses_told();

	for (int i = 0; i < 3; i++) {
		for (int ms = 0; ms < 2000; ms += 400) {
			ck_assert(look(i == 2 ? 0 : i + 3, 0));
			ck_assert_uint_eq(n_pauses_told(), ++n_told);
			parts_now_ms += 200;
			ck_assert(!look(0, 0)); /* without marks */
			parts_now_ms += 200;
		}
		ck_assert(!look(i == 2 ? 0 : i + 3, 0));
		ck_assert_uint_eq(n_pauses_told(), n_told);
		parts_now_ms += 400;
	}
	ck_assert(!is_first_shard_told());
}
END_TEST

/* The end of all jobs is no news. */
START_TEST(test_jobs_changed)
{
	static const struct {
		int64_t mark;
		bool told;
	} steps[] = {{0, false}, {0, false}, {7, true}, {7, true}, {9, true},
	    {0, false}, {0, false}, {9, true}};

	for (int i = 0; i < COUNT(steps); i++) {
		(void)look(1, steps[i].mark);
		ck_assert_int_eq(is_first_shard_told(), steps[i].told);
		parts_now_ms += 400;
	}
	parts_now_ms += 2000;
	(void)look(1, 9);
	ck_assert(!is_first_shard_told());
}
END_TEST

/* However often it looks for events, and with them where those are due. */
START_TEST(test_marks_interval)
{
	static const struct {
		int64_t interval_ms;
		int n_marks, n_events, n_looks;
	} cases[] = {{0, 10, 0, 10}, {10000, 10, 1, 10}, {25, 10, 20, 20},
	    {1, 10, 500, 500}};
	int n_marks = 0, n_events = 0, n_looks = 0;
	int64_t end_ms = parts_now_ms + 4000;

	parts_cfg.worker.new_event_interval_ms = cases[_i].interval_ms;
	for (; parts_now_ms < end_ms; parts_now_ms += wait_ms(), n_looks++) {
		(void)look(1, 0);
		n_marks += newest.request.marks;
		n_events += newest.request.to_ms > newest.request.from_ms;
	}
	ck_assert_int_eq(n_marks, cases[_i].n_marks);
	ck_assert_int_eq(n_events, cases[_i].n_events);
	ck_assert_int_eq(n_looks, cases[_i].n_looks);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("newest");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, parts_end);
	tcase_add_loop_test(tc, test_turn, 0, COUNT(rows));
	tcase_add_test(tc, test_next);
	tcase_add_test(tc, test_hurry);
	tcase_add_test(tc, test_pressed);
	tcase_add_test(tc, test_being_added);
	tcase_add_test(tc, test_claimed_since);
	tcase_add_test(tc, test_interval);
	tcase_add_test(tc, test_clocks);
	tcase_add_test(tc, test_found);
	tcase_add_test(tc, test_hidden);
	tcase_add_test(tc, test_damaged);
	tcase_add_test(tc, test_pauses_changed);
	tcase_add_test(tc, test_jobs_changed);
	tcase_add_loop_test(tc, test_marks_interval, 0, 4);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
