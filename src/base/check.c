/* SPDX-License-Identifier: ISC */
#include "base/check.h"

#include <stdlib.h>

#include "base/log.h"

void
check_failed(
    const char *file, int line, const char *function, const char *promise)
{
	log_errorx(
	    "%s:%d: %s: broken promise: %s", file, line, function, promise);
	abort();
}
