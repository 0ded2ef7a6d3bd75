/* SPDX-License-Identifier: ISC */
/*
 * A parser with a fault: who receives "X-Crash" dies of it, as libcurl would of
 * an answer that it cannot bear.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

ssize_t
recv(int fd, void *bytes, size_t size, int flags)
{
	static ssize_t (*real)(int, void *, size_t, int);
	static const char crash[] = "X-Crash";
	volatile int *volatile nowhere = NULL;
	ssize_t n;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "recv");
	n = real(fd, bytes, size, flags);
	if (n > 0 &&
	    memmem(bytes, (size_t)n, crash, sizeof(crash) - 1) != NULL) {
		/* Not a sanitizer's to handle. */
		(void)signal(SIGSEGV, SIG_DFL);
		*nowhere = 1;
	}
	return n;
}
