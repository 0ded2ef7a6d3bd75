/* SPDX-License-Identifier: ISC */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

int
fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int
fd_set_cloexec(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int
fd_pipe(int fds[2])
{
	return pipe2(fds, O_NONBLOCK | O_CLOEXEC);
}

int
fd_write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void
fd_close(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved_errno;
}

#ifdef HAVE_CLOSE_RANGE
/* The smallest of keep that is at least from, or INT_MAX. */
static int
next_kept(const int *keep, size_t n, int from)
{
	int next = INT_MAX;

	for (size_t i = 0; i < n; i++) {
		if (keep[i] >= from && keep[i] < next)
			next = keep[i];
	}
	return next;
}

/* 0, or -1 when the kernel does not know how. */
static int
close_ranges(const int *keep, size_t n)
{
	int from = 3, kept;

	do {
		kept = next_kept(keep, n, from);
		if (kept > from &&
		    close_range((unsigned)from, (unsigned)kept - 1, 0) == -1)
			return -1;
		from = kept == INT_MAX ? kept : kept + 1;
	} while (kept != INT_MAX);
	return 0;
}
#else
static int
close_ranges(const int *keep, size_t n)
{
	(void)keep;
	(void)n;
	return -1;
}
#endif

static bool
is_kept(const int *keep, size_t n, int fd)
{
	for (size_t i = 0; i < n; i++) {
		if (keep[i] == fd)
			return true;
	}
	return false;
}

void
fd_close_others(const int *keep, size_t n)
{
	enum { BOUND = 65536 };
	long max;

	if (close_ranges(keep, n) == 0)
		return;
	/* The limit may be a thousand million, the numbers in use are low. */
	max = sysconf(_SC_OPEN_MAX);
	if (max < 0 || max > BOUND)
		max = BOUND;
	for (int fd = 3; fd < max; fd++) {
		if (!is_kept(keep, n, fd))
			(void)close(fd);
	}
}
