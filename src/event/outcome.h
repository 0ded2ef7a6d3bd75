/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_OUTCOME_H
#define CASSATA_EVENT_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum outcome {
	OUTCOME_DELIVERED, /* 2xx: done */
	OUTCOME_RETRY,     /* may succeed later */
	OUTCOME_REJECTED,  /* will not succeed: 3xx, other 4xx, bad URL */
};

/* What an attempt failed of, when no whole response arrived. */
enum outcome_failure {
	FAILURE_NONE,
	FAILURE_CONNECT, /* no connection stood, for whatever reason */
	FAILURE_TIMEOUT, /* no answer in time */
	FAILURE_ANSWER,   /* it broke off, or was no HTTP */
	FAILURE_FOR_GOOD, /* the request could never be sent: its URL */
};

enum {
	OUTCOME_CODES_MAX = 16,
	OUTCOME_WORD_MAX = 8, /* bytes of a word of the rules, with NUL */
};

/* What is worth another try; all 0: the default. */
struct outcome_rules {
	bool given;
	uint8_t failures; /* bit 1 << enum outcome_failure */
	uint8_t classes;  /* bit 1 << N: every status Nxx */
	uint8_t n_codes;
	uint16_t codes[OUTCOME_CODES_MAX]; /* each 300 to 599 */
};

/*
 * Adds a word to the rules: "503", "4xx", "connect", "timeout", "answer". False
 * for another one, and for more than OUTCOME_CODES_MAX codes.
 */
bool outcome_rules_add(struct outcome_rules *rules, struct slice word);

/* The n-th word of the rules, from 0, as outcome_rules_add takes it; NULL
 * beyond the last one. */
const char *outcome_rules_word(
    const struct outcome_rules *rules, size_t n, char text[OUTCOME_WORD_MAX]);

/*
 * failure: FAILURE_NONE when a whole response arrived, whose status is code.
 * By default all but FAILURE_FOR_GOOD are worth another try, and 408, 425, 429
 * and 5xx (RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4). 2xx never is. Pure.
 */
enum outcome outcome_classify(
    const struct outcome_rules *rules, enum outcome_failure failure, int code);

#endif
