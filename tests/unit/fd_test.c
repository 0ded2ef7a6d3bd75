/* SPDX-License-Identifier: ISC */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "suite.h"

enum { FIRST = 200, N = 8 };

/* Which of the descriptors FIRST, FIRST + 1, … to keep, in this order. */
static const struct {
	int keep[N];
	size_t n;
} cases[] = {
    {{0}, 0},
    {{FIRST}, 1},
    {{FIRST + 7}, 1},
    {{FIRST + 5, FIRST + 1, FIRST + 2, FIRST + 5}, 4},
    {{0, 1, -1, FIRST + 3}, 4},
    {{FIRST + 7, FIRST + 6, FIRST + 5, FIRST + 4, FIRST + 3, FIRST + 2,
	 FIRST + 1, FIRST},
	8},
};

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* The exit code of the child: 0 when all is as it should. */
static int
close_and_look(const int *keep, size_t n)
{
	fd_close_others(keep, n);
	for (int fd = FIRST; fd < FIRST + N; fd++) {
		bool kept = false;

		for (size_t i = 0; i < n; i++)
			kept = kept || keep[i] == fd;
		if (is_open(fd) != kept)
			return 1;
	}
	for (int fd = 0; fd < 3; fd++) {
		if (!is_open(fd))
			return 2;
	}
	for (int fd = 3; fd < FIRST; fd++) {
		if (is_open(fd))
			return 3;
	}
	return 0;
}

/* As on a kernel from before 5.9. */
static int
take_close_range_away(void)
{
#ifdef SYS_close_range
	struct sock_filter steps[] = {
	    BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
	    .len = sizeof(steps) / sizeof(steps[0]), .filter = steps};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
#else
	return 0;
#endif
}

/* Each case with the call and without. */
START_TEST(test_close_others)
{
	size_t n = sizeof(cases) / sizeof(cases[0]), i = (size_t)_i % n;
	int status;
	pid_t pid;

	for (int fd = FIRST; fd < FIRST + N; fd++)
		ck_assert_int_eq(dup2(STDERR_FILENO, fd), fd);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0 && (size_t)_i >= n && take_close_range_away() == -1)
		_exit(4);
	if (pid == 0)
		_exit(close_and_look(cases[i].keep, cases[i].n));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(test_pipe_and_flags)
{
	int fds[2];
	char text[4];

	ck_assert_int_eq(fd_pipe(fds), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_ne(fcntl(fds[i], F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
	}
	ck_assert_int_eq(fd_write_all(fds[1], "abc", 3), 0);
	ck_assert_int_eq(read(fds[0], text, sizeof(text)), 3);

	ck_assert_int_eq(fcntl(fds[0], F_SETFL, 0), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFD, 0), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[0]), 0);
	ck_assert_int_eq(fd_set_cloexec(fds[0]), 0);
	ck_assert_int_ne(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), FD_CLOEXEC);

	fd_close(&fds[0]);
	fd_close(&fds[1]);
}
END_TEST

START_TEST(test_errors)
{
	int fd = -1;

	errno = 0;
	ck_assert_int_eq(fd_set_nonblock(fd), -1);
	ck_assert_int_eq(fd_set_cloexec(fd), -1);
	ck_assert_int_eq(fd_write_all(fd, "a", 1), -1);
	ck_assert_int_eq(errno, EBADF);
	fd_close(&fd);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fd");
	TCase *tc = tcase_create("fd");

	tcase_add_loop_test(tc, test_close_others, 0,
	    2 * (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, test_pipe_and_flags);
	tcase_add_test(tc, test_errors);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
