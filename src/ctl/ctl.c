/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/words.h"
#include "ctl/ctl_print.h"

int
ctl_fail(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;
	char text[8192];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "%s: ", ctl->program);
	(void)ctl_print(stderr, slice_from_string(text), true);
	(void)fputc('\n', stderr);
	return CTL_FAILED;
}

void
ctl_unknown_word(const struct ctl *ctl, const char *kind, const char *word,
    const void *table, size_t n, size_t size)
{
	struct words_guess guess;

	words_guess_init(&guess, slice_from_string(word));
	for (size_t i = 0; i < n; i++)
		words_guess_offer(&guess,
		    *(const char *const *)(const void *)((const char *)table +
							 i * size));
	if (guess.meant != NULL)
		(void)ctl_fail(ctl, "unknown %s: %s (did you mean %s?)", kind,
		    word, guess.meant);
	else
		(void)ctl_fail(ctl, "unknown %s: %s", kind, word);
}

bool
ctl_wants_help(const struct ctl *ctl)
{
	for (int i = 0; i < ctl->argc && i < 2; i++)
		if (strcmp(ctl->argv[i], "--help") == 0 ||
		    strcmp(ctl->argv[i], "-h") == 0)
			return true;
	return false;
}
