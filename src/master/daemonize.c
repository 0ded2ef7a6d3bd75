/* SPDX-License-Identifier: ISC */
#include "master/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static const char ready_line[] = "ready\n";

/* What the daemon wrote until it closed its end, NUL-terminated. */
static void
read_word_of_daemon(int fd, char *text, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		ssize_t n = read(fd, text + len, size - 1 - len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
}

/* The exit code of the first process. */
static int
wait_for_daemon(int fd, pid_t middle)
{
	char text[sizeof(struct err) + 1];

	while (waitpid(middle, NULL, 0) == -1 && errno == EINTR)
		;
	read_word_of_daemon(fd, text, sizeof(text));
	if (strcmp(text, ready_line) == 0)
		return EXIT_SUCCESS;
	if (text[0] == '\0')
		(void)snprintf(
		    text, sizeof(text), "ended before it was ready\n");
	(void)fprintf(stderr, "cassatad: %s", text);
	return EXIT_FAILURE;
}

static int
enter_daemon(const char *dir)
{
	int null;

	if (chdir(dir) == -1)
		return -1;
	(void)umask(027);
	/* Now, not once ready: children must not hold the starter's pipes. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null == -1)
		return -1;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(null, fd) == -1)
			return -1;
	}
	if (null > STDERR_FILENO)
		fd_close(&null);
	return 0;
}

int
daemonize(const char *dir, struct err *err)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_errno(err, "cannot open a pipe");
	pid = fork();
	if (pid == -1) {
		(void)err_errno(err, "cannot fork");
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		return -1;
	}
	if (pid > 0) {
		fd_close(&fds[1]);
		_exit(wait_for_daemon(fds[0], pid));
	}

	fd_close(&fds[0]);
	/* Fails only for a group leader, which a forked process is not. */
	(void)setsid();
	/* Again: who leads no session can get no terminal. */
	pid = fork();
	if (pid > 0)
		_exit(EXIT_SUCCESS);
	if (pid == -1 || enter_daemon(dir) == -1) {
		daemonize_failed(&fds[1], strerror(errno));
		_exit(EXIT_FAILURE);
	}
	return fds[1];
}

void
daemonize_ready(int *fd)
{
	/* Nobody may wait any more; then nobody is told. */
	(void)fd_write_all(*fd, ready_line, strlen(ready_line));
	fd_close(fd);
}

void
daemonize_failed(int *fd, const char *reason)
{
	char line[sizeof(struct err) + 1];

	(void)snprintf(line, sizeof(line) - 1, "%s", reason);
	(void)memcpy(line + strlen(line), "\n", 2);
	(void)fd_write_all(*fd, line, strlen(line));
	fd_close(fd);
}
