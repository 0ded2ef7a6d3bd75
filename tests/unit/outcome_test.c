/* SPDX-License-Identifier: ISC */
#include "event/outcome.h"

#include <stdio.h>
#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

#define NONE    FAILURE_NONE
#define CONNECT FAILURE_CONNECT
#define TIMEOUT FAILURE_TIMEOUT
#define ANSWER  FAILURE_ANSWER

static const struct {
	enum outcome_failure failure;
	int code;
	enum outcome outcome;
	const char *words[4]; /* of the rules; none: the default */
} rows[] = {
    {NONE, 200, OUTCOME_DELIVERED, {NULL}},
    {NONE, 201, OUTCOME_DELIVERED, {NULL}},
    {NONE, 204, OUTCOME_DELIVERED, {NULL}},
    {NONE, 299, OUTCOME_DELIVERED, {NULL}},
    {NONE, 199, OUTCOME_REJECTED, {NULL}},
    {NONE, 300, OUTCOME_REJECTED, {NULL}},
    {NONE, 301, OUTCOME_REJECTED, {NULL}},
    {NONE, 304, OUTCOME_REJECTED, {NULL}},
    {NONE, 400, OUTCOME_REJECTED, {NULL}},
    {NONE, 404, OUTCOME_REJECTED, {NULL}},
    {NONE, 407, OUTCOME_REJECTED, {NULL}},
    {NONE, 408, OUTCOME_RETRY, {NULL}},
    {NONE, 409, OUTCOME_REJECTED, {NULL}},
    {NONE, 410, OUTCOME_REJECTED, {NULL}},
    {NONE, 424, OUTCOME_REJECTED, {NULL}},
    {NONE, 425, OUTCOME_RETRY, {NULL}},
    {NONE, 426, OUTCOME_REJECTED, {NULL}},
    {NONE, 428, OUTCOME_REJECTED, {NULL}},
    {NONE, 429, OUTCOME_RETRY, {NULL}},
    {NONE, 499, OUTCOME_REJECTED, {NULL}},
    {NONE, 500, OUTCOME_RETRY, {NULL}},
    {NONE, 503, OUTCOME_RETRY, {NULL}},
    {NONE, 599, OUTCOME_RETRY, {NULL}},
    {NONE, 600, OUTCOME_REJECTED, {NULL}},
    {NONE, 0, OUTCOME_REJECTED, {NULL}},
    /* No response, or only a part of one: its code does not count. */
    {CONNECT, 0, OUTCOME_RETRY, {NULL}},
    {TIMEOUT, 0, OUTCOME_RETRY, {NULL}},
    {ANSWER, 0, OUTCOME_RETRY, {NULL}},
    {ANSWER, 200, OUTCOME_RETRY, {NULL}},
    {ANSWER, 404, OUTCOME_RETRY, {NULL}},
    /* The request could not even be made. */
    {FAILURE_FOR_GOOD, 0, OUTCOME_REJECTED, {NULL}},
    {FAILURE_FOR_GOOD, 503, OUTCOME_REJECTED, {NULL}},
    {FAILURE_FOR_GOOD, 503, OUTCOME_REJECTED, {"5xx", "connect"}},
    /* Rules stand for all of the default. */
    {NONE, 200, OUTCOME_DELIVERED, {"connect"}},
    {NONE, 503, OUTCOME_REJECTED, {"connect"}},
    {CONNECT, 0, OUTCOME_RETRY, {"connect"}},
    {TIMEOUT, 0, OUTCOME_REJECTED, {"connect", "answer"}},
    {ANSWER, 503, OUTCOME_RETRY, {"connect", "answer"}},
    {ANSWER, 503, OUTCOME_REJECTED, {"5xx", "timeout"}},
    {NONE, 404, OUTCOME_RETRY, {"404"}},
    {NONE, 405, OUTCOME_REJECTED, {"404"}},
    {NONE, 404, OUTCOME_RETRY, {"4xx"}},
    {NONE, 302, OUTCOME_RETRY, {"3xx"}},
    {NONE, 400, OUTCOME_REJECTED, {"3xx", "5xx"}},
    {NONE, 600, OUTCOME_REJECTED, {"3xx", "4xx", "5xx"}},
    {NONE, 1500, OUTCOME_REJECTED, {"3xx", "4xx", "5xx"}},
    {NONE, 299, OUTCOME_DELIVERED, {"3xx", "4xx", "5xx"}},
};

START_TEST(test_classify)
{
	struct outcome_rules rules = {0};

	for (int i = 0; i < COUNT(rows[_i].words); i++)
		if (rows[_i].words[i] != NULL)
			ck_assert(outcome_rules_add(
			    &rules, slice_from_string(rows[_i].words[i])));
	ck_assert_int_eq(
	    outcome_classify(&rules, rows[_i].failure, rows[_i].code),
	    rows[_i].outcome);
}
END_TEST

static const char *const no_words[] = {"", "2xx", "200", "299", "600", "6xx",
    "1xx", "5XX", "5x", "5xxx", "xx5", "+50", "50", "0503", "5x3", " 503",
    "Connect", "timeouts", "all"};

START_TEST(test_no_word)
{
	struct outcome_rules rules = {0};

	ck_assert(!outcome_rules_add(&rules, slice_from_string(no_words[_i])));
}
END_TEST

/* Each once, in one order. */
START_TEST(test_words)
{
	static const char *const words[] = {"timeout", "429", "5xx", "404",
	    "connect", "3xx", "404", "answer", "4xx", "5xx"};
	static const char *const again[] = {"3xx", "4xx", "5xx", "429", "404",
	    "connect", "timeout", "answer", NULL};
	struct outcome_rules rules = {0};
	char text[OUTCOME_WORD_MAX];

	for (int i = 0; i < COUNT(words); i++)
		ck_assert(
		    outcome_rules_add(&rules, slice_from_string(words[i])));
	for (size_t i = 0; i < (size_t)COUNT(again); i++)
		ck_assert_pstr_eq(
		    outcome_rules_word(&rules, i, text), again[i]);
}
END_TEST

START_TEST(test_too_many_codes)
{
	struct outcome_rules rules = {0};
	char text[OUTCOME_WORD_MAX];

	for (int i = 0; i < OUTCOME_CODES_MAX; i++) {
		(void)snprintf(text, sizeof(text), "%d", 400 + i);
		ck_assert(outcome_rules_add(&rules, slice_from_string(text)));
	}
	ck_assert(!outcome_rules_add(&rules, SLICE_LITERAL("500")));
	ck_assert(outcome_rules_add(&rules, SLICE_LITERAL("400")));
	ck_assert(outcome_rules_add(&rules, SLICE_LITERAL("5xx")));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outcome");
	TCase *tc = tcase_create("outcome");

	tcase_add_loop_test(tc, test_classify, 0, COUNT(rows));
	tcase_add_loop_test(tc, test_no_word, 0, COUNT(no_words));
	tcase_add_test(tc, test_words);
	tcase_add_test(tc, test_too_many_codes);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
