/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_TESTS_SUITE_H
#define CASSATA_TESTS_SUITE_H

#include <stdlib.h>

#include <check.h>

/* Runs the suite and frees it. Returns the status of main. */
static inline int
suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failures;

	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
