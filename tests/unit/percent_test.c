/* SPDX-License-Identifier: ISC */
#include "base/percent.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct {
	struct slice in;
	struct slice out;
} encoded[] = {
    {SLICE_INIT(""), SLICE_INIT("")},
    {SLICE_INIT("AZaz09-._~"), SLICE_INIT("AZaz09-._~")},
    {SLICE_INIT("a/b c%"), SLICE_INIT("a%2Fb%20c%25")},
    {SLICE_INIT("\0\x7f\x80\xff\r\n"), SLICE_INIT("%00%7F%80%FF%0D%0A")},
    {SLICE_INIT("@[`{:;,?#&=+'()*!$"),
	SLICE_INIT("%40%5B%60%7B%3A%3B%2C%3F%23%26%3D%2B%27%28%29%2A%21%24")},
};

static const struct {
	struct slice in;
	int result;
	struct slice out;
} decoded[] = {
    {SLICE_INIT(""), 0, SLICE_INIT("")},
    {SLICE_INIT("a+b~"), 0, SLICE_INIT("a+b~")},
    {SLICE_INIT("%41%7a%2F"), 0, SLICE_INIT("Az/")},
    {SLICE_INIT("%2f%c3%A4%00"), 0, SLICE_INIT("/\xc3\xa4\0")},
    {SLICE_INIT("%2541"), 0, SLICE_INIT("%41")},
    {SLICE_INIT("%"), -1, {NULL, 0}},
    {SLICE_INIT("a%4"), -1, {NULL, 0}},
    {SLICE_INIT("%4g"), -1, {NULL, 0}},
    {SLICE_INIT("%g4"), -1, {NULL, 0}},
    {SLICE_INIT("%%41"), -1, {NULL, 0}},
    {SLICE_INIT("%+1"), -1, {NULL, 0}},
};

START_TEST(test_encode)
{
	struct buf out;

	buf_init(&out, 4096);
	buf_append_char(&out, '/');
	ck_assert_int_eq(percent_encode(&out, encoded[_i].in), 0);
	buf_consume(&out, 1);
	ck_assert(slice_eq(buf_slice(&out), encoded[_i].out));
	buf_free(&out);

	buf_init(&out, 2);
	ck_assert_int_eq(percent_encode(&out, SLICE_LITERAL("/")), -1);
	buf_free(&out);
}
END_TEST

/* In place, with no byte behind it. */
START_TEST(test_decode)
{
	struct slice in = decoded[_i].in;
	char *bytes = malloc(in.len);
	size_t len = 0;

	if (in.len > 0)
		memcpy(bytes, in.p, in.len);
	ck_assert_int_eq(percent_decode(slice_of(bytes, in.len), bytes, &len),
	    decoded[_i].result);
	if (decoded[_i].result == 0)
		ck_assert(slice_eq(slice_of(bytes, len), decoded[_i].out));
	free(bytes);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("percent");
	TCase *tc = tcase_create("percent");

	tcase_add_loop_test(tc, test_encode, 0, COUNT(encoded));
	tcase_add_loop_test(tc, test_decode, 0, COUNT(decoded));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
