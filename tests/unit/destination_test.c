/* SPDX-License-Identifier: ISC */
#include "worker/destination.h"

#include <stdlib.h>

#include <check.h>

#include "worker/delivery.h"

static struct destinations set;

static enum admission
admission(const char *url, struct delivery *d)
{
	return destination_admit(
	    &set, slice_from_string(url), d, &d->destination);
}

static bool
admit(const char *url, struct delivery *d)
{
	return admission(url, d) == ADMISSION_NOW;
}

static struct delivery *
done(const struct delivery *d)
{
	return destination_done(d->destination, 100);
}

START_TEST(test_no_cap)
{
	struct delivery d[3] = {0};

	destinations_init(&set, 0, 1);
	for (int i = 0; i < 3; i++) {
		ck_assert(admit("http://a/", &d[i]));
		ck_assert_ptr_null(d[i].destination);
	}
	ck_assert_ptr_null(destination_done(NULL, 100));
}
END_TEST

START_TEST(test_queue_in_order)
{
	struct delivery d[4] = {0};

	destinations_init(&set, 1, 4);
	ck_assert(admit("http://a/", &d[0]));
	ck_assert(!admit("http://a/", &d[1]));
	ck_assert(!admit("http://a/", &d[2]));
	ck_assert_ptr_eq(done(&d[0]), &d[1]);
	/* the place of the first went to the second */
	ck_assert(!admit("http://a/", &d[3]));
	ck_assert_ptr_eq(done(&d[1]), &d[2]);
	ck_assert_ptr_eq(done(&d[2]), &d[3]);
	ck_assert_ptr_null(done(&d[3]));
	/* the host is gone: leaks would be reported */
}
END_TEST

static bool
has_odd_epoch(void *arg, struct delivery *d)
{
	if ((d->epoch & 1) == 0)
		++*(int *)arg;
	return (d->epoch & 1) != 0;
}

START_TEST(test_unqueue)
{
	struct delivery d[6] = {0};
	int n = 0;

	destinations_init(&set, 1, 4);
	for (unsigned i = 0; i < 6; i++) {
		d[i].epoch = i;
		ck_assert(admit(i < 4 ? "http://a/" : "http://b/", &d[i]) ==
			  (i % 4 == 0));
	}
	destinations_unqueue(&set, has_odd_epoch, &n);
	ck_assert_int_eq(n, 1); /* d[2]: the others are not in a queue */
	ck_assert_ptr_eq(done(&d[0]), &d[1]);
	ck_assert_int_eq(admission("http://a/", &d[2]), ADMISSION_QUEUED);
	ck_assert_ptr_eq(done(&d[1]), &d[3]);
	ck_assert_ptr_eq(done(&d[3]), &d[2]);
	ck_assert_ptr_null(done(&d[2]));
	ck_assert_ptr_eq(done(&d[4]), &d[5]);
	ck_assert_ptr_null(done(&d[5]));
}
END_TEST

START_TEST(test_full_queue)
{
	struct delivery d[5] = {0};

	destinations_init(&set, 2, 1);
	ck_assert(admit("http://a/", &d[0]));
	ck_assert(admit("http://a/", &d[1]));
	ck_assert_int_eq(admission("http://a/", &d[2]), ADMISSION_QUEUED);
	ck_assert_int_eq(admission("http://a/", &d[3]), ADMISSION_FULL);
	/* Nothing is known yet: soon. */
	ck_assert_int_eq(
	    destination_defer_ms(&set, d[3].destination, 5000), 1000);
	ck_assert(admit("http://b/", &d[4]));
	ck_assert_ptr_null(done(&d[4]));

	/* Two at a time, 4 s each: one every 2 s, behind the queued one. */
	ck_assert_ptr_eq(destination_done(d[0].destination, 4000), &d[2]);
	ck_assert_int_eq(admission("http://a/", &d[0]), ADMISSION_QUEUED);
	for (int n = 1; n <= 40; n++) {
		int64_t wait_ms = 2000 + 2000 * (int64_t)n;

		ck_assert_int_eq(admission("http://a/", &d[3]), ADMISSION_FULL);
		ck_assert_int_eq(
		    destination_defer_ms(&set, d[3].destination, 5000),
		    wait_ms < 60000 ? wait_ms : 60000);
	}
	/* A minute later all of these have had their turn. */
	ck_assert_int_eq(
	    destination_defer_ms(&set, d[3].destination, 65000), 4000);
	ck_assert_ptr_eq(done(&d[1]), &d[0]);
	ck_assert_ptr_null(done(&d[2]));
	ck_assert_ptr_null(done(&d[0]));
}
END_TEST

struct same_row {
	const char *a, *b;
	bool same;
};

static const struct same_row same_rows[] = {
    {"http://a/", "http://a/x?y", true},
    {"http://a", "http://a?x", true},
    {"http://A.example/", "http://a.EXAMPLE/", true},
    {"http://a/", "http://b/", false},
    {"http://a/", "https://a/", false},
    {"http://a:80/", "http://a:81/", false},
    {"http://a#/b", "http://a/", true},
    {"http://[::1]:80/", "http://[::1]:80/z", true},
};

START_TEST(test_same_host)
{
	const struct same_row *row = &same_rows[_i];
	struct delivery first = {0}, second = {0};

	destinations_init(&set, 1, 4);
	ck_assert(admit(row->a, &first));
	ck_assert(admit(row->b, &second) == !row->same);
	if (row->same)
		ck_assert_ptr_eq(done(&first), &second);
	else
		ck_assert_ptr_null(done(&first));
	ck_assert_ptr_null(done(&second));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("destination");
	TCase *tc = tcase_create("core");
	SRunner *sr;
	int failures;

	tcase_add_test(tc, test_no_cap);
	tcase_add_test(tc, test_queue_in_order);
	tcase_add_test(tc, test_unqueue);
	tcase_add_test(tc, test_full_queue);
	tcase_add_loop_test(tc, test_same_host, 0,
	    (int)(sizeof(same_rows) / sizeof(same_rows[0])));
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
