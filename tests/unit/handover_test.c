/* SPDX-License-Identifier: ISC */
#include "master/handover.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

static const struct {
	const char *text;
	int status;
	size_t n_listen;
} texts[] = {
    {"3 7 8 9 10 0", 0, 0},
    {"3 7 8 9 10 0 11", 0, 1},
    {"3 7 8 9 10 1 11 12 13", 0, 3},
    {"3 7 8 9 10 1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", 0, 16},
    {"3 7 8 9 10 1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", -1, 0},
    {"1 7 8 9 10 0", -1, 0}, /* another format */
    {"3 7 8 9 10", -1, 0},
    {"3", -1, 0},
    {"", -1, 0},
    {"3  7 8 9 10 0", -1, 0},
    {"3 7 8 9 10 0 x", -1, 0},
    {"3 7 8 9 10 0 -1", -1, 0},
    {"3 7 8 9 10 0 4294967296", -1, 0},
};

START_TEST(test_parse)
{
	struct handover handover;

	ck_assert_int_eq(
	    handover_parse(texts[_i].text, &handover), texts[_i].status);
	if (texts[_i].status == 0)
		ck_assert_uint_eq(handover.n_listen, texts[_i].n_listen);
}
END_TEST

/* The longest there is comes back as it was. */
START_TEST(test_format)
{
	struct handover handover = {INT_MAX, INT_MAX - 1, INT_MAX - 2,
	    INT_MAX - 3, true, LISTENER_MAX, {0}};
	struct handover parsed;
	char text[HANDOVER_TEXT_MAX];

	for (int i = 0; i < LISTENER_MAX; i++)
		handover.listen_fds[i] = INT_MAX - i;
	handover_format(&handover, text);
	ck_assert_int_eq(handover_parse(text, &parsed), 0);
	ck_assert_int_eq(parsed.fd, handover.fd);
	ck_assert_int_eq(parsed.stderr_fd, handover.stderr_fd);
	ck_assert_int_eq(parsed.control_fd, handover.control_fd);
	ck_assert_int_eq(parsed.write_lock_fd, handover.write_lock_fd);
	ck_assert(parsed.activated);
	ck_assert_uint_eq(parsed.n_listen, LISTENER_MAX);
	ck_assert_mem_eq(parsed.listen_fds, handover.listen_fds,
	    sizeof(handover.listen_fds));
}
END_TEST

START_TEST(test_take)
{
	struct handover handover;
	struct err err;
	char text[HANDOVER_TEXT_MAX];
	int fds[2];

	ck_assert_int_eq(unsetenv(HANDOVER_VARIABLE), 0);
	ck_assert_int_eq(handover_take(&handover, &err), 0);
	ck_assert_int_eq(setenv(HANDOVER_VARIABLE, "0", 1), 0);
	ck_assert_int_eq(handover_take(&handover, &err), -1);
	/* Numbers of what is not open. */
	ck_assert_int_eq(setenv(HANDOVER_VARIABLE, "3 900 901 902 903 0", 1), 0);
	ck_assert_int_eq(handover_take(&handover, &err), -1);

	ck_assert_int_eq(pipe(fds), 0);
	(void)snprintf(text, sizeof(text), "3 %d %d %d %d 0", fds[0], fds[1],
	    fds[0], fds[1]);
	ck_assert_int_eq(setenv(HANDOVER_VARIABLE, text, 1), 0);
	ck_assert_int_eq(handover_take(&handover, &err), 1);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	ck_assert_ptr_null(getenv(HANDOVER_VARIABLE));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("handover");
	TCase *tc = tcase_create("handover");

	tcase_add_loop_test(
	    tc, test_parse, 0, (int)(sizeof(texts) / sizeof(texts[0])));
	tcase_add_test(tc, test_format);
	tcase_add_test(tc, test_take);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
