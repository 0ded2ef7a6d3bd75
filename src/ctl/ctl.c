/* SPDX-License-Identifier: ISC */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_write.h"
#include "base/words.h"
#include "ctl/ctl_print.h"

enum { LINE_MAX_BYTES = 256 * 1024 };

/* On standard error, {"NAME":"text"}. */
static void
tell_json(const char *name, struct slice text)
{
	struct buf line;
	struct json_writer w = {.out = &line};

	buf_init(&line, LINE_MAX_BYTES);
	json_object(&w, NULL);
	json_text(&w, name, text);
	json_end_object(&w);
	if (buf_append_char(&line, '\n') == 0)
		(void)fwrite(line.p, 1, line.len, stderr);
	buf_free(&line);
}

void
ctl_pass_on(const struct ctl *ctl, const char *name, struct slice text)
{
	if (!ctl->json) {
		(void)fwrite(text.p, 1, text.len, stderr);
		return;
	}
	while (text.len > 0) {
		const char *end = memchr(text.p, '\n', text.len);
		size_t len = end == NULL ? text.len : (size_t)(end - text.p);

		tell_json(name, slice_of(text.p, len));
		len += end != NULL;
		text = slice_of(text.p + len, text.len - len);
	}
}

int
ctl_fail(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;
	char text[8192];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (ctl->json) {
		tell_json("error", slice_from_string(text));
		return CTL_FAILED;
	}
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
