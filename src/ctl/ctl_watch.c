/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_watch.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { AGAIN_MS = 1000 };

/* To the upper left corner, and nothing from there on. */
#define CLEAR_SCREEN "\033[H\033[J"

void
ctl_watch_begin(void)
{
	if (isatty(STDOUT_FILENO) == 1)
		(void)fputs(CLEAR_SCREEN, stdout);
}

bool
ctl_watch_again(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	if (fflush(stdout) != 0 || ferror(stdout))
		return false;
	(void)poll(&out, 1, AGAIN_MS);
	return (out.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

int
ctl_watch_each_second(const struct ctl *ctl, int (*show)(void *arg), void *arg)
{
	int status;

	do {
		if (ctl->watch)
			ctl_watch_begin();
		status = show(arg);
	} while (status == CTL_OK && ctl->watch && ctl_watch_again());
	return status;
}
