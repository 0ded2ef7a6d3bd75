/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_UUID_H
#define CASSATA_BASE_UUID_H

#include <stdint.h>

enum { UUID_TEXT_BYTES = 37 }; /* NUL-terminated */

/*
 * A new UUID of version 7 (RFC 9562, 5.7): the time in milliseconds since 1970,
 * then 74 random bits. 0, or -1 with errno when there are none.
 */
int uuid_make_v7(int64_t wall_ms, char text[UUID_TEXT_BYTES]);

#endif
