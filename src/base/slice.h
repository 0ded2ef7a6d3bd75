/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_SLICE_H
#define CASSATA_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes: valid as long as the buffer they point into. */
struct slice {
	const char *p;
	size_t len;
};

#define SLICE_LITERAL(text) ((struct slice){(text), sizeof(text) - 1})

/* The same as an initializer, which ISO C wants in a static table. */
#define SLICE_INIT(text)                                                       \
	{                                                                      \
		(text), sizeof(text) - 1                                       \
	}

static inline struct slice
slice_of(const char *p, size_t len)
{
	return (struct slice){p, len};
}

static inline struct slice
slice_from_string(const char *text)
{
	return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

/* Byte for byte equality. */
static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Copies what there is room for, without a NUL; how many bytes. */
static inline size_t
slice_copy(struct slice s, char *to, size_t room)
{
	size_t len = s.len < room ? s.len : room;

	if (len > 0)
		memcpy(to, s.p, len);
	return len;
}

/* Equality without regard to the case of ASCII letters. */
bool slice_ieq(struct slice a, struct slice b);

/* Without leading and trailing spaces and tabs. */
struct slice slice_trim(struct slice s);

/*
 * Decimal digits only, the whole slice, at most max.
 * 0 and the value in *value, or -1.
 */
int slice_to_u64(struct slice s, uint64_t max, uint64_t *value);

/* Bytes of the UTF-8 character in front (RFC 3629), 0 when it is malformed. */
size_t slice_utf8_len(struct slice s);

/*
 * The same, but 0 also for what does more than stand there: a control character
 * (C0, DEL, C1), an end of line (U+2028, U+2029), a mark that turns the
 * direction of the text around it, or a byte order mark.
 */
size_t slice_plain_len(struct slice s);

/* True when the bytes are well-formed UTF-8. */
bool slice_is_utf8(struct slice s);

#endif
