/* SPDX-License-Identifier: ISC */
#include "master/finding.h"

#include <string.h>

enum { REASONS_MAX_BYTES = 64 * 1024 };

void
finding_init(struct finding *finding)
{
	finding->cause = CAUSE_NONE;
	buf_init(&finding->reasons, REASONS_MAX_BYTES);
}

void
finding_free(struct finding *finding)
{
	buf_free(&finding->reasons);
}

void
finding_fail(struct finding *finding, enum cause cause, const char *reason)
{
	finding->cause = cause;
	/* What goes beyond the room is of no more use. */
	(void)buf_printf(&finding->reasons, "%s\n", reason);
}

struct slice
finding_reasons(const struct finding *finding)
{
	return finding->reasons.len == 0 ? SLICE_LITERAL("out of memory")
					 : buf_slice(&finding->reasons);
}

bool
finding_next_reason(struct slice *text, struct slice *line)
{
	const char *end;

	/* Empty lines tell nothing. */
	while (text->len > 0 && text->p[0] == '\n')
		*text = slice_of(text->p + 1, text->len - 1);
	if (text->len == 0)
		return false;
	end = memchr(text->p, '\n', text->len);
	*line = slice_of(
	    text->p, end == NULL ? text->len : (size_t)(end - text->p));
	*text = slice_of(text->p + line->len, text->len - line->len);
	return true;
}
