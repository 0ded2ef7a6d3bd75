/* SPDX-License-Identifier: ISC */
#include "ctl/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { TERMINAL_MS = 200, LINE_MS = 10000 };

/* To the left, and nothing there. */
#define ERASE_LINE "\r\033[K"

void
progress_init(struct progress *progress)
{
	*progress = (struct progress){
	    .is_terminal = isatty(STDERR_FILENO) == 1,
	};
	progress->due_ms =
	    clock_mono_ms() + (progress->is_terminal ? TERMINAL_MS : LINE_MS);
}

bool
progress_is_due(const struct progress *progress)
{
	return clock_mono_ms() >= progress->due_ms;
}

void
progress_show(struct progress *progress, const char *fmt, ...)
{
	va_list ap;

	progress_clear(progress);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (!progress->is_terminal)
		(void)fputc('\n', stderr);
	(void)fflush(stderr);
	progress->shown = progress->is_terminal;
	progress->due_ms =
	    clock_mono_ms() + (progress->is_terminal ? TERMINAL_MS : LINE_MS);
}

void
progress_bar(int64_t done, int64_t whole, char text[PROGRESS_BAR])
{
	enum { WIDTH = PROGRESS_BAR - 4 };
	double part = whole > 0 ? (double)done / (double)whole : 0;
	size_t full = (size_t)((part < 1 ? part : 1) * (double)WIDTH);

	(void)snprintf(text, PROGRESS_BAR, "[%*s]", WIDTH, "");
	memset(text + 1, '.', WIDTH);
	memset(text + 1, '#', full);
}

void
progress_end(int64_t at_s, char text[PROGRESS_END])
{
	time_t at = (time_t)at_s;
	struct tm tm;

	text[0] = '\0';
	if (at > 0 && localtime_r(&at, &tm) != NULL)
		(void)strftime(text, PROGRESS_END, ", ends at %H:%M:%S", &tm);
}

void
progress_clear(struct progress *progress)
{
	if (progress->shown)
		(void)fputs(ERASE_LINE, stderr);
	progress->shown = false;
}
