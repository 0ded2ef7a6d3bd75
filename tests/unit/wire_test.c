/* SPDX-License-Identifier: ISC */
#include "worker/wire.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

static struct scoreboard_slot slot;
static struct wire wire;

static int
count(int64_t row_id)
{
	int n = 0;

	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		n += slot.wire[i] == row_id;
	return n;
}

START_TEST(test_enter_and_leave)
{
	int a, b;

	wire_init(&wire, &slot);
	a = wire_enter(&wire, 7);
	b = wire_enter(&wire, 8);
	ck_assert_int_eq(count(7), 1);
	ck_assert_int_eq(count(8), 1);
	ck_assert_int_eq(count(0), SCOREBOARD_WIRE - 2);
	wire_leave(&wire, a);
	ck_assert_int_eq(count(7), 0);
	ck_assert_int_eq(count(8), 1);
	wire_leave(&wire, b);
	ck_assert_int_eq(count(0), SCOREBOARD_WIRE);
}
END_TEST

/* What finds no place is counted, so that the list is known to be short. */
START_TEST(test_more_than_places)
{
	int places[SCOREBOARD_WIRE + 2];

	wire_init(&wire, &slot);
	for (int i = 0; i < SCOREBOARD_WIRE + 2; i++)
		places[i] = wire_enter(&wire, 100 + i);
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		ck_assert_int_eq(count(100 + i), 1);
	ck_assert_int_eq(places[SCOREBOARD_WIRE], -1);
	ck_assert_int_eq(slot.n_unlisted, 2);
	wire_leave(&wire, places[3]);
	ck_assert_int_eq(slot.n_unlisted, 2);
	ck_assert_int_eq(wire_enter(&wire, 9), places[3]);
	wire_leave(&wire, -1);
	wire_leave(&wire, -1);
	ck_assert_int_eq(slot.n_unlisted, 0);
	for (int i = 0; i < SCOREBOARD_WIRE; i++)
		wire_leave(&wire, places[i]);
	ck_assert_int_eq(count(0), SCOREBOARD_WIRE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wire");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, test_enter_and_leave);
	tcase_add_test(tc, test_more_than_places);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
