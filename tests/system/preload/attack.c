/* SPDX-License-Identifier: ISC */
/*
 * Children of a daemon that somebody else has taken over. Each turn of a
 * child's loop is one attempt at what no child may do, until each was made; the
 * file ATTACK, which all map, counts them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct score {
	_Atomic uint32_t begins, n_made, succeeded; /* the last by bits */
	uint32_t n;
};

static struct score *score;
static pid_t master;
static int (*real)(int, struct epoll_event *, int, int);

/* No process of the master can be forked any more. */
static int
limit(void)
{
	const struct rlimit none = {0, 0};

	return prlimit(master, RLIMIT_NPROC, &none, NULL);
}

static int
priority(void)
{
	return setpriority(PRIO_PROCESS, (id_t)master, 19);
}

static int
affinity(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	return sched_setaffinity(master, sizeof(all), &all);
}

static int
stop(void)
{
	return kill(master, SIGSTOP);
}

/* Into the terminal, for a shell that reads it later. */
static int
type(void)
{
	return ioctl(STDERR_FILENO, TIOCSTI, "\n");
}

static int
get_terminal(void)
{
	return ioctl(STDERR_FILENO, TIOCSCTTY, 1);
}

static int
wait_for_connections(void)
{
	return listen(STDERR_FILENO, 1) == -1 ? listen(3, 1) : 0;
}

static int
make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		   ? -1
		   : 0;
}

static int
memory_file(void)
{
	return memfd_create("attack", MFD_CLOEXEC);
}

static int
open_process(void)
{
	return (int)syscall(SYS_pidfd_open, master, 0);
}

static int (*const attempts[])(void) = {limit, priority, affinity, stop, type,
    get_terminal, wait_for_connections, make_code, memory_file, open_process};

enum { N_ATTEMPTS = sizeof(attempts) / sizeof(attempts[0]) };

__attribute__((constructor)) static void
begin(void)
{
	int fd = open(getenv("ATTACK"), O_RDWR | O_CLOEXEC);
	void *memory = mmap(
	    NULL, sizeof(*score), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		abort();
	score = memory;
	score->n = N_ATTEMPTS;
	master = getpid();
	(void)close(fd);
}

int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
	if (getpid() != master && score->begins) {
		/* Counted before it is made: it may be the last. */
		uint32_t i = score->n_made++;

		if (i < N_ATTEMPTS && attempts[i]() != -1)
			score->succeeded |= 1u << i;
	}
	return real(fd, events, n, timeout);
}
