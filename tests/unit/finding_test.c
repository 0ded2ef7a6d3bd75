/* SPDX-License-Identifier: ISC */
#include "master/finding.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

START_TEST(test_nothing)
{
	struct finding finding;

	finding_init(&finding);
	ck_assert_int_eq(finding.cause, CAUSE_NONE);
	finding_free(&finding);
}
END_TEST

START_TEST(test_reasons)
{
	struct finding finding;
	struct slice text, line;

	finding_init(&finding);
	finding_fail(&finding, CAUSE_FAILED, "one");
	finding_fail(&finding, CAUSE_FAILED, "two\nthree");
	ck_assert_int_eq(finding.cause, CAUSE_FAILED);
	text = finding_reasons(&finding);
	ck_assert(finding_next_reason(&text, &line));
	ck_assert(slice_eq(line, SLICE_LITERAL("one")));
	ck_assert(finding_next_reason(&text, &line));
	ck_assert(slice_eq(line, SLICE_LITERAL("two")));
	ck_assert(finding_next_reason(&text, &line));
	ck_assert(slice_eq(line, SLICE_LITERAL("three")));
	ck_assert(!finding_next_reason(&text, &line));
	finding_free(&finding);
}
END_TEST

/* Who waits for an answer must get one. */
START_TEST(test_reason_without_memory)
{
	struct finding finding;

	finding_init(&finding);
	finding.cause = CAUSE_FAILED;
	ck_assert(slice_eq(
	    finding_reasons(&finding), SLICE_LITERAL("out of memory")));
	finding_free(&finding);
}
END_TEST

START_TEST(test_lines)
{
	struct slice text = SLICE_LITERAL("\n\nlast"), line;

	ck_assert(finding_next_reason(&text, &line));
	ck_assert(slice_eq(line, SLICE_LITERAL("last")));
	ck_assert(!finding_next_reason(&text, &line));
	text = SLICE_LITERAL("\n");
	ck_assert(!finding_next_reason(&text, &line));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("finding");
	TCase *tc = tcase_create("finding");

	tcase_add_test(tc, test_nothing);
	tcase_add_test(tc, test_reasons);
	tcase_add_test(tc, test_reason_without_memory);
	tcase_add_test(tc, test_lines);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
