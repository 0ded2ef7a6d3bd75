/* SPDX-License-Identifier: ISC */
#include "base/percent.h"

#include "base/ascii.h"

static bool
is_unreserved(char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int
percent_encode(struct buf *out, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (is_unreserved(s.p[i]))
			buf_append_char(out, s.p[i]);
		else
			buf_append(
			    out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
	}
	return out->failed ? -1 : 0;
}

int
percent_decode(struct slice s, char *out, size_t *out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '%') {
			int high, low;

			if (s.len - i < 3)
				return -1;
			high = hex_value(s.p[i + 1]);
			low = hex_value(s.p[i + 2]);
			if (high == -1 || low == -1)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		out[n++] = c;
	}
	*out_len = n;
	return 0;
}
