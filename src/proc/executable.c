/* SPDX-License-Identifier: ISC */
#include "proc/executable.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
executable_is_daemon(pid_t pid)
{
	char link[32], path[PATH_MAX];
	const char *slash;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/%ld/exe", (long)pid);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return -1;
	path[n] = '\0';
	/* Perhaps with a version, or with the kernel's " (deleted)". */
	slash = strrchr(path, '/');
	return strstr(slash == NULL ? path : slash, "cassatad") != NULL;
}
