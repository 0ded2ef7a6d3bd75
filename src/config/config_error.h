/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CONFIG_CONFIG_ERROR_H
#define CASSATA_CONFIG_CONFIG_ERROR_H

#include <stddef.h>

#include "base/err.h"

enum { CONFIG_ERRORS_MAX = 100 };

/* Both count from 1; line 0 is the file as a whole. */
struct config_mark {
	size_t line, column;
};

/* Every error found, in the order of the file. */
struct config_errors {
	size_t len;
	struct err *list; /* "FILE:LINE:COLUMN: reason" */
};

/* Makes room for CONFIG_ERRORS_MAX errors and a last line. 0 or -1. */
int config_errors_init(struct config_errors *errors);
void config_errors_free(struct config_errors *errors);

/* Adds an error; file may be NULL. Further ones than the room holds are
 * dropped. */
void config_error(struct config_errors *errors, const char *file,
    struct config_mark at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
