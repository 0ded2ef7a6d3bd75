/* SPDX-License-Identifier: ISC */
#include "master/supervise.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <check.h>

#include "board/role.h"
#include "suite.h"

#define CODE(code)     W_EXITCODE(code, 0)
#define SIGNAL(number) W_EXITCODE(0, number)

static const struct {
	int wait_status;
	bool was_ready;
	int64_t age_ms;
	int64_t throttle_ms; /* before */
	int64_t delay_ms, throttle_after_ms;
} ends[] = {
    /* It worked: at once, whatever it died from. */
    {CODE(EXIT_CHILD_OK), true, 60000, 0, 0, 0},
    {CODE(EXIT_CHILD_FAILED), true, 60000, 0, 0, 0},
    {SIGNAL(SIGKILL), true, 1000, 0, 0, 0},
    {SIGNAL(SIGSEGV), true, 1000, 0, 0, 0},
    /* It worked, but not for long: one start per second. */
    {SIGNAL(SIGSEGV), true, 999, 0, 1, 0},
    {CODE(EXIT_CHILD_OK), true, 0, 0, 1000, 0},
    {CODE(EXIT_CHILD_FAILED), true, 400, 0, 600, 0},
    /* Never ready: 2 s, doubling to 60 s, whatever its age. */
    {CODE(EXIT_CHILD_FAILED), false, 5, 0, 2000, 2000},
    {CODE(EXIT_CHILD_OK), false, 5, 0, 2000, 2000},
    {SIGNAL(SIGKILL), false, 30000, 0, 2000, 2000},
    {SIGNAL(SIGSYS), false, 5, 2000, 4000, 4000},
    {SIGNAL(SIGSEGV), false, 5, 4000, 8000, 8000},
    {CODE(EXIT_CHILD_FAILED), false, 5, 16000, 32000, 32000},
    {CODE(EXIT_CHILD_FAILED), false, 5, 32000, 60000, 60000},
    {CODE(EXIT_CHILD_FAILED), false, 5, 60000, 60000, 60000},
    /* It can never work. */
    {CODE(EXIT_NO_RESPAWN), false, 5, 0, SUPERVISE_NEVER, 0},
    {CODE(EXIT_NO_RESPAWN), false, 5, 8000, SUPERVISE_NEVER, 8000},
    {CODE(EXIT_NO_RESPAWN), true, 60000, 0, SUPERVISE_NEVER, 0},
    /* A signal whose number is that code is none. */
    {SIGNAL(EXIT_NO_RESPAWN), true, 60000, 0, 0, 0},
};

START_TEST(test_end)
{
	struct supervise history = {.throttle_ms = ends[_i].throttle_ms};
	struct supervise_exit end = {
	    .wait_status = ends[_i].wait_status,
	    .was_ready = ends[_i].was_ready,
	    .age_ms = ends[_i].age_ms,
	};

	ck_assert_int_eq(supervise_on_exit(&history, &end), ends[_i].delay_ms);
	ck_assert_int_eq(history.throttle_ms, ends[_i].throttle_after_ms);
}
END_TEST

START_TEST(test_ready_resets_the_throttle)
{
	struct supervise history = {0};
	struct supervise_exit failed = {.wait_status = CODE(1)};

	ck_assert_int_eq(supervise_on_exit(&history, &failed), 2000);
	ck_assert_int_eq(supervise_on_exit(&history, &failed), 4000);
	supervise_on_ready(&history);
	ck_assert_int_eq(supervise_on_exit(&history, &failed), 2000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("supervise");
	TCase *tc = tcase_create("supervise");

	tcase_add_loop_test(
	    tc, test_end, 0, (int)(sizeof(ends) / sizeof(ends[0])));
	tcase_add_test(tc, test_ready_resets_the_throttle);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
