/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_JSON_WRITE_H
#define CASSATA_BASE_JSON_WRITE_H

#include "base/buf.h"

/*
 * Appends the text as a JSON string with quotes. Bytes that are not UTF-8
 * become U+FFFD; what a terminal might obey is escaped. 0, or -1 (buf failed).
 */
int json_write_string(struct buf *out, struct slice text);

/* Appends milliseconds as seconds: 1524141245 or 1524141245.25. */
int json_write_seconds(struct buf *out, int64_t ms);

#endif
