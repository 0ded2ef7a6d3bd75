/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>

int
ctl_fail(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s: ", ctl->program);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return CTL_FAILED;
}
