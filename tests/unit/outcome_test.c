/* SPDX-License-Identifier: ISC */
#include "event/outcome.h"

#include <stdlib.h>

#include <check.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	bool transport_ok, permanent;
	int code;
	enum outcome outcome;
} rows[] = {
    {true, false, 200, OUTCOME_DELIVERED},
    {true, false, 201, OUTCOME_DELIVERED},
    {true, false, 204, OUTCOME_DELIVERED},
    {true, false, 299, OUTCOME_DELIVERED},
    {true, false, 199, OUTCOME_REJECTED},
    {true, false, 300, OUTCOME_REJECTED},
    {true, false, 301, OUTCOME_REJECTED},
    {true, false, 304, OUTCOME_REJECTED},
    {true, false, 400, OUTCOME_REJECTED},
    {true, false, 404, OUTCOME_REJECTED},
    {true, false, 407, OUTCOME_REJECTED},
    {true, false, 408, OUTCOME_RETRY},
    {true, false, 409, OUTCOME_REJECTED},
    {true, false, 410, OUTCOME_REJECTED},
    {true, false, 424, OUTCOME_REJECTED},
    {true, false, 425, OUTCOME_RETRY},
    {true, false, 426, OUTCOME_REJECTED},
    {true, false, 428, OUTCOME_REJECTED},
    {true, false, 429, OUTCOME_RETRY},
    {true, false, 499, OUTCOME_REJECTED},
    {true, false, 500, OUTCOME_RETRY},
    {true, false, 503, OUTCOME_RETRY},
    {true, false, 599, OUTCOME_RETRY},
    {true, false, 600, OUTCOME_REJECTED},
    {true, false, 0, OUTCOME_REJECTED},
    /* No response, or only a part of one: its code does not count. */
    {false, false, 0, OUTCOME_RETRY},
    {false, false, 200, OUTCOME_RETRY},
    {false, false, 404, OUTCOME_RETRY},
    /* The request could not even be made. */
    {false, true, 0, OUTCOME_REJECTED},
    {false, true, 503, OUTCOME_REJECTED},
};

START_TEST(test_classify)
{
	ck_assert_int_eq(outcome_classify(rows[_i].transport_ok,
			     rows[_i].permanent, rows[_i].code),
	    rows[_i].outcome);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outcome");
	TCase *tc = tcase_create("outcome");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_loop_test(tc, test_classify, 0, COUNT(rows));
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
