/* SPDX-License-Identifier: ISC */
#include "worker/claim_size.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

struct want_row {
	bool backlog;
	size_t size, held, capacity, waiting;
	size_t want;
};

static const struct want_row want_rows[] = {
    /* room for all, for some, for none */
    {false, 5, 0, 512, 0, 5},
    {false, 5, 510, 512, 3, 2},
    {false, 5, 512, 512, 3, 0},
    {false, 5, 600, 512, 3, 0},
    /* under backlog small claims wait while others can be started */
    {true, 500, 300, 512, 44, 0},
    {true, 500, 262, 512, 6, 250},
    {true, 500, 263, 512, 7, 0},
    {true, 500, 300, 512, 0, 212},
    /* a batch larger than the memory for it counts as that memory */
    {true, 500, 10, 20, 5, 10},
    {true, 500, 11, 20, 5, 0},
};

START_TEST(test_want)
{
	const struct want_row *row = &want_rows[_i];
	struct claim_size cs;

	claim_size_init(&cs, 5, 500);
	cs.size = row->size;
	cs.backlog = row->backlog;
	ck_assert_uint_eq(
	    claim_size_want(&cs, row->held, row->capacity, row->waiting),
	    row->want);
}
END_TEST

START_TEST(test_grows_and_shrinks)
{
	static const size_t sizes[] = {5, 10, 20, 40, 80, 160, 320, 500, 500};
	static const size_t halves[] = {250, 125, 62, 31, 15, 7, 5, 5};
	struct claim_size cs;

	claim_size_init(&cs, 5, 500);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_assert_uint_eq(cs.size, sizes[i]);
		claim_size_claimed(&cs, cs.size, true);
		ck_assert(cs.backlog);
	}
	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		claim_size_claimed(&cs, 0, false);
		ck_assert(!cs.backlog);
		ck_assert_uint_eq(cs.size, halves[i]);
	}
}
END_TEST

/* What comes at one rate is taken by one claim each time. */
START_TEST(test_stays_at_a_rate)
{
	struct claim_size cs;

	claim_size_init(&cs, 5, 500);
	cs.size = 40;
	claim_size_claimed(&cs, 20, false);
	ck_assert_uint_eq(cs.size, 40);
	claim_size_claimed(&cs, 40, false);
	ck_assert_uint_eq(cs.size, 40);
	claim_size_claimed(&cs, 19, false);
	ck_assert_uint_eq(cs.size, 20);
}
END_TEST

START_TEST(test_min_equals_max)
{
	struct claim_size cs;

	claim_size_init(&cs, 1, 1);
	claim_size_claimed(&cs, 1, true);
	ck_assert_uint_eq(cs.size, 1);
	claim_size_claimed(&cs, 0, false);
	ck_assert_uint_eq(cs.size, 1);
	ck_assert_uint_eq(claim_size_want(&cs, 0, 2, 1), 1);
}
END_TEST

/* Events so large that memory holds few: no more are asked for than fit. */
START_TEST(test_cut)
{
	struct claim_size cs;

	claim_size_init(&cs, 5, 500);
	claim_size_claimed(&cs, 5, true);
	claim_size_cut(&cs, 3);
	ck_assert_uint_eq(claim_size_want(&cs, 3, 512, 0), 3);
	claim_size_claimed(&cs, 3, true);
	ck_assert_uint_eq(cs.size, 6);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("claim_size");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(
	    tc, test_want, 0, (int)(sizeof(want_rows) / sizeof(want_rows[0])));
	tcase_add_test(tc, test_grows_and_shrinks);
	tcase_add_test(tc, test_stays_at_a_rate);
	tcase_add_test(tc, test_min_equals_max);
	tcase_add_test(tc, test_cut);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
