/* SPDX-License-Identifier: ISC */
#include "bench/poller.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"

enum { READ_BYTES = 16 * 1024 };

int
poller_init(struct poller *poller)
{
	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	return poller->fd == -1 ? -1 : 0;
}

void
poller_fini(struct poller *poller)
{
	fd_close(&poller->fd);
}

static int
control(const struct poller *poller, int op, int fd, uint32_t events,
    struct watch *watch)
{
	struct epoll_event ev = {.events = events, .data.ptr = watch};

	return epoll_ctl(poller->fd, op, fd, &ev);
}

int
poller_add(
    const struct poller *poller, int fd, uint32_t events, struct watch *watch)
{
	return control(poller, EPOLL_CTL_ADD, fd, events, watch);
}

int
poller_change(
    const struct poller *poller, int fd, uint32_t events, struct watch *watch)
{
	return control(poller, EPOLL_CTL_MOD, fd, events, watch);
}

int
poller_run(const struct poller *poller, int timeout_ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(poller->fd, events,
	    (int)(sizeof(events) / sizeof(events[0])), timeout_ms);

	if (n == -1)
		return errno == EINTR ? 0 : -1;
	for (int i = 0; i < n; i++) {
		struct watch *watch = events[i].data.ptr;

		watch->ready(watch, events[i].events);
	}
	return 0;
}

int
poller_receive(int fd, struct buf *in)
{
	ssize_t n;

	if (buf_reserve(in, READ_BYTES) == -1)
		return -1;
	do
		n = recv(fd, in->p + in->len, in->cap - in->len, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	in->len += (size_t)n;
	return 1;
}

static int64_t
now_us(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

int64_t
wall_us(void)
{
	return now_us(CLOCK_REALTIME);
}
