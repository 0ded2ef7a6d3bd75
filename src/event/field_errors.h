/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_FIELD_ERRORS_H
#define CASSATA_EVENT_FIELD_ERRORS_H

#include <stdarg.h>
#include <stddef.h>

#include "base/slice.h"

/* One bad field: an RFC 6901 pointer and what is wrong with it. */
struct field_error {
	char pointer[160]; /* "/expiry", "/request-headers/2"; truncated */
	char detail[240];
};

enum { FIELD_ERRORS_MAX = 32 };

struct field_errors {
	size_t len; /* at most FIELD_ERRORS_MAX; more are counted, not kept */
	size_t total;
	struct field_error list[FIELD_ERRORS_MAX];
};

/* Notes what is wrong with a field; the reading goes on. */
void field_errors_add(struct field_errors *errors, const char *pointer,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void field_errors_vadd(struct field_errors *errors, const char *pointer,
    const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* The pointer to a member of the document, whatever its name; size is at least
 * 6. */
void field_pointer(struct slice name, char *pointer, size_t size);

#endif
