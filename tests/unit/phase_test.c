/* SPDX-License-Identifier: ISC */
#include "master/phase.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

enum {
	STARTING = PHASE_STARTING,
	FOLLOWING = PHASE_FOLLOWING,
	WAITING = PHASE_WAITING,
	SERVING = PHASE_SERVING,
	RELOADING = PHASE_RELOADING,
	UPGRADING = PHASE_UPGRADING,
	TAKEN_OVER = PHASE_TAKEN_OVER,
	STOPPING = PHASE_STOPPING,
	REFUSED = PHASE_REFUSED,
	NEVER = PHASE_NEVER
};

/* From each phase; the columns are causes in their order. */
static const int cells[PHASES][CAUSES] = {
    /* READY FAILED LET_GO REPLACED NO_SUCCESSOR RELOAD UPGRADE STOP */
    {SERVING, STOPPING, STARTING, NEVER, NEVER, REFUSED, REFUSED, STOPPING},
    {WAITING, STOPPING, STARTING, NEVER, NEVER, REFUSED, REFUSED, STOPPING},
    {NEVER, NEVER, SERVING, NEVER, NEVER, REFUSED, REFUSED, STOPPING},
    {NEVER, NEVER, SERVING, NEVER, NEVER, RELOADING, UPGRADING, STOPPING},
    {SERVING, SERVING, RELOADING, NEVER, NEVER, REFUSED, REFUSED, STOPPING},
    {NEVER, NEVER, UPGRADING, TAKEN_OVER, SERVING, REFUSED, REFUSED, STOPPING},
    {NEVER, NEVER, TAKEN_OVER, NEVER, NEVER, REFUSED, REFUSED, REFUSED},
    {NEVER, NEVER, STOPPING, NEVER, NEVER, REFUSED, REFUSED, STOPPING},
};

START_TEST(test_cell)
{
	enum phase phase = (enum phase)(_i / CAUSES);
	enum cause cause = (enum cause)(_i % CAUSES);

	ck_assert_int_eq((int)phase_on(phase, cause), cells[phase][cause]);
}
END_TEST

/* The rules behind the cells. */
START_TEST(test_rules)
{
	enum phase phase = (enum phase)_i;
	struct err err;

	/* Two changes are never under way at once. */
	if (phase != PHASE_SERVING) {
		ck_assert_int_eq(
		    (int)phase_on(phase, CAUSE_RELOAD), (int)PHASE_REFUSED);
		ck_assert_int_eq(
		    (int)phase_on(phase, CAUSE_UPGRADE), (int)PHASE_REFUSED);
		ck_assert_int_eq(phase_refuse(phase, &err), -1);
		ck_assert_str_ne(err.text, "");
	}
	/* Whoever leaves does not come back. */
	if (strcmp(phase_state(phase), "draining") == 0) {
		for (enum cause cause = 0; cause < CAUSES; cause++) {
			enum phase next = phase_on(phase, cause);

			ck_assert(next == phase || next >= PHASES);
		}
	}
}
END_TEST

START_TEST(test_states)
{
	ck_assert_str_eq(phase_state(PHASE_STARTING), "starting");
	ck_assert_str_eq(phase_state(PHASE_WAITING), "starting");
	ck_assert_str_eq(phase_state(PHASE_SERVING), "ready");
	ck_assert_str_eq(phase_state(PHASE_RELOADING), "ready");
	ck_assert_str_eq(phase_state(PHASE_UPGRADING), "ready");
	ck_assert_str_eq(phase_state(PHASE_TAKEN_OVER), "draining");
	ck_assert_str_eq(phase_state(PHASE_STOPPING), "draining");
}
END_TEST

START_TEST(test_no_phase)
{
	(void)phase_on(PHASE_NEVER, CAUSE_STOP);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("phase");
	TCase *tc = tcase_create("phase");

	tcase_add_loop_test(tc, test_cell, 0, PHASES * CAUSES);
	tcase_add_loop_test(tc, test_rules, 0, PHASES);
	tcase_add_test(tc, test_states);
	tcase_add_test_raise_signal(tc, test_no_phase, SIGABRT);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
