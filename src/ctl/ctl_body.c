/* SPDX-License-Identifier: ISC */
#include "ctl/ctl_body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
read_file(const struct ctl *ctl, const char *path, struct buf *out)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char bytes[16384];
	size_t n;
	int status = 0;

	if (file == NULL)
		return ctl_fail(ctl, "%s: %s", path, strerror(errno));
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buf_append(out, bytes, n);
	if (ferror(file))
		status = ctl_fail(ctl, "%s: %s", path, strerror(errno));
	else if (out->failed)
		status = ctl_fail(ctl, "%s: too large", path);
	if (file != stdin)
		(void)fclose(file);
	return status;
}

int
ctl_body_read(const struct ctl *ctl, const char *word, struct buf *out)
{
	if (word[0] == '@')
		return read_file(ctl, word + 1, out);
	if (strcmp(word, "-") == 0)
		return read_file(ctl, word, out);
	return buf_append_string(out, word);
}
