/* SPDX-License-Identifier: ISC */
#include "board/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* Room for one descriptor, aligned as its header must be. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int
status_pair(int fds[2])
{
	return socketpair(
	    AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

int
status_send(int fd, enum child_state state, const char *reason)
{
	struct child_status status;
	ssize_t n;

	check(state <= CHILD_FAILED);
	/* With its padding: the record crosses a process boundary. */
	memset(&status, 0, sizeof(status));
	status.pid = getpid();
	status.state = (uint32_t)state;
	(void)snprintf(status.reason, sizeof(status.reason), "%s",
	    reason == NULL ? "" : reason);
	do
		n = send(fd, &status, sizeof(status), MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

int
status_recv(int fd, struct child_status *status)
{
	ssize_t n;

	do
		n = read(fd, status, sizeof(*status));
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		errno = EPIPE;
		return -1;
	}
	if (n != (ssize_t)sizeof(*status) || status->pid <= 0 ||
	    status->state > CHILD_FAILED ||
	    memchr(status->reason, '\0', sizeof(status->reason)) == NULL) {
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

int
status_send_log(int fd, int log_fd)
{
	union control control = {.bytes = {0}};
	char byte = 'l';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &log_fd, sizeof(log_fd));
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

int
status_recv_log(int fd, int *log_fd)
{
	union control control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	const struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	header = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (header == NULL || header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(log_fd, CMSG_DATA(header), sizeof(*log_fd));
	return 1;
}
