/* SPDX-License-Identifier: ISC */
/*
 * No descriptor is left for a socket while the first byte of the file NO_SOCKETS
 * says so. No address of this machine's is for going to 2001:db8::1, and no
 * port is left for 2001:db8::2.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static const volatile char *none;
static int (*real)(int, int, int);
static int (*real_connect)(int, const struct sockaddr *, socklen_t);

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("NO_SOCKETS");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *memory = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		abort();
	none = memory;
	*(void **)&real = dlsym(RTLD_NEXT, "socket");
	*(void **)&real_connect = dlsym(RTLD_NEXT, "connect");
}

int
socket(int family, int type, int protocol)
{
	if (none != NULL && *none == '1') {
		errno = EMFILE;
		return -1;
	}
	return real(family, type, protocol);
}

static unsigned char
documentation_host(const struct sockaddr *address)
{
	static const unsigned char prefix[15] = {0x20, 0x01, 0x0d, 0xb8};
	struct sockaddr_in6 in6;

	if (address->sa_family != AF_INET6)
		return 0;
	memcpy(&in6, address, sizeof(in6));
	if (memcmp(in6.sin6_addr.s6_addr, prefix, sizeof(prefix)) != 0)
		return 0;
	return in6.sin6_addr.s6_addr[15];
}

int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	unsigned char host = documentation_host(address);
	int type = 0;
	socklen_t type_len = sizeof(type);

	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len);
	if (host == 1 || (host == 2 && type == SOCK_STREAM)) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	return host == 2 ? 0 : real_connect(fd, address, len);
}
