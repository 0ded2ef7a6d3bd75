/* SPDX-License-Identifier: ISC */
#include "worker/share.h"

#include "base/url.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

enum { START_MS = 5000 };

static struct shares set;

static struct share *
get(const char *name)
{
	return share_get(&set, slice_from_string(name));
}

/* Takes a slot, or waits. */
static bool
take(struct share *share)
{
	if (!share_has_room(share))
		return false;
	share_take(share, START_MS);
	return true;
}

/* Whoever waits. */
struct waiter {
	struct share_entry entry;
	uint64_t epoch;
};

START_TEST(test_no_cap)
{
	struct share *none;

	shares_init(&set, 0, 1, false);
	none = get("a");
	ck_assert_ptr_null(none);
	for (int i = 0; i < 3; i++)
		ck_assert(take(none));
	share_give(none, 100, START_MS);
	ck_assert_ptr_null(share_next(none));
	share_put(&none);
}
END_TEST

START_TEST(test_one_for_a_name)
{
	struct share *a, *b, *again;

	shares_init(&set, 1, 1, _i != 0);
	a = get("a.example");
	b = get("b.example");
	again = get("A.example");
	ck_assert_ptr_ne(a, b);
	ck_assert((a == again) == set.fold);
	share_put(&again);
	ck_assert_ptr_null(again);
	ck_assert(take(a));
	ck_assert(!take(a));
	ck_assert(take(b));
	share_give(a, 1, START_MS);
	ck_assert(take(a));
	share_put(&a);
	share_put(&b);
	/* all are gone: leaks would be reported */
}
END_TEST

START_TEST(test_queue_in_order)
{
	struct waiter d[3] = {0};
	struct share *a;

	shares_init(&set, 1, 2, false);
	a = get("a");
	ck_assert(take(a));
	ck_assert(share_wait(a, &d[0].entry, START_MS));
	ck_assert(share_wait(a, &d[1].entry, START_MS));
	ck_assert(!share_wait(a, &d[2].entry, START_MS)); /* queue_max */
	ck_assert_ptr_null(share_next(a));
	share_give(a, 100, START_MS);
	ck_assert_ptr_eq(share_next(a), &d[0].entry);
	ck_assert(take(a));
	ck_assert_ptr_null(share_next(a));
	share_give(a, 100, START_MS);
	ck_assert_ptr_eq(share_next(a), &d[1].entry);
	ck_assert_ptr_null(share_next(a));
	share_put(&a);
}
END_TEST

/* Two at a time, 400 ms each: who comes after five others has to wait for more
 * than a second. */
START_TEST(test_wait_by_what_is_known)
{
	struct waiter d[8] = {0};
	struct share *a;
	unsigned n = 0;

	shares_init(&set, 2, 100, false);
	a = get("a");
	ck_assert(take(a));
	share_give(a, 400, START_MS);
	ck_assert(take(a) && take(a));
	while (n < 8 && share_wait(a, &d[n].entry, START_MS))
		n++;
	ck_assert_uint_eq(n, 6);
	/* behind those six, one every 200 ms */
	ck_assert_int_eq(share_defer_ms(a, START_MS), 1400);
	ck_assert_int_eq(share_defer_ms(a, START_MS), 1600);
	for (int i = 0; i < 1000; i++)
		(void)share_defer_ms(a, START_MS);
	ck_assert_int_eq(share_defer_ms(a, START_MS), 60000);
	/* a minute later all of these have had their turn */
	ck_assert_ptr_null(share_next(a));
	share_give(a, 400, START_MS + 60000);
	ck_assert_ptr_eq(share_next(a), &d[0].entry);
	share_put(&a);
}
END_TEST

/* Of one that never ends a delivery nothing is known but that. */
START_TEST(test_silence)
{
	struct waiter d[4] = {0};
	struct share *a;

	shares_init(&set, 2, 100, false);
	a = get("a");
	ck_assert(take(a) && take(a));
	for (int i = 0; i < 4; i++)
		ck_assert(share_wait(a, &d[i].entry, START_MS));
	ck_assert_int_eq(share_defer_ms(a, START_MS), 1000);
	ck_assert_ptr_null(share_shed(a, START_MS + 600));
	/* 800 ms: 400 each, and the fourth waits for more than 1000 */
	ck_assert_ptr_eq(share_shed(a, START_MS + 800), &d[3].entry);
	ck_assert_ptr_null(share_shed(a, START_MS + 800));
	ck_assert_ptr_eq(share_shed(a, START_MS + 30000), &d[2].entry);
	ck_assert_ptr_eq(share_shed(a, START_MS + 30000), &d[1].entry);
	ck_assert_ptr_null(share_shed(a, START_MS + 30000));
	ck_assert(!share_wait(a, &d[1].entry, START_MS + 30000));
	ck_assert_int_eq(share_defer_ms(a, START_MS + 30000), 30000);
	share_give(a, 30000, START_MS + 30000);
	ck_assert_ptr_eq(share_next(a), &d[0].entry);
	ck_assert_ptr_null(share_shed(a, START_MS + 30000));
	share_put(&a);
}
END_TEST

static bool
has_odd_epoch(void *arg, struct share_entry *entry)
{
	const struct waiter *d = (const struct waiter *)entry;

	if ((d->epoch & 1) == 0)
		++*(int *)arg;
	return (d->epoch & 1) != 0;
}

START_TEST(test_unqueue)
{
	struct waiter d[4] = {0};
	struct share *a;
	int n = 0;

	shares_init(&set, 1, 4, false);
	a = get("a");
	ck_assert(take(a));
	for (unsigned i = 0; i < 4; i++) {
		d[i].epoch = i;
		ck_assert(share_wait(a, &d[i].entry, START_MS));
	}
	share_unqueue(a, has_odd_epoch, &n);
	ck_assert_int_eq(n, 2);
	share_give(a, 1, START_MS);
	ck_assert_ptr_eq(share_next(a), &d[1].entry);
	ck_assert_ptr_eq(share_next(a), &d[3].entry);
	ck_assert_ptr_null(share_next(a));
	share_put(&a);
}
END_TEST

/* Takes the queue apart and gives back the last references. */
static void
leave_all(void *arg, struct share *share)
{
	struct share **shares = arg;
	struct share_entry *entry;

	while ((entry = share_next(share)) != NULL)
		share_put(&shares[((const struct waiter *)entry)->epoch]);
}

START_TEST(test_visit)
{
	static const char *const names[] = {"a", "b", "c"};
	struct waiter d[3] = {0};
	struct share *shares[3];

	shares_init(&set, 1, 4, false);
	for (unsigned i = 0; i < 3; i++) {
		shares[i] = get(names[i]);
		d[i].epoch = i;
		if (i != 1)
			ck_assert(share_wait(shares[i], &d[i].entry, START_MS));
	}
	shares_visit(&set, leave_all, shares);
	ck_assert_ptr_null(shares[0]);
	ck_assert_ptr_nonnull(shares[1]); /* had no queue */
	ck_assert_ptr_null(shares[2]);
	share_put(&shares[1]);
}
END_TEST

static const struct {
	const char *url, *host;
} hosts[] = {
    {"http://a/", "a"},
    {"https://a.example:8443/x?y", "a.example"},
    {"http://a", "a"},
    {"http://a?x", "a"},
    {"http://a#/b", "a"},
    {"http://a.example.:80/", "a.example"},
    {"http://[::1]:80/z", "[::1]"},
    {"http://[::1", "[:"}, /* refused at the add */
    {"http:///x", ""},
    {"http://", ""},
    {"nothing", ""},
    {"", ""},
};

START_TEST(test_host_of)
{
	struct slice host = url_host_name(slice_from_string(hosts[_i].url));

	ck_assert(slice_eq(host, slice_from_string(hosts[_i].host)));
}
END_TEST

static unsigned
cap_of_slow(const void *arg, struct slice name)
{
	return slice_ieq(name, SLICE_LITERAL("slow")) ? *(const unsigned *)arg
						      : 0;
}

/* With a cap for the others, and without. */
START_TEST(test_cap_of_its_own)
{
	const unsigned slow_cap = 1;
	struct share *slow, *other;

	shares_init(&set, _i == 0 ? 2 : 0, 4, true);
	set.cap_of = cap_of_slow;
	set.arg = &slow_cap;
	slow = share_get(&set, SLICE_LITERAL("SLOW"));
	other = share_get(&set, SLICE_LITERAL("other"));
	ck_assert_ptr_nonnull(slow);
	ck_assert_int_eq(other == NULL, _i == 1);
	ck_assert(share_has_room(slow));
	share_take(slow, 0);
	share_take(other, 0);
	ck_assert(!share_has_room(slow));
	ck_assert(share_has_room(other));
	share_give(slow, 1, 1);
	share_give(other, 1, 1);
	share_put(&slow);
	share_put(&other);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("share");
	TCase *tc = tcase_create("share");

	tcase_add_test(tc, test_no_cap);
	tcase_add_loop_test(tc, test_one_for_a_name, 0, 2);
	tcase_add_test(tc, test_queue_in_order);
	tcase_add_test(tc, test_wait_by_what_is_known);
	tcase_add_test(tc, test_silence);
	tcase_add_test(tc, test_unqueue);
	tcase_add_test(tc, test_visit);
	tcase_add_loop_test(
	    tc, test_host_of, 0, sizeof(hosts) / sizeof(hosts[0]));
	tcase_add_loop_test(tc, test_cap_of_its_own, 0, 2);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
