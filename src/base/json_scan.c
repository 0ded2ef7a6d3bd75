/* SPDX-License-Identifier: ISC */
#include "base/json_scan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ascii.h"
#include "base/check.h"

struct scanner {
	const char *p; /* next byte; where it went wrong, after a failure */
	const char *end;
	const char *reason;
	uint64_t objects; /* a bit per open container, the innermost lowest */
	unsigned depth;
};

static_assert(JSON_DEPTH_MAX <= 64, "a bit of scanner.objects per level");

static int
stop_at(struct scanner *s, const char *reason)
{
	s->reason = reason;
	return -1;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void
skip_space(struct scanner *s)
{
	while (s->p < s->end && is_space(*s->p))
		s->p++;
}

/* The next byte; NUL at the end of the text, where no NUL is allowed either. */
static char
peek(const struct scanner *s)
{
	if (s->p == s->end)
		return '\0';
	return *s->p;
}

/* 0 to 0xffff, or -1. */
static int
hex4(const char *p, const char *end)
{
	int code = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int value = hex_value(p[i]);

		if (value == -1)
			return -1;
		code = code * 16 + value;
	}
	return code;
}

static bool
is_high_surrogate(int code)
{
	return code >= 0xd800 && code <= 0xdbff;
}

static bool
is_low_surrogate(int code)
{
	return code >= 0xdc00 && code <= 0xdfff;
}

/* At the backslash of \uXXXX. */
static int
scan_unicode_escape(struct scanner *s)
{
	int code = hex4(s->p + 2, s->end);

	if (code == -1)
		return stop_at(s, "\\u needs four hexadecimal digits");
	if (is_low_surrogate(code))
		return stop_at(s, "lone surrogate");
	if (is_high_surrogate(code)) {
		if (s->end - s->p < 12 || s->p[6] != '\\' || s->p[7] != 'u' ||
		    !is_low_surrogate(hex4(s->p + 8, s->end)))
			return stop_at(s, "lone surrogate");
		s->p += 6;
	}
	s->p += 6;
	return 0;
}

/* At the backslash. */
static int
scan_escape(struct scanner *s)
{
	switch (s->end - s->p > 1 ? s->p[1] : '\0') {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		s->p += 2;
		return 0;
	case 'u':
		return scan_unicode_escape(s);
	default:
		return stop_at(s, "unknown escape in a string");
	}
}

/* At the opening quote. */
static int
scan_string(struct scanner *s)
{
	s->p++;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;

		if (c == '"') {
			s->p++;
			return 0;
		}
		if (c == '\\') {
			if (scan_escape(s) == -1)
				return -1;
		} else if (c >= 0x80) {
			size_t len = slice_utf8_len(
			    slice_of(s->p, (size_t)(s->end - s->p)));

			if (len == 0)
				return stop_at(s, "not UTF-8");
			s->p += len;
		} else if (c >= 0x20) {
			s->p++;
		} else {
			return stop_at(s, "control character in a string");
		}
	}
	return stop_at(s, "unterminated string");
}

static int
scan_digits(struct scanner *s)
{
	if (!is_digit(peek(s)))
		return stop_at(s, "a digit is missing in a number");
	while (is_digit(peek(s)))
		s->p++;
	return 0;
}

static int
scan_number(struct scanner *s)
{
	if (peek(s) == '-')
		s->p++;
	if (peek(s) == '0') {
		s->p++;
		if (is_digit(peek(s)))
			return stop_at(s, "a number starts with 0");
	} else if (scan_digits(s) == -1) {
		return -1;
	}
	if (peek(s) == '.') {
		s->p++;
		if (scan_digits(s) == -1)
			return -1;
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->p++;
		if (peek(s) == '+' || peek(s) == '-')
			s->p++;
		return scan_digits(s);
	}
	return 0;
}

static int
scan_word(struct scanner *s, const char *word)
{
	for (; *word != '\0'; word++, s->p++) {
		if (peek(s) != *word)
			return stop_at(s, "not a JSON value");
	}
	return 0;
}

static int
scan_scalar(struct scanner *s)
{
	switch (peek(s)) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (peek(s) != '-' && !is_digit(peek(s)))
			return stop_at(s, "not a JSON value");
		return scan_number(s);
	}
}

/* A member's name, the colon and the space around it. */
static int
scan_key(struct scanner *s)
{
	if (peek(s) != '"')
		return stop_at(s, "a member name in quotes is expected");
	if (scan_string(s) == -1)
		return -1;
	skip_space(s);
	if (peek(s) != ':')
		return stop_at(s, "':' is expected");
	s->p++;
	return 0;
}

static int
open_container(struct scanner *s)
{
	if (s->depth == JSON_DEPTH_MAX)
		return stop_at(s, "nested too deeply");
	s->depth++;
	s->objects = s->objects << 1 | (*s->p == '{');
	s->p++;
	return 0;
}

static bool
in_object(const struct scanner *s)
{
	return s->objects & 1;
}

/* Takes the bracket that ends the innermost container, if it is there. */
static bool
close_container(struct scanner *s)
{
	if (peek(s) != (in_object(s) ? '}' : ']'))
		return false;
	s->p++;
	check(s->depth > 0);
	s->depth--;
	s->objects >>= 1;
	return true;
}

/*
 * After a value: ends the containers that end here and takes the comma in front
 * of the next value, if the outermost container is still open.
 */
static int
scan_after_value(struct scanner *s)
{
	while (s->depth > 0) {
		skip_space(s);
		if (close_container(s))
			continue;
		if (peek(s) != ',')
			return stop_at(s, in_object(s)
					      ? "',' or '}' is expected"
					      : "',' or ']' is expected");
		s->p++;
		break;
	}
	return 0;
}

/* A member's name in an object, then a scalar or an opening bracket. */
static int
scan_item(struct scanner *s, bool *opened)
{
	skip_space(s);
	if (in_object(s) && scan_key(s) == -1)
		return -1;
	skip_space(s);
	*opened = peek(s) == '{' || peek(s) == '[';
	return *opened ? open_container(s) : scan_scalar(s);
}

/* Not recursive: nesting costs a bit of scanner.objects, no stack. */
static int
scan_value(struct scanner *s)
{
	do {
		bool opened;

		if (scan_item(s, &opened) == -1)
			return -1;
		skip_space(s);
		if (opened && !close_container(s))
			continue;
		if (scan_after_value(s) == -1)
			return -1;
	} while (s->depth > 0);
	return 0;
}

static enum json_value_type
type_of(char first)
{
	switch (first) {
	case 'n':
		return JSON_NULL;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case '"':
		return JSON_STRING;
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	default:
		return JSON_NUMBER;
	}
}

static struct json_value
value_between(const char *begin, const char *end)
{
	return (struct json_value){
	    type_of(*begin), slice_of(begin, (size_t)(end - begin))};
}

/* Lines end with LF; a column is a character. */
static int
fail_at(struct err *err, const struct scanner *s, struct slice text)
{
	size_t line = 1, column = 1;

	for (const char *p = text.p; p < s->p; p++) {
		if (*p == '\n') {
			line++;
			column = 1;
		} else if ((*p & 0xc0) != 0x80) {
			column++;
		}
	}
	return err_set(err, "line %zu column %zu: %s", line, column,
	    s->p == s->end ? "unexpected end of the text" : s->reason);
}

int
json_scan(struct slice text, struct json_value *value, struct err *err)
{
	struct scanner s = {0};
	const char *begin;

	if (text.len == 0)
		text = SLICE_LITERAL(""); /* no arithmetic on NULL */
	s.p = text.p;
	s.end = text.p + text.len;
	skip_space(&s);
	begin = s.p;
	if (scan_value(&s) == -1)
		return fail_at(err, &s, text);
	skip_space(&s);
	if (s.p < s.end) {
		stop_at(&s, "more after the end of the value");
		return fail_at(err, &s, text);
	}
	while (is_space(s.p[-1]))
		s.p--;
	*value = value_between(begin, s.p);
	return 0;
}

/*
 * The walkers below read accepted text only, so that each loop meets its end
 * inside the value.
 */
static const char *
after_space(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

/* After an odd number of backslashes; the opening quote stops the count. */
static bool
is_escaped(const char *quote)
{
	const char *p = quote;

	while (p[-1] == '\\')
		p--;
	return (quote - p) & 1;
}

/* memchr(3) passes over long strings many bytes at a time. */
static const char *
after_string(const char *p, const char *end)
{
	do {
		p++;
		p = memchr(p, '"', (size_t)(end - p));
	} while (is_escaped(p));
	return p + 1;
}

static const char *
after_container(const char *p, const char *end)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = after_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth > 0);
	return p;
}

static const char *
after_scalar(const char *p)
{
	while (*p != ',' && *p != ']' && *p != '}' && !is_space(*p))
		p++;
	return p;
}

/* end may lie beyond the value, within the accepted text. */
static const char *
after_value(const char *p, const char *end)
{
	if (*p == '"')
		return after_string(p, end);
	if (*p == '{' || *p == '[')
		return after_container(p, end);
	return after_scalar(p);
}

/* The first byte of the next member or element, or NULL at the end. */
static const char *
next_item(const struct json_value *container, const char *at)
{
	at = after_space(at == NULL ? container->raw.p + 1 : at);
	if (*at == ',')
		at = after_space(at + 1);
	return *at == '}' || *at == ']' ? NULL : at;
}

int
json_next_member(const struct json_value *object, const char **at,
    struct slice *key, struct json_value *value)
{
	const char *name = next_item(object, *at);
	const char *end = object->raw.p + object->raw.len, *p;

	if (name == NULL)
		return 0;
	p = after_string(name, end);
	*key = slice_of(name, (size_t)(p - name));
	p = after_space(after_space(p) + 1); /* the colon */
	*at = after_value(p, end);
	*value = value_between(p, *at);
	return 1;
}

int
json_next_element(
    const struct json_value *array, const char **at, struct json_value *value)
{
	const char *p = next_item(array, *at);

	if (p == NULL)
		return 0;
	*at = after_value(p, array->raw.p + array->raw.len);
	*value = value_between(p, *at);
	return 1;
}

static size_t
put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* The character of the \uXXXX, or the pair of them, at *p. */
static unsigned
take_unicode_escape(const char **p, const char *end)
{
	int code = hex4(*p + 2, end);

	*p += 6;
	if (is_high_surrogate(code)) {
		int low = hex4(*p + 2, end);

		*p += 6;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	return (unsigned)code;
}

static char
escaped_char(char c)
{
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return c; /* quote, backslash, slash */
	}
}

struct slice
json_unescape(struct slice raw)
{
	const char *text = raw.p + 1, *end = raw.p + raw.len - 1, *p;
	/* Not const from here on: the bytes are the caller's to change. */
	char *out = memchr(text, '\\', (size_t)(end - text));

	if (out == NULL)
		return slice_of(text, raw.len - 2);
	p = out;
	while (p < end) {
		if (*p != '\\') {
			*out++ = *p++;
		} else if (p[1] == 'u') {
			out += put_utf8(out, take_unicode_escape(&p, end));
		} else {
			*out++ = escaped_char(p[1]);
			p += 2;
		}
	}
	return slice_of(text, (size_t)(out - text));
}
