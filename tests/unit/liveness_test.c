/* SPDX-License-Identifier: ISC */
#include "worker/liveness.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { SELF = 5, OTHER = 7, LEASE = 4000, STEP = 800 };

static struct liveness liveness;
static struct store_instance seen[STORE_INSTANCES_MAX];

static void
begin(void)
{
	liveness = (struct liveness){0};
}

/* Ourselves, and one that shows this sign (0: it is not there). */
static void
look(int64_t asked_ms, int64_t answered_ms, int64_t sign, int64_t lease_ms)
{
	size_t n = 0;

	if (sign != 0)
		seen[n++] = (struct store_instance){
		    .sign = {OTHER, sign}, .lease_ms = lease_ms};
	seen[n++] =
	    (struct store_instance){.sign = {SELF, 1}, .lease_ms = LEASE};
	liveness_saw(&liveness, asked_ms, answered_ms, seen, n);
}

static bool
is_lost(void)
{
	struct store_sign lost[2];
	size_t n = liveness_lost(&liveness, SELF, lost, 2);

	ck_assert_uint_le(n, 1);
	if (n == 1)
		ck_assert_uint_eq(lost[0].owner, OTHER);
	return n == 1;
}

/* Looks: when they are asked for and answered, and what sign they see; 0: it
 * has no registration, -1: the look fails. */
struct sight {
	int64_t asked_ms, answered_ms, sign;
};

static const struct {
	const char *name;
	struct sight sights[8];
	bool lost;
} cases[] = {
    {"never seen", {{0, 5, 0}}, false},
    {"seen once, whenever that was", {{900000, 900005, 3}}, false},
    {"renews", {{0, 5, 3}, {1500, 1505, 4}, {3000, 3005, 5}, {4500, 4505, 6}},
	false},
    {"stands still for a lease",
	{{0, 5, 3}, {1500, 1505, 3}, {3000, 3005, 3}, {4005, 4010, 3}}, true},
    {"not quite",
	{{0, 5, 3}, {1500, 1505, 3}, {3000, 3005, 3}, {4004, 4009, 3}}, false},
    {"since its last renewal, not the first look",
	{{0, 5, 3}, {1500, 1505, 4}, {3000, 3005, 4}, {4500, 4505, 4},
	    {5504, 5509, 4}},
	false},
    {"and then a lease",
	{{0, 5, 3}, {1500, 1505, 4}, {3000, 3005, 4}, {4500, 4505, 4},
	    {5505, 5509, 4}},
	true},
    {"a sign may be of any order",
	{{0, 5, 9}, {1500, 1505, 3}, {3000, 3005, 9}, {4500, 4505, 3}}, false},
    {"a look that failed is none, as if it had been slow",
	{{0, 5, 3}, {1500, 1505, 3}, {2000, 2005, -1}, {3000, 3005, 3},
	    {4005, 4010, 3}},
	true},
    {"where that lasted, others have a lease from then on",
	{{0, 5, 3}, {1500, 1505, 3}, {2000, 2005, -1}, {3500, 3506, 3},
	    {5000, 5005, 3}, {6500, 6505, 3}, {7505, 7510, 3}},
	false},
    {"and no more",
	{{0, 5, 3}, {1500, 1505, 3}, {2000, 2005, -1}, {3500, 3506, 3},
	    {5000, 5005, 3}, {6500, 6505, 3}, {7506, 7511, 3}},
	true},
    {"that a look failed is over with the next",
	{{0, 5, 3}, {500, 505, -1}, {1500, 1505, 3}, {3600, 3606, 3},
	    {5107, 5112, 3}},
	true},
    {"who renews beside a look that failed lives",
	{{0, 5, 3}, {1500, 1505, 3}, {2000, 2005, -1}, {3000, 3005, 4},
	    {4005, 4010, 4}},
	false},
    {"nor are looks that were far apart: everybody may have stood still",
	{{0, 5, 3}, {1500, 1505, 3}, {3600, 3606, 3}, {4500, 4505, 3}}, false},
    {"also when the answer was long in coming",
	{{0, 5, 3}, {1500, 1505, 3}, {2300, 4300, 3}, {4400, 4405, 3}}, false},
    {"after that it is a lease from there",
	{{0, 5, 3}, {9000, 9005, 3}, {10500, 10505, 3}, {12000, 12005, 3},
	    {13005, 13010, 3}},
	true},
    {"where all looks are far apart it takes longer, but not for ever",
	{{0, 5, 3}, {2400, 2405, 3}, {4800, 4805, 3}, {7200, 7205, 3},
	    {9600, 9605, 3}, {12000, 12005, 3}},
	true},
    {"a slow look tells of when it began",
	{{0, 5, 3}, {1500, 1505, 3}, {3000, 3005, 3}, {3900, 4600, 3}}, false},
    {"who comes back is new",
	{{0, 5, 3}, {1500, 1505, 3}, {3000, 3005, 0}, {4500, 4505, 3}}, false},
};

START_TEST(test_lost)
{
	for (int i = 0; i < 8 && cases[_i].sights[i].answered_ms != 0; i++) {
		const struct sight *s = &cases[_i].sights[i];
		bool last = i == 7 || cases[_i].sights[i + 1].answered_ms == 0;

		if (s->sign == -1)
			liveness_failed(&liveness);
		else
			look(s->asked_ms, s->answered_ms, s->sign, LEASE);
		ck_assert_msg(is_lost() == (last && cases[_i].lost), "%s, %d",
		    cases[_i].name, i);
	}
}
END_TEST

/* However long it is: each has its own; looks are as close as that needs. */
START_TEST(test_lease_of_its_own)
{
	static const int64_t leases[] = {1000, 4000, 60000, 3600000};
	int64_t lease_ms = leases[_i], at_ms = 100;

	look(at_ms, at_ms, 3, lease_ms);
	while (at_ms < 100 + lease_ms) {
		ck_assert(!is_lost());
		at_ms = liveness_due_ms(&liveness, SELF);
		look(at_ms, at_ms, 3, lease_ms);
	}
	ck_assert_int_eq(at_ms, 100 + lease_ms);
	ck_assert(is_lost());
}
END_TEST

/* What a datastore says is not believed. */
START_TEST(test_lease_out_of_range)
{
	look(0, 5, 3, INT64_MIN);
	ck_assert_int_eq(liveness_due_ms(&liveness, SELF), 5 + 200);
	look(10, 15, 4, INT64_MAX);
	ck_assert_int_eq(liveness_due_ms(&liveness, SELF), 15 + 720000);
}
END_TEST

/* Without others there is no reason to look. */
START_TEST(test_alone)
{
	look(0, 5, 0, LEASE);
	ck_assert_int_eq(liveness_due_ms(&liveness, SELF), INT64_MAX);
}
END_TEST

START_TEST(test_quiet)
{
	struct store_sign sign = {0};

	ck_assert(!liveness_is_quiet(&liveness, OTHER, &sign));
	look(0, 5, 3, LEASE);
	look(1000, 1005, 3, LEASE);
	ck_assert(!liveness_is_quiet(&liveness, OTHER, &sign));
	look(2005, 2010, 3, LEASE);
	ck_assert(liveness_is_quiet(&liveness, OTHER, &sign));
	ck_assert_uint_eq(sign.owner, OTHER);
	ck_assert_int_eq(sign.sign, 3);
	ck_assert(!is_lost());
	/* Somebody has put in a word for it. */
	look(2020, 2025, 4, LEASE);
	ck_assert(!liveness_is_quiet(&liveness, OTHER, &sign));
	ck_assert(!liveness_is_quiet(&liveness, 99, &sign));
}
END_TEST

/* All that there is room for, in any order. */
START_TEST(test_many)
{
	static struct store_sign lost[STORE_INSTANCES_MAX];
	size_t n = STORE_INSTANCES_MAX;

	for (int64_t at_ms = 0; at_ms <= LEASE; at_ms += STEP) {
		for (size_t i = 0; i < n; i++)
			seen[i] = (struct store_instance){
			    .sign = {(i * 7919 + (size_t)at_ms) % n + 1, 3},
			    .lease_ms = LEASE};
		liveness_saw(&liveness, at_ms, at_ms, seen, n);
	}
	ck_assert_uint_eq(
	    liveness_lost(&liveness, 1, lost, STORE_INSTANCES_MAX), n - 1);
	ck_assert_uint_eq(liveness_lost(&liveness, 1, lost, 9), 9);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("liveness");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_loop_test(tc, test_lost, 0, COUNT(cases));
	tcase_add_loop_test(tc, test_lease_of_its_own, 0, 4);
	tcase_add_test(tc, test_lease_out_of_range);
	tcase_add_test(tc, test_alone);
	tcase_add_test(tc, test_quiet);
	tcase_add_test(tc, test_many);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
