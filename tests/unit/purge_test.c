/* SPDX-License-Identifier: ISC */
#include "worker/purge.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { MONO = 5000, MINUTE = 60000, DAY = 86400000, STEP = 500 };

static void
no_end(struct store_job *job)
{
	(void)job;
}

struct wait_row {
	int64_t retention;
	uint64_t shards;
	int64_t after, wait;
};

static const struct wait_row wait_rows[] = {
    {DAY, 1, 0, MINUTE},
    {DAY, 1, MINUTE - 1, 1},
    {DAY, 1, MINUTE, 0},
    {DAY, 1, 2 * MINUTE, 0},
    /* kept for ever, or nothing of ours */
    {0, 6, 2 * MINUTE, INT64_MAX},
    /* which who has the first shard looks at, too, for schedules */
    {0, 1, MINUTE - 1, 1},
    {DAY, 0, 2 * MINUTE, INT64_MAX},
};

START_TEST(test_wait)
{
	const struct wait_row *row = &wait_rows[_i];
	struct purge purge;

	purge_init(&purge, row->retention, MONO, NULL, no_end);
	ck_assert_int_eq(
	    purge_wait_ms(&purge, row->shards, MONO + row->after), row->wait);
}
END_TEST

START_TEST(test_submit)
{
	struct purge purge;
	struct store_job *job;

	purge_init(&purge, DAY, MONO, NULL, no_end);
	job = purge_submit(&purge, 6, INT64_C(5) * DAY);
	ck_assert_ptr_eq(job, &purge.job);
	ck_assert(job->run != NULL && job->done == no_end);
	ck_assert_uint_eq(purge.shards, 6);
	ck_assert_int_eq(purge.before_ms, INT64_C(4) * DAY);
}
END_TEST

struct done_row {
	size_t n;
	bool rest; /* of schedules to mend */
	int64_t wait;
};

static const struct done_row done_rows[] = {
    {0, false, MINUTE},
    {STEP - 1, false, MINUTE},
    /* there may be more */
    {STEP, false, 50},
    {0, true, 50},
};

START_TEST(test_done)
{
	const struct done_row *row = &done_rows[_i];
	struct purge purge;

	purge_init(&purge, DAY, MONO, NULL, no_end);
	(void)purge_submit(&purge, 1, DAY);
	purge.status = STORE_OK;
	purge.n_purged = row->n;
	ck_assert(!purge.mend.rest);
	purge.mend.rest = row->rest;
	ck_assert_uint_eq(purge_done(&purge, MONO + MINUTE), row->n);
	ck_assert_int_eq(purge_wait_ms(&purge, 1, MONO + MINUTE), row->wait);
}
END_TEST

/* After one that failed it is due as before. */
START_TEST(test_failed)
{
	struct purge purge;

	purge_init(&purge, DAY, MONO, NULL, no_end);
	(void)purge_submit(&purge, 1, DAY);
	purge.status = STORE_UNAVAILABLE;
	ck_assert_int_eq(purge_wait_ms(&purge, 1, MONO + MINUTE), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("purge");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, test_wait, 0, COUNT(wait_rows));
	tcase_add_test(tc, test_submit);
	tcase_add_loop_test(tc, test_done, 0, COUNT(done_rows));
	tcase_add_test(tc, test_failed);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
