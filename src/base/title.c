/* SPDX-License-Identifier: ISC */
#include "base/title.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"

/* What is overwritten of the environment nobody can see any more. */
enum { TITLE_BYTES = 96 };

static struct {
	char *start; /* NULL: there is no room */
	size_t size;
	char **argv;
} title;

/* The arguments lie one behind the other, and so do the variables behind them;
 * but for one that was changed since. */
static char *
end_of_room(int argc, char **argv)
{
	char *end = argv[0];

	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	for (int i = 0; environ[i] == end && end < argv[0] + TITLE_BYTES; i++)
		end += strlen(environ[i]) + 1;
	return end;
}

static void
free_arguments(char **argv)
{
	for (int i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

static char **
copy_arguments(int argc, char **argv)
{
	char **copy = calloc((size_t)argc + 1, sizeof(*copy));

	for (int i = 0; copy != NULL && i < argc; i++) {
		copy[i] = strdup(argv[i]);
		if (copy[i] == NULL) {
			free_arguments(copy);
			return NULL;
		}
	}
	return copy;
}

/* Of the variables in the room. 0 or -1. */
static int
move_variables(const char *start, const char *end)
{
	for (int i = 0; environ[i] != NULL; i++) {
		if (environ[i] >= start && environ[i] < end) {
			char *copy = strdup(environ[i]);

			if (copy == NULL)
				return -1;
			environ[i] = copy;
		}
	}
	return 0;
}

char **
title_init(int argc, char **argv)
{
	char *end, *slash;

	check(title.argv == NULL);
	if (argc < 1)
		return NULL;
	end = end_of_room(argc, argv);
	title.argv = copy_arguments(argc, argv);
	if (title.argv == NULL || move_variables(argv[0], end) == -1)
		return title.argv;
	/* syslog(3) names it in each line. */
	slash = strrchr(title.argv[0], '/');
	program_invocation_name = title.argv[0];
	program_invocation_short_name =
	    slash == NULL ? title.argv[0] : slash + 1;
	title.start = argv[0];
	title.size = (size_t)(end - argv[0]);
	return title.argv;
}

void
title_set(const char *fmt, ...)
{
	char text[TITLE_BYTES];
	size_t len;
	va_list ap;

	if (title.start == NULL)
		return;
	(void)snprintf(text, sizeof(text), "cassatad: ");
	len = strlen(text);
	va_start(ap, fmt);
	(void)vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	len = strlen(text);
	if (len > title.size - 1)
		len = title.size - 1;
	memset(title.start, 0, title.size);
	memcpy(title.start, text, len);
}

void
title_set_thread(const char *name)
{
	/* Longer ones are cut; there is nothing else to fail. */
	(void)prctl(PR_SET_NAME, name);
}
