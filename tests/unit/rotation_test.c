/* SPDX-License-Identifier: ISC */
#include "sql/rotation.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

enum { T = 1000000, BAD = ROTATION_BAD_MS };

/* What has happened, a word each: "a" and "A" for the first server, which
 * failed at once or after 5 s; "+a" when it worked. */
static void
play(struct rotation *r, const char *story)
{
	for (const char *p = story; *p != '\0'; p++) {
		if (*p == '+')
			rotation_worked(r, (unsigned)(*++p - 'a'));
		else if (*p >= 'a')
			rotation_failed(r, (unsigned)(*p - 'a'), 0, T);
		else
			rotation_failed(r, (unsigned)(*p - 'A'), 5000, T);
	}
}

static const struct {
	unsigned n;
	const char *story;
	int64_t later_ms;
	const char *round; /* in which order they are tried, if each fails */
	bool has_good;
} rounds[] = {
    {1, "", 0, "a", true},
    {3, "", 0, "abc", true},
    /* One that failed is the last of a round, and in it. */
    {3, "a", 0, "bca", true},
    {3, "a", BAD - 1, "bca", true},
    {3, "a", BAD, "abc", true},
    {3, "ab", 0, "cab", true},
    {3, "abc", 0, "abc", false},
    {3, "ab+a", 0, "acb", true},
    {1, "a", 0, "a", false},
    /* One that took long is out of it until three times that has passed. */
    {3, "A", 0, "bc", true},
    {3, "A", 14999, "bc", true},
    {3, "A", 15000, "bca", true},
    {3, "A", BAD, "abc", true},
    {3, "Abc", 0, "bc", false},
    {3, "Abc", 15000, "abc", false},
    {3, "A+a", 0, "abc", true},
    /* But something is tried. */
    {1, "A", 0, "a", false},
    {3, "ABC", 0, "a", false},
    {3, "ABC", 15000, "abc", false},
    /* Who all take long: others, before the first is good again. */
    {4, "ABC", BAD, "dabc", true},
    {4, "ABC", 40000, "abcd", true},
};

START_TEST(test_round)
{
	struct rotation r = {.n = rounds[_i].n};
	char round[SQL_HOSTS_MAX + 1] = "";
	unsigned tried = 0;
	int host, n = 0;

	play(&r, rounds[_i].story);
	while (
	    (host = rotation_next(&r, tried, T + rounds[_i].later_ms)) != -1) {
		ck_assert(n < SQL_HOSTS_MAX);
		round[n++] = (char)('a' + host);
		tried |= 1U << host;
	}
	ck_assert_str_eq(round, rounds[_i].round);
	ck_assert_int_eq(rotation_has_good(&r, T + rounds[_i].later_ms),
	    rounds[_i].has_good);
}
END_TEST

static const struct {
	const char *story;
	int64_t later_ms;
	const char *from_b, *from_c; /* what is tried on the way back */
} returns[] = {
    {"", 0, "a", "ab"},
    {"a", 0, "a", "ab"},
    {"A", 0, "", "b"},
    {"A", 15000, "a", "ab"},
    {"AB", 0, "", ""},
};

START_TEST(test_return)
{
	for (unsigned from = 0; from < 3; from++) {
		struct rotation r = {.n = 3};
		const char *expected[] = {
		    "", returns[_i].from_b, returns[_i].from_c};
		char order[4] = "";
		unsigned tried = 0;
		int host, n = 0;

		play(&r, returns[_i].story);
		while ((host = rotation_better(
			    &r, from, tried, T + returns[_i].later_ms)) != -1) {
			ck_assert(n < 3);
			order[n++] = (char)('a' + host);
			tried |= 1U << host;
		}
		ck_assert_str_eq(order, expected[from]);
	}
}
END_TEST

/* Of the most there can be, the last has its turn, too. */
START_TEST(test_most)
{
	struct rotation r = {.n = SQL_HOSTS_MAX};

	for (unsigned i = 0; i < SQL_HOSTS_MAX; i++) {
		int64_t now_ms = T + 60000 * (int64_t)i;

		ck_assert_int_eq(rotation_next(&r, 0, now_ms), (int)i);
		rotation_failed(&r, i, 60000, now_ms + 60000);
	}
	ck_assert(!rotation_has_good(&r, T + 60000 * SQL_HOSTS_MAX));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rotation");
	TCase *tc = tcase_create("pure");

	tcase_add_loop_test(
	    tc, test_round, 0, (int)(sizeof(rounds) / sizeof(rounds[0])));
	tcase_add_loop_test(
	    tc, test_return, 0, (int)(sizeof(returns) / sizeof(returns[0])));
	tcase_add_test(tc, test_most);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
