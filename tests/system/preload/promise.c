/* SPDX-License-Identifier: ISC */
/*
 * The process whose number is in the file NO_TIMERS can set no timer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct event;
struct timeval;

int event_add(struct event *event, const struct timeval *timeout);
int event_get_fd(const struct event *event);

static const volatile pid_t *victim;
static int (*real)(struct event *, const struct timeval *);

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("NO_TIMERS");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *memory =
	    mmap(NULL, sizeof(*victim), PROT_READ, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		abort();
	victim = memory;
	*(void **)&real = dlsym(RTLD_NEXT, "event_add");
}

int
event_add(struct event *event, const struct timeval *timeout)
{
	if (*victim == getpid() && event_get_fd(event) == -1)
		return -1;
	return real(event, timeout);
}
