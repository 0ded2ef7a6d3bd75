/* SPDX-License-Identifier: ISC */
#include "base/slice.h"

#include "base/ascii.h"

bool
slice_ieq(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (to_lower(a.p[i]) != to_lower(b.p[i]))
			return false;
	}
	return true;
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	while (s.len > 0 && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	return s;
}

int
slice_to_u64(struct slice s, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (s.len == 0)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

		if (digit > 9 || sum > max / 10)
			return -1;
		sum *= 10;
		if (digit > max - sum)
			return -1;
		sum += digit;
	}
	*value = sum;
	return 0;
}

size_t
slice_utf8_len(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xbf; /* of the second byte */
	size_t len;

	if (s.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;

	if (p[0] == 0xe0)
		low = 0xa0; /* below: overlong */
	else if (p[0] == 0xed)
		high = 0x9f; /* above: surrogates */
	else if (p[0] == 0xf0)
		low = 0x90; /* below: overlong */
	else if (p[0] == 0xf4)
		high = 0x8f; /* above: beyond U+10FFFF */

	if (s.len < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

size_t
slice_plain_len(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len = slice_utf8_len(s);
	unsigned last = len == 3 ? (unsigned)p[1] << 8 | p[2] : 0;

	if (len == 0)
		return 0;
	if (len == 1)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (len == 2)
		return (p[0] == 0xc2 && p[1] < 0xa0) ||
			       (p[0] == 0xd8 && p[1] == 0x9c)
			   ? 0
			   : len;
	if (p[0] == 0xe2 &&
	    ((last >= 0x808e && last <= 0x808f) ||
		(last >= 0x80a8 && last <= 0x80ae) ||
		(last >= 0x81a6 && last <= 0x81a9)))
		return 0;
	return p[0] == 0xef && last == 0xbbbf ? 0 : len;
}

bool
slice_is_utf8(struct slice s)
{
	while (s.len > 0) {
		size_t len = slice_utf8_len(s);

		if (len == 0)
			return false;
		s.p += len;
		s.len -= len;
	}
	return true;
}
