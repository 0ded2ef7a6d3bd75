/* SPDX-License-Identifier: ISC */
#include "base/title.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

static int main_argc;
static char **main_argv;

/* What ps reads. */
static const char *
shown(void)
{
	static char text[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

START_TEST(test_title)
{
	char first[256], *name = main_argv[0], **argv;
	char long_text[512];

	(void)snprintf(first, sizeof(first), "%s", name);
	argv = title_init(main_argc, main_argv);
	ck_assert_ptr_nonnull(argv);
	title_set("worker %d, %s", 3, "9 shards");
	ck_assert_str_eq(shown(), "cassatad: worker 3, 9 shards");
	/* Both are where they were read from, and more is not overwritten. */
	ck_assert_str_eq(argv[0], first);
	ck_assert_ptr_null(argv[main_argc]);
	ck_assert_str_eq(program_invocation_name, first);
	ck_assert_str_eq(program_invocation_short_name, "title_test");
	ck_assert_str_eq(getenv("TITLE_TEST"), "kept");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	title_set("%s", long_text);
	ck_assert_int_eq(strncmp(shown(), "cassatad: xxxx", 14), 0);
	ck_assert_uint_lt(strlen(shown()), 128);
	ck_assert_str_eq(getenv("TITLE_TEST"), "kept");
	title_set("short");
	ck_assert_str_eq(shown(), "cassatad: short");
}
END_TEST

/* Without title_init nothing happens. */
START_TEST(test_no_title)
{
	char before[4096];

	(void)snprintf(before, sizeof(before), "%s", shown());
	title_set("nothing");
	ck_assert_str_eq(shown(), before);
}
END_TEST

START_TEST(test_thread)
{
	char name[64] = "";
	FILE *f;

	title_set_thread("worker 3");
	f = fopen("/proc/self/comm", "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(name, sizeof(name), f));
	(void)fclose(f);
	ck_assert_str_eq(name, "worker 3\n");
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("title");
	TCase *tc = tcase_create("title");

	/* Once more, with a variable that the title may overwrite. */
	if (getenv("TITLE_TEST") == NULL) {
		char variable[] = "TITLE_TEST=kept", path[] = "PATH=/usr/bin";
		char asan[] = "ASAN_OPTIONS=detect_leaks=1";
		char *env[] = {variable, path, asan, NULL};

		(void)execve("/proc/self/exe", argv, env);
		return EXIT_FAILURE;
	}
	main_argc = argc;
	main_argv = argv;
	tcase_add_test(tc, test_title);
	tcase_add_test(tc, test_no_title);
	tcase_add_test(tc, test_thread);
	suite_add_tcase(s, tc);
	return suite_run(s);
}
