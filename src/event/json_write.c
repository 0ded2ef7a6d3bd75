/* SPDX-License-Identifier: ISC */
#include "event/json_write.h"

#include <inttypes.h>

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
		if (c < 0x20)
			return buf_printf(out, "\\u%04x", c);
		return buf_append_string(out, "\xef\xbf\xbd"); /* U+FFFD */
	}
}

int
json_write_string(struct buf *out, struct slice text)
{
	size_t at = 0, plain = 0; /* text[plain, at) goes out as it is */

	buf_append_char(out, '"');
	while (at < text.len) {
		unsigned char c = (unsigned char)text.p[at];
		size_t len = 1;

		if (c >= 0x80)
			len = slice_utf8_len(
			    slice_of(text.p + at, text.len - at));
		if (len > 0 && c >= 0x20 && c != '"' && c != '\\') {
			at += len;
			continue;
		}
		buf_append(out, text.p + plain, at - plain);
		write_special(out, c);
		plain = ++at;
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
