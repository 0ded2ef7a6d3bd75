/* SPDX-License-Identifier: ISC */
#include "worker/response_line.h"

#include <string.h>

#include "base/ascii.h"

/* name with its colon; *value without the blanks around it. */
static bool
is_field(struct slice line, struct slice name, struct slice *value)
{
	if (line.len < name.len || !slice_ieq(slice_of(line.p, name.len), name))
		return false;
	while (line.len > 0 &&
	       (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
		line.len--;
	*value = slice_trim(slice_of(line.p + name.len, line.len - name.len));
	return true;
}

bool
response_refuses_retry(struct slice line)
{
	struct slice value;

	return is_field(line, SLICE_LITERAL("Cassata-Retry:"), &value) &&
	       slice_ieq(value, SLICE_LITERAL("no"));
}

bool
response_strange_coding(struct slice line)
{
	struct slice value;

	return is_field(line, SLICE_LITERAL("Transfer-Encoding:"), &value) &&
	       !slice_ieq(value, SLICE_LITERAL("chunked")) &&
	       !slice_ieq(value, SLICE_LITERAL("identity"));
}

bool
response_status_line(struct slice line)
{
	const char *end = line.p + line.len;
	const char *space = memchr(line.p, ' ', line.len);

	if (space == NULL || end - space < 5)
		return false;
	for (const char *p = line.p + sizeof("HTTP/") - 1; p < space; p++)
		if (!is_digit(*p) && *p != '.')
			return false;
	return space[1] != '0' && is_digit(space[1]) && is_digit(space[2]) &&
	       is_digit(space[3]) && strchr(" \r\n", space[4]) != NULL;
}

bool
response_begins(struct slice line)
{
	static const struct slice name = SLICE_INIT("HTTP/");

	return line.len >= name.len &&
	       slice_ieq(slice_of(line.p, name.len), name);
}
