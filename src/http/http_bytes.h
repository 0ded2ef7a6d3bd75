/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_HTTP_BYTES_H
#define CASSATA_HTTP_HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>

/* Which bytes may stand where in the head of a message (RFC 9110, RFC 3986). */
enum http_byte_class {
	IN_TOKEN = 1,
	IN_TARGET = 2,
	IN_VALUE = 4, /* also spaces and tabs */
	IN_HOST = 8,  /* in a registered name */
};

/* The classes of each. */
extern const unsigned char http_bytes[256];

static inline bool
http_byte_is(char c, enum http_byte_class class)
{
	return (http_bytes[(unsigned char)c] & class) != 0;
}

/* The first byte from at on that is not of the class, or end. */
static inline size_t
http_bytes_skip(
    const char *buf, size_t at, size_t end, enum http_byte_class class)
{
	while (at < end && http_byte_is(buf[at], class))
		at++;
	return at;
}

#endif
