/* SPDX-License-Identifier: ISC */
#include "config/config_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int
config_errors_init(struct config_errors *errors)
{
	errors->len = 0;
	errors->list = calloc(CONFIG_ERRORS_MAX + 1, sizeof(*errors->list));
	return errors->list == NULL ? -1 : 0;
}

void
config_errors_free(struct config_errors *errors)
{
	free(errors->list);
	errors->list = NULL;
	errors->len = 0;
}

void
config_error(struct config_errors *errors, const char *file,
    struct config_mark at, const char *fmt, ...)
{
	struct err *err = &errors->list[errors->len];
	struct err reason;
	va_list ap;

	if (errors->len > CONFIG_ERRORS_MAX)
		return;
	errors->len++;
	va_start(ap, fmt);
	(void)vsnprintf(reason.text, sizeof(reason.text), fmt, ap);
	va_end(ap);
	if (errors->len > CONFIG_ERRORS_MAX)
		err_set(err, "only the first %d errors are shown",
		    CONFIG_ERRORS_MAX);
	else if (file == NULL)
		*err = reason;
	else if (at.line == 0)
		err_set(err, "%s: %s", file, reason.text);
	else
		err_set(err, "%s:%zu:%zu: %s", file, at.line, at.column,
		    reason.text);
}
