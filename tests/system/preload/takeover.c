/* SPDX-License-Identifier: ISC */
/*
 * Children of a daemon that somebody else has taken over. The file TAKEOVER,
 * which all map, has orders for those of a master: to say a word on a control
 * socket, or to make a file. Each child obeys each order once, and counts there
 * that it has, and whether it was answered or the file opened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct orders {
	_Atomic uint32_t of_master, number, n_done, n_succeeded;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char word[32]; /* empty: path is a file's */
};

static struct orders *orders;
static pid_t master;
static int (*real)(int, struct epoll_event *, int, int);

__attribute__((constructor)) static void
begin(void)
{
	int fd = open(getenv("TAKEOVER"), O_RDWR | O_CLOEXEC);
	void *memory = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		abort();
	orders = memory;
	master = getpid();
	(void)close(fd);
}

static void
speak(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char answer[100];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return; /* not even that */
	memcpy(sun.sun_path, orders->path, sizeof(sun.sun_path));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		orders->n_done++;
		if (send(fd, orders->word, strlen(orders->word), MSG_NOSIGNAL) >
			0 &&
		    recv(fd, answer, sizeof(answer), 0) > 0)
			orders->n_succeeded++;
	}
	(void)close(fd);
}

static void
make_file(void)
{
	int fd = open(orders->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd != -1)
		orders->n_succeeded++;
	orders->n_done++;
	(void)close(fd);
}

int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	static uint32_t done;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
	if (getpid() != master && orders->of_master == (uint32_t)master &&
	    orders->number != done) {
		done = orders->number;
		if (orders->word[0] == '\0')
			make_file();
		else
			speak();
	}
	return real(fd, events, n, timeout);
}
