/* SPDX-License-Identifier: ISC */
#include "base/words.h"

#include "base/ascii.h"

enum { WORD_BYTES_MAX = 40 }; /* what is longer is not guessed */

static size_t
least_of(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Levenshtein's, in one row of his table. */
static size_t
edit_distance(struct slice a, struct slice b)
{
	size_t row[WORD_BYTES_MAX + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 0; i < a.len; i++) {
		size_t diagonal = row[0]++;

		for (size_t j = 0; j < b.len; j++) {
			bool same = to_lower(a.p[i]) == to_lower(b.p[j]);
			size_t swapped = diagonal + (same ? 0 : 1);

			diagonal = row[j + 1];
			row[j + 1] = least_of(swapped, row[j] + 1, diagonal + 1);
		}
	}
	return row[b.len];
}

void
words_guess_init(struct words_guess *guess, struct slice written)
{
	*guess = (struct words_guess){
	    .written = written, .edits = (written.len + 2) / 3};
}

void
words_guess_offer(struct words_guess *guess, const char *word)
{
	struct slice b = slice_from_string(word);
	size_t edits;

	if (guess->written.len > WORD_BYTES_MAX || b.len > WORD_BYTES_MAX)
		return;
	edits = edit_distance(guess->written, b);
	if (edits < guess->edits ||
	    (edits == guess->edits && guess->meant == NULL)) {
		guess->edits = edits;
		guess->meant = word;
	}
}
