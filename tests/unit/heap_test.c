/* SPDX-License-Identifier: ISC */
#include "base/heap.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { KEYS_MAX = 1000 };

/* How the keys of a case are made from 0, 1, 2, … */
static int64_t
rising(int64_t i)
{
	return i;
}

static int64_t
falling(int64_t i)
{
	return -i;
}

static int64_t
equal(int64_t i)
{
	(void)i;
	return 7;
}

static int64_t
scattered(int64_t i)
{
	return i * 7919 % 613 - 300;
}

static int64_t
extreme(int64_t i)
{
	return i % 2 == 0 ? INT64_MIN : INT64_MAX;
}

static const struct {
	int64_t (*key)(int64_t i);
	size_t n;
} cases[] = {
    {rising, 0},
    {rising, 1},
    {falling, 2},
    {falling, 3},
    {rising, KEYS_MAX},
    {falling, KEYS_MAX},
    {equal, KEYS_MAX},
    {scattered, KEYS_MAX},
    {extreme, KEYS_MAX},
};

START_TEST(test_pops_in_order)
{
	int64_t keys[KEYS_MAX];
	struct heap heap;
	int64_t last = INT64_MIN;
	size_t n = cases[_i].n;

	heap_init(&heap);
	ck_assert_ptr_null(heap_min(&heap));
	for (size_t i = 0; i < n; i++) {
		keys[i] = cases[_i].key((int64_t)i);
		ck_assert_int_eq(heap_insert(&heap, keys[i], &keys[i]), 0);
	}
	for (; n > 0; n--) {
		const struct heap_entry *min = heap_min(&heap);
		int64_t *item;

		ck_assert_uint_eq(heap.len, n);
		ck_assert_int_eq(min->key, *(int64_t *)min->item);
		item = heap_pop(&heap);
		ck_assert_int_ge(*item, last);
		last = *item;
	}
	ck_assert_ptr_null(heap_pop(&heap));
	heap_fini(&heap);
}
END_TEST

START_TEST(test_mixed)
{
	int64_t keys[] = {5, 3, 9, 1, 4};
	struct heap heap;

	heap_init(&heap);
	ck_assert_int_eq(heap_insert(&heap, keys[0], &keys[0]), 0);
	ck_assert_int_eq(heap_insert(&heap, keys[1], &keys[1]), 0);
	ck_assert_ptr_eq(heap_pop(&heap), &keys[1]);
	ck_assert_int_eq(heap_insert(&heap, keys[2], &keys[2]), 0);
	ck_assert_int_eq(heap_insert(&heap, keys[3], &keys[3]), 0);
	ck_assert_ptr_eq(heap_pop(&heap), &keys[3]);
	ck_assert_int_eq(heap_insert(&heap, keys[4], &keys[4]), 0);
	ck_assert_ptr_eq(heap_pop(&heap), &keys[4]);
	ck_assert_ptr_eq(heap_pop(&heap), &keys[0]);
	ck_assert_ptr_eq(heap_pop(&heap), &keys[2]);
	ck_assert_ptr_null(heap_pop(&heap));
	heap_fini(&heap);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("heap");
	TCase *tc = tcase_create("heap");

	tcase_add_loop_test(tc, test_pops_in_order, 0, COUNT(cases));
	tcase_add_test(tc, test_mixed);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
