/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_feed.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/slice.h"
#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	struct slice file, sent;
	uint64_t n;
	const char *error; /* or NULL */
} rows[] = {
    {SLICE_INIT(""), SLICE_INIT(""), 0, NULL},
    {SLICE_INIT(" \r\n\n"), SLICE_INIT(" \r\n\n"), 0, NULL},
    {SLICE_INIT("{}"), SLICE_INIT("{}"), 1, NULL},
    {SLICE_INIT("{}\n{\"a\":[1,2]}\n"), SLICE_INIT("{}\n{\"a\":[1,2]}\n"), 2,
	NULL},
    /* Lines are judged by the server, one by one. */
    {SLICE_INIT("\n{\n \t\r\n]\n[\nx"), SLICE_INIT("\n{\n \t\r\n]\n[\nx"), 4,
	NULL},
    {SLICE_INIT("{\"\n\"]\0\n"), SLICE_INIT("{\"\n\"]\0\n"), 2, NULL},

    {SLICE_INIT("[]"), SLICE_INIT(" \n"), 0, NULL},
    {SLICE_INIT("\n [ \n ] \n"), SLICE_INIT("\n     \n \n"), 0, NULL},
    {SLICE_INIT("[{}]"), SLICE_INIT(" {}\n"), 1, NULL},
    {SLICE_INIT("[{\"a\":\n[1,\r\n{\"b\":2}]},\n\t3]\n"),
	SLICE_INIT(" {\"a\": [1,  {\"b\":2}]}\n  3\n\n"), 2, NULL},
    {SLICE_INIT("[\",]}[{\",\"\\\"]\",\"\\\\\"]"),
	SLICE_INIT(" \",]}[{\"\n\"\\\"]\"\n\"\\\\\"\n"), 3, NULL},
    /* What is no JSON is found by the server, and harms one element. */
    {SLICE_INIT("[}},{},x y]"), SLICE_INIT(" }}\n{}\nx y\n"), 3, NULL},

    {SLICE_INIT("[{},]"), SLICE_INIT(" {}\n"), 1,
	"an element of the array is missing"},
    {SLICE_INIT("[,{}]"), SLICE_INIT(" "), 0,
	"an element of the array is missing"},
    {SLICE_INIT("[{}, ,{}]"), SLICE_INIT(" {}\n "), 1,
	"an element of the array is missing"},
    {SLICE_INIT("[{}"), SLICE_INIT(" {}"), 1, "the array has no end"},
    {SLICE_INIT("["), SLICE_INIT(" "), 0, "the array has no end"},
    {SLICE_INIT("[{\"a]"), SLICE_INIT(" {\"a]"), 1, "the array has no end"},
    {SLICE_INIT("[\"a\n\"]"), SLICE_INIT(" \"a"), 1,
	"a string in the array has no end"},
    {SLICE_INIT("[\"a\\\n\"]"), SLICE_INIT(" \"a\\"), 1,
	"a string in the array has no end"},
    {SLICE_INIT("[{}]\n{}"), SLICE_INIT(" {}\n\n"), 1,
	"there is something behind the array"},
};

/* In pieces of so many bytes. */
static void
feed_by(size_t step, int row)
{
	struct ctl_feed feed = {.n = 0};
	struct slice file = rows[row].file;
	char bytes[128];
	size_t sent = 0;

	memcpy(bytes, file.p, file.len);
	for (size_t at = 0; at < file.len && feed.error == NULL; at += step)
		sent += ctl_feed_turn(&feed, bytes + at,
		    step < file.len - at ? step : file.len - at);
	if (feed.error == NULL)
		ctl_feed_end(&feed);
	ck_assert_uint_eq(sent, rows[row].sent.len);
	ck_assert_mem_eq(bytes, rows[row].sent.p, sent);
	ck_assert_uint_eq(feed.n, rows[row].n);
	if (rows[row].error == NULL)
		ck_assert_ptr_null(feed.error);
	else
		ck_assert_str_eq(feed.error, rows[row].error);
}

START_TEST(test_feed)
{
	for (size_t step = 1; step < 64; step++)
		feed_by(step, _i);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("ctl_feed");
	Suite *suite = suite_create("ctl_feed");

	tcase_add_loop_test(tc, test_feed, 0, COUNT(rows));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
