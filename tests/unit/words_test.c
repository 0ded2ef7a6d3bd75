/* SPDX-License-Identifier: ISC */
#include "base/words.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define TEN "0123456789"

static const char *const words[] = {"port", "ports", "listen", "processes",
    "maxBodyBytes", "id", TEN TEN TEN TEN, TEN TEN TEN TEN "x"};

static const struct {
	struct slice written;
	const char *meant;
} rows[] = {
    {SLICE_INIT("port"), "port"},
    {SLICE_INIT("prot"), "port"},  /* two edits of four letters */
    {SLICE_INIT("portss"), "ports"},
    {SLICE_INIT("PORT"), "port"},
    {SLICE_INIT("maxbodybites"), "maxBodyBytes"},
    {SLICE_INIT("lisn"), "listen"},
    {SLICE_INIT("lsn"), NULL},
    {SLICE_INIT("process"), "processes"},
    {SLICE_INIT("ie"), "id"},
    {SLICE_INIT("xy"), NULL},
    {SLICE_INIT(""), NULL},
    {SLICE_INIT("completely different"), NULL},
    {SLICE_INIT("p\0rt"), "port"},
    /* As long as may be, and longer. */
    {SLICE_INIT(TEN TEN TEN "01234567-9"), TEN TEN TEN TEN},
    {SLICE_INIT(TEN TEN TEN TEN "x"), NULL},
};

START_TEST(test_guess)
{
	struct words_guess guess;

	words_guess_init(&guess, rows[_i].written);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words_guess_offer(&guess, words[i]);
	if (rows[_i].meant == NULL)
		ck_assert_ptr_null(guess.meant);
	else
		ck_assert_str_eq(guess.meant, rows[_i].meant);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("words");
	TCase *tc = tcase_create("words");

	tcase_add_loop_test(tc, test_guess, 0, COUNT(rows));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
