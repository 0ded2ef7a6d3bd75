/* SPDX-License-Identifier: ISC */
#include "event/field_errors.h"

#include <stdio.h>
#include <string.h>

void
field_errors_vadd(struct field_errors *errors, const char *pointer,
    const char *fmt, va_list ap)
{
	struct field_error *error;

	errors->total++;
	if (errors->len == FIELD_ERRORS_MAX)
		return;
	error = &errors->list[errors->len++];
	(void)snprintf(error->pointer, sizeof(error->pointer), "%s", pointer);
	(void)vsnprintf(error->detail, sizeof(error->detail), fmt, ap);
}

void
field_errors_add(
    struct field_errors *errors, const char *pointer, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	field_errors_vadd(errors, pointer, fmt, ap);
	va_end(ap);
}

/* RFC 6901, cut between characters. NUL, which C text can't hold, is U+FFFD. */
void
field_pointer(struct slice name, char *pointer, size_t size)
{
	size_t n = 0;

	pointer[n++] = '/';
	for (size_t i = 0; i < name.len; i++) {
		struct slice part = slice_of(&name.p[i], 1);

		/* A character of four bytes and the NUL must have room. */
		if ((*part.p & 0xc0) != 0x80 && size - n < 5)
			break;
		if (*part.p == '~')
			part = SLICE_LITERAL("~0");
		else if (*part.p == '/')
			part = SLICE_LITERAL("~1");
		else if (*part.p == '\0')
			part = SLICE_LITERAL("\xef\xbf\xbd");
		memcpy(pointer + n, part.p, part.len);
		n += part.len;
	}
	pointer[n] = '\0';
}
