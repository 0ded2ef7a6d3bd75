/* SPDX-License-Identifier: ISC */
#include "proc/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "proc/control_proto.h"

static int
refuse_to_wait(int64_t timeout_ms, struct err *err)
{
	return err_set(err, "the daemon does not answer within %g s",
	    (double)timeout_ms / 1000);
}

static int
connect_to(const char *path, int64_t timeout_ms, bool *absent, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	/* Of a master that hangs the backlog may be full. */
	struct timeval timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
	    .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
	int fd;

	*absent = false;
	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(err, "%s: too long for a socket", path);
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_errno(err, "socket");
	if (setsockopt(
		fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	*absent = errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED;
	if (errno == EAGAIN)
		(void)refuse_to_wait(timeout_ms, err);
	else
		err_errno(err, "%s", path);
	close(fd);
	return -1;
}

static int
send_line(int fd, const char *line, const char *path, struct err *err)
{
	char text[CONTROL_LINE_MAX];
	int len = snprintf(text, sizeof(text), "%s\n", line);

	check(len > 0 && (size_t)len < sizeof(text));
	/* So little is sent whole; a master that ends is no signal. */
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return err_errno(err, "%s", path);
	return 0;
}

/* Until the master closes. */
static int
read_all(int fd, int64_t timeout_ms, struct buf *answer, struct err *err)
{
	int64_t end_ms = clock_mono_ms() + timeout_ms;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left_ms = end_ms - clock_mono_ms();
		int ready = poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0);
		ssize_t n;

		if (ready == -1 && errno == EINTR)
			continue;
		if (ready == -1)
			return err_errno(err, "poll");
		if (ready == 0)
			return refuse_to_wait(timeout_ms, err);
		if (buf_reserve(answer, 4096) == -1)
			return err_set(err, "the answer is too long");
		n = read(
		    fd, answer->p + answer->len, answer->cap - answer->len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_errno(err, "control socket");
		if (n == 0)
			return 0;
		answer->len += (size_t)n;
	}
}

/* The credentials are of the process that listened first. */
static int
refuse_stranger(int fd, const char *path, uid_t stranger, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return err_errno(err, "%s", path);
	if (stranger != 0 && peer.uid == stranger)
		return err_set(err,
		    "%s is not root's but of user %u (master.user)", path,
		    (unsigned)peer.uid);
	return 0;
}

/* A master that ends resets what it has not accepted: then there is none. */
static bool
has_ended(const char *path)
{
	enum { AT_ONCE_MS = 1 };
	bool absent;
	struct err err;
	int fd = connect_to(path, AT_ONCE_MS, &absent, &err);

	fd_close(&fd);
	return absent;
}

int
control_ask(const char *socket_path, uid_t stranger, const char *line,
    int64_t timeout_ms, struct buf *answer, bool *absent, struct err *err)
{
	int fd = connect_to(socket_path, timeout_ms, absent, err);
	int status;

	if (fd == -1)
		return -1;
	status = refuse_stranger(fd, socket_path, stranger, err);
	if (status == 0)
		status = send_line(fd, line, socket_path, err);
	if (status == 0)
		status = read_all(fd, timeout_ms, answer, err);
	close(fd);
	if (status == -1 && answer->len == 0)
		*absent = has_ended(socket_path);
	return status;
}
