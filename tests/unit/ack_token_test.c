/* SPDX-License-Identifier: ISC */
#include "event/ack_token.h"

#include <stdlib.h>

#include <check.h>

#include "suite.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const struct slice key = SLICE_INIT("0123456789abcdef0123456789abcdef");

static const struct {
	int64_t row_id;
	unsigned attempt;
} rows[] = {
    {1, 1}, {0, 0}, {INT64_MAX, 1000000}, {INT64_C(914807618505039892), 7}};

START_TEST(test_round)
{
	char text[ACK_TOKEN_LEN + 1];
	struct ack_token token;

	ck_assert_int_eq(
	    ack_token_make(key, rows[_i].row_id, rows[_i].attempt, text), 0);
	ck_assert_uint_eq(strlen(text), ACK_TOKEN_LEN);
	ck_assert(ack_token_read(slice_from_string(text), &token));
	ck_assert_int_eq(token.row_id, rows[_i].row_id);
	ck_assert_uint_eq(token.attempt, rows[_i].attempt);
	ck_assert(ack_token_is(&token, key));
	ck_assert(!ack_token_is(&token, SLICE_LITERAL("0")));
	ck_assert(!ack_token_is(&token, SLICE_LITERAL("")));
}
END_TEST

/* By another implementation:
 * printf '\0\0\0\0\0\0\0\1\0\0\0\2' | openssl sha256 -hmac KEY */
START_TEST(test_known)
{
	char text[ACK_TOKEN_LEN + 1];

	ck_assert_int_eq(ack_token_make(key, 1, 2, text), 0);
	ck_assert_str_eq(
	    text, "000000000000000100000002" "70a370ccfc7abc272993a58c3ca46e2c");
}
END_TEST

/* Each digit counts. */
START_TEST(test_forged)
{
	char text[ACK_TOKEN_LEN + 1];
	struct ack_token token;

	ck_assert_int_eq(ack_token_make(key, 1234567890123, 3, text), 0);
	text[_i] = text[_i] == '0' ? '1' : '0';
	ck_assert(ack_token_read(slice_from_string(text), &token));
	ck_assert(!ack_token_is(&token, key));
}
END_TEST

START_TEST(test_malformed)
{
	static const char bad[] = "gG/ -%A\xc3";
	char text[ACK_TOKEN_LEN + 1];
	struct ack_token token;

	ck_assert_int_eq(ack_token_make(key, 1, 1, text), 0);
	ck_assert(!ack_token_read(slice_of(text, ACK_TOKEN_LEN - 1), &token));
	ck_assert(!ack_token_read(slice_of(text, ACK_TOKEN_LEN + 1), &token));
	ck_assert(!ack_token_read(slice_of("", 0), &token));
	for (size_t i = 0; i < sizeof(bad); i++) {
		char was = text[i];

		text[i] = bad[i];
		ck_assert(!ack_token_read(
		    slice_of(text, ACK_TOKEN_LEN), &token));
		text[i] = was;
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ack_token");
	TCase *tcase = tcase_create("token");

	tcase_add_loop_test(tcase, test_round, 0, COUNT(rows));
	tcase_add_test(tcase, test_known);
	tcase_add_loop_test(tcase, test_forged, 0, ACK_TOKEN_LEN);
	tcase_add_test(tcase, test_malformed);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
