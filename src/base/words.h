/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_WORDS_H
#define CASSATA_BASE_WORDS_H

#include <stddef.h>

#include "base/slice.h"

/*
 * "Did you mean": of the words that are offered, the first with the fewest
 * edits, in any case, that make it of what was written, when those are no more
 * than a third of its letters, rounded up.
 */
struct words_guess {
	struct slice written;
	const char *meant; /* one of the words; NULL: none is near */
	size_t edits;
};

/* written, and each word that is offered, is borrowed by the guess. */
void words_guess_init(struct words_guess *guess, struct slice written);
void words_guess_offer(struct words_guess *guess, const char *word);

#endif
