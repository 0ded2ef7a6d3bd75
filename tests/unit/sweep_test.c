/* SPDX-License-Identifier: ISC */
#include "service/sweep.h"

#include <string.h>

#include <check.h>

#include "suite.h"

enum { N = 2000, KEYS = 200 };

static struct sweep_node items[N];
static uint8_t keys[N][EVENT_KEY_BYTES];
static bool waits[N];

static int
key_of(size_t i)
{
	return keys[i][EVENT_KEY_BYTES - 1];
}

/* By hand: the first of those that are not behind `at`, or of all. */
static size_t
next_of(size_t n, int at)
{
	size_t best = n;

	for (size_t i = 0; i < n; i++) {
		bool behind = key_of(i) < at, best_behind;

		if (!waits[i])
			continue;
		best_behind = best == n || key_of(best) < at;
		if (best == n || behind < best_behind ||
		    (behind == best_behind && key_of(i) < key_of(best)))
			best = i;
	}
	return best;
}

/* Adds and takes by chance: four of five add until all are there. */
START_TEST(test_order)
{
	struct sweep sweep = {0};
	unsigned seed = (unsigned)_i + 1;
	size_t n = 0, n_taken = 0;
	int at = 0;

	memset(items, 0, sizeof(items));
	while (n_taken < N) {
		struct sweep_node *item;
		size_t i;

		if (n < N && (n == n_taken || rand_r(&seed) % 5 < 4 - _i)) {
			keys[n][EVENT_KEY_BYTES - 1] =
			    (uint8_t)(rand_r(&seed) % KEYS);
			items[n].key = keys[n];
			sweep_add(&sweep, &items[n]);
			waits[n++] = true;
			continue;
		}
		ck_assert(!sweep_is_empty(&sweep));
		item = sweep_take(&sweep);
		i = next_of(n, at);
		ck_assert_ptr_eq(item, &items[i]);
		at = key_of(i);
		waits[i] = false;
		n_taken++;
	}
	ck_assert(sweep_is_empty(&sweep));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sweep");
	TCase *tc = tcase_create("sweep");

	tcase_add_loop_test(tc, test_order, 0, 3);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
