/* SPDX-License-Identifier: ISC */
#include "base/uuid.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

enum { MANY = 2000 };

/* x: any digit; v: of the variant. */
static void
assert_looks_like(const char *text, const char *pattern)
{
	ck_assert_uint_eq(strlen(text), strlen(pattern));
	for (size_t i = 0; pattern[i] != '\0'; i++) {
		if (pattern[i] == 'x')
			ck_assert(strchr("0123456789abcdef", text[i]) != NULL);
		else if (pattern[i] == 'v')
			ck_assert(strchr("89ab", text[i]) != NULL);
		else
			ck_assert_int_eq(text[i], pattern[i]);
	}
}

START_TEST(test_form)
{
	char text[UUID_TEXT_BYTES];

	/* RFC 9562, A.6 */
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(uuid_make_v7(INT64_C(0x017f22e279b0), text), 0);
		assert_looks_like(text, "017f22e2-79b0-7xxx-vxxx-xxxxxxxxxxxx");
	}
	ck_assert_int_eq(uuid_make_v7(0, text), 0);
	assert_looks_like(text, "00000000-0000-7xxx-vxxx-xxxxxxxxxxxx");
}
END_TEST

/* Every bit that is random comes as both. */
START_TEST(test_random)
{
	char first[UUID_TEXT_BYTES], text[UUID_TEXT_BYTES];
	bool differs[UUID_TEXT_BYTES] = {false};

	ck_assert_int_eq(uuid_make_v7(1, first), 0);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(uuid_make_v7(1, text), 0);
		ck_assert_str_ne(first, text);
		for (size_t at = 0; at < strlen(text); at++)
			differs[at] |= text[at] != first[at];
	}
	for (size_t at = 15; at < strlen(text); at++)
		ck_assert(differs[at] == (text[at] != '-'));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("uuid");
	TCase *tc = tcase_create("uuid");

	tcase_add_test(tc, test_form);
	tcase_add_test(tc, test_random);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
