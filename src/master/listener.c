/* SPDX-License-Identifier: ISC */
#include "master/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/slice.h"

enum { RETRY_EVERY_MS = 50 };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un local;
	struct sockaddr_storage storage; /* room for all of them */
};

int
listener_parse_env(const char *pid, const char *fds, pid_t self)
{
	uint64_t for_pid, n;

	if (pid == NULL || fds == NULL ||
	    slice_to_u64(slice_from_string(pid), INT32_MAX, &for_pid) == -1 ||
	    slice_to_u64(slice_from_string(fds), INT32_MAX, &n) == -1)
		return 0;
	return for_pid == (uint64_t)self ? (int)n : 0;
}

int
listener_inherited(void)
{
	int n = listener_parse_env(
	    getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getpid());

	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return n;
}

static bool
socket_option_is(int fd, int option, int expected)
{
	int value;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 &&
	       value == expected;
}

struct listener *
listener_adopt(const int *fds, size_t n, struct err *err)
{
	struct listener *listener;

	if (n > LISTENER_MAX) {
		(void)err_set(err,
		    "%zu sockets inherited, at most %d are taken", n,
		    LISTENER_MAX);
		return NULL;
	}
	listener = calloc(1, sizeof(*listener));
	if (listener == NULL) {
		(void)err_set(err, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		int fd = fds[i];

		if (!socket_option_is(fd, SO_TYPE, SOCK_STREAM) ||
		    !socket_option_is(fd, SO_ACCEPTCONN, 1)) {
			(void)err_set(err,
			    "inherited descriptor %d is no stream socket that "
			    "listens",
			    fd);
			goto fail;
		}
		if (fd_set_nonblock(fd) == -1 || fd_set_cloexec(fd) == -1) {
			(void)err_errno(err, "inherited descriptor %d", fd);
			goto fail;
		}
		listener->fds[listener->n++] = fd;
	}
	return listener;
fail:
	listener_free(&listener);
	return NULL;
}

static void
sleep_ms(long ms)
{
	struct timespec wait = {.tv_nsec = ms * 1000000L};

	/* Woken early by a signal, the caller only tries earlier. */
	(void)nanosleep(&wait, NULL);
}

static int
bind_retrying(int fd, const struct addrinfo *addr, int64_t until_ms)
{
	bool bound = false;

	/* Two sockets may be bound to one port; it is listen that tells that
	 * another one listens already. */
	for (;;) {
		bound = bound || bind(fd, addr->ai_addr, addr->ai_addrlen) == 0;
		if (bound && listen(fd, SOMAXCONN) == 0)
			return 0;
		if (errno != EADDRINUSE || clock_mono_ms() >= until_ms)
			return -1;
		sleep_ms(RETRY_EVERY_MS);
	}
}

/* A socket that listens, or -1 with errno. */
static int
open_one(const struct addrinfo *addr, bool v6_only, int64_t until_ms)
{
	int on = 1;
	int fd = socket(addr->ai_family,
	    addr->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    addr->ai_protocol);

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    (v6_only && addr->ai_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ==
		    -1) ||
	    bind_retrying(fd, addr, until_ms) == -1)
		fd_close(&fd);
	return fd;
}

static int
name_of_address(
    const struct sockaddr *addr, socklen_t len, char *text, size_t size)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	int n;

	if (getnameinfo(addr, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -1;
	n = snprintf(text, size,
	    addr->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

/* What a socket is bound to: 0, or -1 with errno. */
static int
bound_address(int fd, union address *address)
{
	socklen_t len = sizeof(*address);

	*address = (union address){.storage = {0}};
	return getsockname(fd, &address->any, &len);
}

/* Port 0 stands for any. */
static bool
is_bound_to(int fd, const struct addrinfo *addr)
{
	union address is, wanted = {.storage = {0}};

	if (addr->ai_addrlen > sizeof(wanted) || bound_address(fd, &is) == -1 ||
	    is.any.sa_family != addr->ai_family)
		return false;
	memcpy(&wanted, addr->ai_addr, addr->ai_addrlen);
	if (addr->ai_family == AF_INET)
		return is.in.sin_addr.s_addr == wanted.in.sin_addr.s_addr &&
		       (wanted.in.sin_port == 0 ||
			   is.in.sin_port == wanted.in.sin_port);
	return addr->ai_family == AF_INET6 &&
	       memcmp(&is.in6.sin6_addr, &wanted.in6.sin6_addr,
		   sizeof(is.in6.sin6_addr)) == 0 &&
	       is.in6.sin6_scope_id == wanted.in6.sin6_scope_id &&
	       (wanted.in6.sin6_port == 0 ||
		   is.in6.sin6_port == wanted.in6.sin6_port);
}

/* The socket of the address, taken out of old, or -1. */
static int
take_over(struct listener *old, const struct addrinfo *addr)
{
	for (size_t i = 0; old != NULL && i < old->n; i++) {
		int fd = old->fds[i];

		if (fd != -1 && is_bound_to(fd, addr)) {
			old->fds[i] = -1;
			return fd;
		}
	}
	return -1;
}

static bool
lacks_address(int error)
{
	return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/* 0 with at least one socket, or -1. */
static int
open_all(struct listener *listener, const struct addrinfo *list, bool v6_only,
    int64_t retry_ms, struct listener *old, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + retry_ms;

	for (; list != NULL && listener->n < LISTENER_MAX;
	     list = list->ai_next) {
		char name[NI_MAXHOST + NI_MAXSERV] = "?";
		int fd = take_over(old, list);

		if (fd == -1)
			fd = open_one(list, v6_only, until_ms);
		if (fd >= 0) {
			listener->fds[listener->n++] = fd;
			continue;
		}
		(void)name_of_address(
		    list->ai_addr, list->ai_addrlen, name, sizeof(name));
		(void)err_errno(err, "cannot listen on %s", name);
		/* "localhost" has an IPv6 address on machines without one. */
		if (!lacks_address(errno))
			return -1;
	}
	return listener->n > 0 ? 0 : -1;
}

struct listener *
listener_open(const char *host, int port, int64_t retry_ms,
    struct listener *old, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *list;
	struct listener *listener;
	/* All of IPv4 and all of IPv6: a socket for each. That for "::" alone
	 * takes IPv4, too, where the system lets it. */
	bool all = strcmp(host, "*") == 0;
	char service[16];
	int status;

	(void)snprintf(service, sizeof(service), "%d", port);
	status = getaddrinfo(all ? NULL : host, service, &hints, &list);
	if (status != 0) {
		(void)err_set(err, "cannot listen on %s: %s", host,
		    status == EAI_SYSTEM ? strerror(errno)
					 : gai_strerror(status));
		return NULL;
	}
	listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		(void)err_set(err, "out of memory");
	else if (open_all(listener, list, all, retry_ms, old, err) == -1)
		listener_free(&listener);
	freeaddrinfo(list);
	return listener;
}

void
listener_free(struct listener **listener)
{
	if (*listener == NULL)
		return;
	for (size_t i = 0; i < (*listener)->n; i++)
		fd_close(&(*listener)->fds[i]);
	free(*listener);
	*listener = NULL;
}

int
listener_name(int fd, char *text, size_t size)
{
	union address addr;
	int n;

	if (bound_address(fd, &addr) == -1)
		return -1;
	if (addr.any.sa_family != AF_UNIX)
		return name_of_address(&addr.any, sizeof(addr), text, size);
	n = snprintf(text, size, "%.*s", (int)sizeof(addr.local.sun_path),
	    addr.local.sun_path);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

static bool
is_local_address(int fd)
{
	union address addr;

	if (bound_address(fd, &addr) == -1)
		return false;
	if (addr.any.sa_family == AF_INET)
		return ntohl(addr.in.sin_addr.s_addr) >> 24 == 127;
	if (addr.any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&addr.in6.sin6_addr);
	return addr.any.sa_family == AF_UNIX;
}

bool
listener_is_local(const struct listener *listener)
{
	for (size_t i = 0; i < listener->n; i++)
		if (!is_local_address(listener->fds[i]))
			return false;
	return true;
}
