/* SPDX-License-Identifier: ISC */
#include "ctl/progress.h"

#include <stdarg.h>
#include <stdio.h>
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
progress_clear(struct progress *progress)
{
	if (progress->shown)
		(void)fputs(ERASE_LINE, stderr);
	progress->shown = false;
}
