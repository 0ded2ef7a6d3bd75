/* SPDX-License-Identifier: ISC */
/*
 * What a child that has been taken over can try with all that it shares with
 * others, outside of the sandbox even. A signal takes it over: SIGRTMAX writes
 * garbage to whatever shared memory it can make writable and keeps all locks,
 * SIGRTMAX - 1 drains and floods its pipes. Neither ever ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FDS = 1024, WORDS = PAGE / 8 };

static uint64_t random_state = 88172645463325252;

static uint64_t
random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

/* Values that hurt where they are believed, and any others. */
static uint64_t
bad_word(void)
{
	static const uint64_t bad[] = {0, 1, 63, 64, UINT32_MAX, INT64_MAX,
	    (uint64_t)INT64_MIN, UINT64_MAX, 0x7fffffff7fffffff};
	uint64_t word = random_word();

	return word % 4 == 0 ? word : bad[word % 9];
}

/* The kernel writes there for us, and fails where we would die. */
static int
is_writable(char *page)
{
	return syscall(SYS_clock_gettime, CLOCK_REALTIME, page) == 0;
}

static void
spoil_page(char *page)
{
	volatile uint64_t *words = (volatile uint64_t *)page;

	if (!is_writable(page) &&
	    (mprotect(page, PAGE, PROT_READ | PROT_WRITE) == -1 ||
		!is_writable(page)))
		return;
	for (int i = 0; i < WORDS; i++)
		words[i] = bad_word();
}

static void
spoil_memory(void)
{
	static char maps[1 << 20];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char *begin, *end, rights[5], name[64], *line = maps;
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	maps[len] = '\0';
	for (; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
		line += *line == '\n';
		/* Not of SQLite: who may write to its file can spoil it. */
		if (sscanf(line, "%p-%p %4s %*s %*s %*s %63s",
			(void **)&begin, (void **)&end, rights, name) == 4 &&
		    rights[3] == 's' &&
		    (strncmp(name, "/memfd:", 7) == 0 ||
			strcmp(name, "/dev/zero") == 0))
			for (; begin < end; begin += PAGE)
				spoil_page(begin);
	}
}

static void
spoil_files(void)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;

	for (int fd = 3; fd < FDS; fd++) {
		if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
		    st.st_nlink != 0)
			continue;
		(void)fcntl(fd, F_SETLK, &all);
		(void)!ftruncate(fd, 0);
		(void)!write(fd, &all, sizeof(all));
	}
}

/* Pipes, and what is left of a pair of sockets that keeps records apart. */
static int
is_pipe(int fd)
{
	struct stat st;
	int type = 0;
	socklen_t len = sizeof(type);

	if (fstat(fd, &st) == -1)
		return 0;
	(void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	return S_ISFIFO(st.st_mode) || type == SOCK_SEQPACKET;
}

static void
spoil_pipes(void)
{
	uint64_t words[64];

	for (int fd = 3; fd < FDS; fd++) {
		if (!is_pipe(fd))
			continue;
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		for (size_t i = 0; i < 64; i++)
			words[i] = bad_word();
		(void)!read(fd, words, sizeof(words));
		(void)!write(fd, words, sizeof(words));
	}
}

static void
take_over(int signal)
{
	for (;;) {
		if (signal == SIGRTMAX) {
			spoil_files();
			spoil_memory();
		} else {
			spoil_pipes();
		}
	}
}

__attribute__((constructor)) static void
begin(void)
{
	struct sigaction action = {.sa_handler = take_over};

	sigfillset(&action.sa_mask);
	sigaction(SIGRTMAX, &action, NULL);
	sigaction(SIGRTMAX - 1, &action, NULL);
}
