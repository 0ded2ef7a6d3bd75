/* SPDX-License-Identifier: ISC */
#include "http/stream.h"

#include <errno.h>
#include <sys/socket.h>

static ssize_t
plain_read(struct stream *stream, void *bytes, size_t size)
{
	ssize_t n;

	do
		n = recv(stream->fd, bytes, size, 0);
	while (n == -1 && errno == EINTR);
	return n;
}

static ssize_t
plain_write(struct stream *stream, const void *bytes, size_t size)
{
	ssize_t n;

	do
		n = send(stream->fd, bytes, size, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n;
}

static bool
plain_has_input(const struct stream *stream)
{
	char byte;

	return recv(stream->fd, &byte, 1, MSG_PEEK) == 1;
}

static bool
plain_has_ended(const struct stream *stream)
{
	char byte;
	ssize_t n = recv(stream->fd, &byte, 1, MSG_PEEK);

	return n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
}

static int
plain_end_output(struct stream *stream)
{
	return shutdown(stream->fd, SHUT_WR);
}

static const struct stream_kind plain = {plain_read, plain_write,
    plain_has_input, plain_has_ended, plain_end_output};

struct stream
stream_plain(int fd)
{
	return (struct stream){.kind = &plain, .fd = fd};
}
