/* SPDX-License-Identifier: ISC */
#include "bench/ledger.h"

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "suite.h"

enum { DUE_MS = 1000000 };

static struct ledger ledger;

static void
setup(void)
{
	ck_assert_int_eq(ledger_init(&ledger), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ledger_sent(&ledger, DUE_MS, i == 2), 0);
}

static void
teardown(void)
{
	ledger_fini(&ledger);
}

/* An arrival so many microseconds after its time. */
static void
arrive(unsigned number, int64_t late_us)
{
	char id[64];
	int len = snprintf(id, sizeof(id), "%s%010u", ledger.tag, number);

	ledger_arrived(&ledger, slice_of(id, (size_t)len),
	    DUE_MS * INT64_C(1000) + late_us);
}

START_TEST(lost_until_it_arrives)
{
	ledger_acknowledged(&ledger, 0);
	ledger_acknowledged(&ledger, 1);
	ck_assert_uint_eq(ledger.n_missing, 2);
	arrive(1, 1500);
	ck_assert_uint_eq(ledger.n_missing, 1);
	ck_assert_uint_eq(ledger.n_arrived, 1);
	ck_assert_int_eq(ledger.lateness.max_us, 1500);
}
END_TEST

START_TEST(arrival_before_the_answer)
{
	arrive(0, 10);
	ledger_acknowledged(&ledger, 0);
	ck_assert_uint_eq(ledger.n_missing, 0);
	ck_assert_uint_eq(ledger.n_duplicates, 0);
}
END_TEST

START_TEST(not_acknowledged_is_not_lost)
{
	ck_assert_uint_eq(ledger.n_missing, 0);
	arrive(0, 10);
	ck_assert_uint_eq(ledger.n_missing, 0);
	ck_assert_uint_eq(ledger.n_arrived, 1);
}
END_TEST

START_TEST(duplicates)
{
	for (int i = 0; i < 300; i++)
		arrive(0, 10 + i);
	ck_assert_uint_eq(ledger.n_duplicates, 299);
	ck_assert_uint_eq(ledger.n_arrived, 1);
	ck_assert_uint_eq(ledger.lateness.n, 1);
}
END_TEST

START_TEST(early)
{
	arrive(0, 0);
	ck_assert_uint_eq(ledger.n_early, 0);
	arrive(1, -1);
	ck_assert_uint_eq(ledger.n_early, 1);
}
END_TEST

START_TEST(slow_ones_have_no_lateness)
{
	arrive(2, 5000000);
	ck_assert_uint_eq(ledger.n_arrived, 1);
	ck_assert_uint_eq(ledger.lateness.n, 0);
}
END_TEST

START_TEST(of_others)
{
	static const char *const ids[] = {
	    "", "order-4711", "0000000000000000-0000000000",
	};
	char id[64];

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ledger_arrived(&ledger, slice_from_string(ids[i]), 0);
	arrive(3, 0); /* beyond the last */
	(void)snprintf(id, sizeof(id), "%s00000000x0", ledger.tag);
	ledger_arrived(&ledger, slice_from_string(id), 0);
	ck_assert_uint_eq(ledger.n_unknown, 5);
	ck_assert_uint_eq(ledger.n_arrived, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lost_until_it_arrives);
	tcase_add_test(tc, arrival_before_the_answer);
	tcase_add_test(tc, not_acknowledged_is_not_lost);
	tcase_add_test(tc, duplicates);
	tcase_add_test(tc, early);
	tcase_add_test(tc, slow_ones_have_no_lateness);
	tcase_add_test(tc, of_others);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
