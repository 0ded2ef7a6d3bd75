/* SPDX-License-Identifier: ISC */
#include "master/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

/* 0, or -1 with errno. */
static int
send_to(const char *name, const char *text)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	ssize_t n;
	int fd;

	if ((name[0] != '/' && name[0] != '@') ||
	    len >= sizeof(addr.sun_path)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(addr.sun_path, name, len);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	n = sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (const struct sockaddr *)&addr,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	fd_close(&fd);
	return n == -1 ? -1 : 0;
}

static void
notify(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");

	if (name != NULL && *name != '\0' && send_to(name, text) == -1)
		log_warn("cannot notify the service manager at %s", name);
}

void
notify_ready(void)
{
	char text[64];

	(void)snprintf(
	    text, sizeof(text), "READY=1\nMAINPID=%ld", (long)getpid());
	notify(text);
}

void
notify_replaced(pid_t pid)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "MAINPID=%ld", (long)pid);
	notify(text);
}

void
notify_reloading(void)
{
	char text[64];

	/* Rounded up: a time before the manager's own request is not taken as
	 * the answer to it. */
	(void)snprintf(text, sizeof(text),
	    "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    (clock_mono_ms() + 1) * 1000);
	notify(text);
}

void
notify_stopping(void)
{
	notify("STOPPING=1");
}
