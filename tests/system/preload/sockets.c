/* SPDX-License-Identifier: ISC */
/*
 * No descriptor is left for a socket while the first byte of the file NO_SOCKETS
 * says so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

static const volatile char *none;
static int (*real)(int, int, int);

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
