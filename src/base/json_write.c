/* SPDX-License-Identifier: ISC */
#include "base/json_write.h"

#include <inttypes.h>
#include <string.h>

static int
write_special(struct buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		return buf_append_string(out, "\\\"");
	case '\\':
		return buf_append_string(out, "\\\\");
	case '\b':
		return buf_append_string(out, "\\b");
	case '\f':
		return buf_append_string(out, "\\f");
	case '\n':
		return buf_append_string(out, "\\n");
	case '\r':
		return buf_append_string(out, "\\r");
	case '\t':
		return buf_append_string(out, "\\t");
	default:
		if (c < 0x80)
			return buf_printf(out, "\\u%04x", c);
		return buf_append_string(out, "\xef\xbf\xbd"); /* U+FFFD */
	}
}

/* As an escape, which a terminal does not obey; all of them are below U+10000.
 */
static int
write_hidden(struct buf *out, const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned code = len == 2 ? u[0] & 0x1fu : u[0] & 0x0fu;

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (u[i] & 0x3fu);
	return buf_printf(out, "\\u%04x", code);
}

int
json_write_string(struct buf *out, struct slice text)
{
	size_t at = 0, plain = 0; /* text[plain, at) goes out as it is */

	buf_append_char(out, '"');
	while (at < text.len) {
		struct slice rest = slice_of(text.p + at, text.len - at);
		unsigned char c = (unsigned char)text.p[at];
		/* Nearly all are ASCII: no call for them. */
		size_t len = c >= 0x20 && c < 0x7f ? 1 : slice_plain_len(rest);

		if (len > 0 && c != '"' && c != '\\') {
			at += len;
			continue;
		}
		buf_append(out, text.p + plain, at - plain);
		len = slice_utf8_len(rest);
		if (len > 1)
			write_hidden(out, rest.p, len);
		else
			write_special(out, c);
		at += len > 1 ? len : 1;
		plain = at;
	}
	if (at > plain)
		buf_append(out, text.p + plain, at - plain);
	return buf_append_char(out, '"');
}

int
json_write_seconds(struct buf *out, int64_t ms)
{
	uint64_t size = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
	unsigned fraction = (unsigned)(size % 1000);
	int digits = 3;

	if (ms < 0)
		buf_append_char(out, '-');
	if (fraction == 0)
		return buf_printf(out, "%" PRIu64, size / 1000);
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	return buf_printf(
	    out, "%" PRIu64 ".%0*u", size / 1000, digits, fraction);
}

static void
begin_value(struct json_writer *w, const char *name)
{
	if (w->comma)
		buf_append_char(w->out, ',');
	w->comma = true;
	if (name == NULL)
		return;
	json_write_string(w->out, slice_from_string(name));
	buf_append_char(w->out, ':');
}

static void
begin_values(struct json_writer *w, const char *name, char bracket)
{
	begin_value(w, name);
	buf_append_char(w->out, bracket);
	w->comma = false;
}

static void
end_values(struct json_writer *w, char bracket)
{
	buf_append_char(w->out, bracket);
	w->comma = true;
}

void
json_object(struct json_writer *w, const char *name)
{
	begin_values(w, name, '{');
}

void
json_end_object(struct json_writer *w)
{
	end_values(w, '}');
}

void
json_array(struct json_writer *w, const char *name)
{
	begin_values(w, name, '[');
}

void
json_end_array(struct json_writer *w)
{
	end_values(w, ']');
}

void
json_text(struct json_writer *w, const char *name, struct slice text)
{
	begin_value(w, name);
	json_write_string(w->out, text);
}

void
json_string(struct json_writer *w, const char *name, const char *text)
{
	json_text(w, name, slice_from_string(text));
}

void
json_number(struct json_writer *w, const char *name, int64_t number)
{
	begin_value(w, name);
	buf_printf(w->out, "%" PRId64, number);
}

void
json_seconds(struct json_writer *w, const char *name, int64_t ms)
{
	begin_value(w, name);
	json_write_seconds(w->out, ms);
}

void
json_lines(struct json_writer *w, const char *name, struct slice lines)
{
	const char *lf;

	json_array(w, name);
	while (
	    lines.len > 0 && (lf = memchr(lines.p, '\n', lines.len)) != NULL) {
		size_t len = (size_t)(lf - lines.p);

		json_text(w, NULL, slice_of(lines.p, len));
		lines = slice_of(lf + 1, lines.len - len - 1);
	}
	json_end_array(w);
}

void
json_raw(struct json_writer *w, const char *name, struct slice json)
{
	begin_value(w, name);
	buf_append_slice(w->out, json);
}
