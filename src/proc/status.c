/* SPDX-License-Identifier: ISC */
#include "proc/status.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static_assert(sizeof(struct child_status) <= PIPE_BUF, "written at once");

int
status_send(int fd, enum child_state state, const char *reason)
{
	struct child_status status;
	ssize_t n;

	/* With its padding: the record crosses a process boundary. */
	memset(&status, 0, sizeof(status));
	status.pid = getpid();
	status.state = (uint32_t)state;
	(void)snprintf(status.reason, sizeof(status.reason), "%s",
	    reason == NULL ? "" : reason);
	do
		n = write(fd, &status, sizeof(status));
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
