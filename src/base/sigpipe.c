/* SPDX-License-Identifier: ISC */
#include "base/sigpipe.h"

#include <errno.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fd.h"

/* Written only while all signals are blocked. */
static int pipe_fds[2] = {-1, -1};
static pid_t pipe_owner;

static void
write_signal(int signal)
{
	int saved_errno = errno;
	unsigned char byte = (unsigned char)signal;

	/* In a child that has not opened its own, the pipe is its parent's. A
	 * full pipe holds more signals than anybody needs to hear about. */
	if (getpid() == pipe_owner)
		while (write(pipe_fds[1], &byte, 1) == -1 && errno == EINTR)
			;
	errno = saved_errno;
}

int
sigpipe_open(const int *signals, struct err *err)
{
	struct sigaction catch = {
	    .sa_handler = write_signal, .sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigpipe_block();
	fd_close(&pipe_fds[0]);
	fd_close(&pipe_fds[1]);
	if (fd_pipe(pipe_fds) == -1)
		return err_errno(err, "cannot open the signal pipe");
	pipe_owner = getpid();

	(void)sigfillset(&catch.sa_mask);
	for (; *signals != 0; signals++) {
		if (sigaction(*signals, &catch, NULL) == -1)
			return err_errno(
			    err, "cannot catch signal %d", *signals);
	}
	if (sigaction(SIGPIPE, &ignore, NULL) == -1)
		return err_errno(err, "cannot ignore SIGPIPE");
	sigpipe_unblock();
	return pipe_fds[0];
}

int
sigpipe_next(int fd)
{
	unsigned char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n == -1 && errno == EINTR);
	return n == 1 ? byte : 0;
}

/* Neither can fail: the sets and the operation are valid. */

void
sigpipe_block(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
}

void
sigpipe_unblock(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
