/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_print.h"

/* Of a character below U+10000. */
static unsigned
code_of(const char *p, size_t len)
{
	unsigned code = (unsigned char)p[0] & (len == 1      ? 0x7fu
						  : len == 2 ? 0x1fu
							     : 0x0fu);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)p[i] & 0x3fu);
	return code;
}

size_t
ctl_print(FILE *out, struct slice text, bool lines)
{
	size_t n = 0;

	for (; text.len > 0; n++) {
		unsigned char c = (unsigned char)text.p[0];
		size_t len = slice_utf8_len(text);

		if (len > 0 && (slice_plain_len(text) > 0 ||
				   (lines && (c == '\n' || c == '\t'))))
			fwrite(text.p, 1, len, out);
		else
			n += (size_t)fprintf(out, "\\u%04x",
				 len == 0 ? 0xfffd : code_of(text.p, len)) -
			     1;
		len = len == 0 ? 1 : len;
		text = slice_of(text.p + len, text.len - len);
	}
	return n;
}
