/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_HTTP_CHUNK_EXTENSION_H
#define CASSATA_HTTP_CHUNK_EXTENSION_H

#include <stdbool.h>

/* The grammar of what may follow the size of a chunk (RFC 9112, 7.1.1). Pure.
 */

/* What the bytes so far are; other numbers are known here only. */
enum { CHUNK_EXTENSION_BAD, CHUNK_EXTENSION_BEGIN };

/* What they are with one more, which is none of the line's end. Not after
 * CHUNK_EXTENSION_BAD. */
unsigned chunk_extension_next(unsigned extension, char c);

/* Whether the line may end here. */
bool chunk_extension_may_end(unsigned extension);

#endif
