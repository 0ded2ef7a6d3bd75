/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_JSON_SCAN_H
#define CASSATA_BASE_JSON_SCAN_H

#include "base/err.h"
#include "base/slice.h"

/*
 * Strict JSON (RFC 8259) over bytes, without a tree: a value is checked and its
 * extent told, so that a part of a document can be kept byte for byte as it was
 * written. A library parser gives the value but not its bytes.
 */
enum json_value_type {
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_value {
	enum json_value_type type;
	struct slice raw; /* from the first to the last byte of the value */
};

enum { JSON_DEPTH_MAX = 64 };

/*
 * Checks the whole text: one value with white space around it, well-formed
 * UTF-8, no lone surrogate, nesting up to JSON_DEPTH_MAX.
 * 0, or -1 with "line L column C: reason" in err.
 */
int json_scan(struct slice text, struct json_value *value, struct err *err);

/*
 * Walks the members of an object (or elements of an array) that json_scan
 * accepted. *at starts as NULL. 1 with the next member, 0 at the end.
 * The key is raw, with its quotes.
 */
int json_next_member(const struct json_value *object, const char **at,
    struct slice *key, struct json_value *value);
int json_next_element(
    const struct json_value *array, const char **at, struct json_value *value);

/*
 * The text of a string value (raw, with quotes, accepted by json_scan) in
 * place: the result points into raw's bytes, which are overwritten when the
 * string has escapes. Never longer than raw.
 */
struct slice json_unescape(struct slice raw);

#endif
