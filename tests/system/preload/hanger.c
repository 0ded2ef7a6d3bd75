/* SPDX-License-Identifier: ISC */
/*
 * What a child that has been taken over can try, within the sandbox, to make
 * others wait for ever; then it goes on as if nothing were. SIGRTMAX: each
 * descriptor that it has, and may share, is from now on one on which a read
 * waits. SIGRTMAX - 1: it connects to the port HANGER_PORT, where nobody reads,
 * and sends the master the connection, for which whoever closes it must wait.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 1024, LINGER_S = 3600 };

static void
make_wait(void)
{
	int off = 0;

	for (int fd = 3; fd < FDS; fd++) {
		(void)ioctl(fd, FIONBIO, &off);
		(void)fcntl(fd, F_SETFL, 0);
	}
}

/* A connection with data under way that nobody takes. */
static int
connect_to_deaf(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(getenv("HANGER_PORT"))),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
	static char bytes[65536];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)connect(fd, (struct sockaddr *)&to, sizeof(to));
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

/* To whoever has the other end of sockets that keep records apart. */
static void
send_away(int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
			 .cmsg_level = SOL_SOCKET,
			 .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	int type;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	for (int to = 3; to < FDS; to++) {
		socklen_t len = sizeof(type);

		if (getsockopt(to, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_SEQPACKET) {
			(void)sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
			(void)close(fd); /* then the master is the last */
			return;
		}
	}
}

static void
take_over(int signal)
{
	if (signal == SIGRTMAX) {
		make_wait();
	} else {
		send_away(connect_to_deaf());
		(void)connect_to_deaf(); /* which says that it is done */
	}
}

__attribute__((constructor)) static void
begin(void)
{
	struct sigaction action = {.sa_handler = take_over};

	sigaction(SIGRTMAX, &action, NULL);
	sigaction(SIGRTMAX - 1, &action, NULL);
}
