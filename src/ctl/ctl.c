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

static const char *
word_of(const void *row)
{
	return *(const char *const *)row;
}

const void *
ctl_find_word(const char *word, const void *table, size_t n, size_t size)
{
	const char *row = table;

	for (size_t i = 0; i < n; i++, row += size)
		if (strcmp(word_of(row), word) == 0)
			return row;
	return NULL;
}

void
ctl_unknown_word(const struct ctl *ctl, const char *word, const void *table,
    size_t n, size_t size)
{
	struct words_guess guess;
	const char *row = table;

	words_guess_init(&guess, slice_from_string(word));
	for (size_t i = 0; i < n; i++, row += size)
		words_guess_offer(&guess, word_of(row));
	if (guess.meant != NULL)
		(void)ctl_fail(ctl, "unknown command: %s (did you mean %s?)",
		    word, guess.meant);
	else
		(void)ctl_fail(ctl, "unknown command: %s", word);
}

const void *
ctl_take_verb(struct ctl *ctl, const void *table, size_t n, size_t size)
{
	const void *row;

	if (ctl->argc == 0)
		return NULL;
	row = ctl_find_word(ctl->argv[0], table, n, size);
	if (row == NULL)
		ctl_unknown_word(ctl, ctl->argv[0], table, n, size);
	ctl->argc--;
	ctl->argv++;
	return row;
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

int
ctl_show_usage(const char *usage)
{
	(void)fputs(usage, stdout);
	return CTL_OK;
}

int
ctl_refuse_usage(const char *usage)
{
	(void)fputs(usage, stderr);
	return CTL_USAGE;
}
