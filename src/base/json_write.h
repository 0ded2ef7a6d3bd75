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

/*
 * Writes values one after the other, with the commas between them. What it
 * wrote is valid when objects and arrays were ended as they were begun; whether
 * out had room its failed tells. name is that of the member, NULL within an
 * array and for the first value.
 */
struct json_writer {
	struct buf *out; /* borrowed */
	bool comma;      /* the next value is not the first one in its place */
};

void json_object(struct json_writer *w, const char *name);
void json_end_object(struct json_writer *w);
void json_array(struct json_writer *w, const char *name);
void json_end_array(struct json_writer *w);
void json_text(struct json_writer *w, const char *name, struct slice text);
void json_string(struct json_writer *w, const char *name, const char *text);
void json_number(struct json_writer *w, const char *name, int64_t number);
void json_seconds(struct json_writer *w, const char *name, int64_t ms);

/* An array of the lines, which all end with LF, without it. */
void json_lines(struct json_writer *w, const char *name, struct slice lines);

/* A value that is JSON already. */
void json_raw(struct json_writer *w, const char *name, struct slice json);

#endif
