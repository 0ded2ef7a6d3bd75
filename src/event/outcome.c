/* SPDX-License-Identifier: ISC */
#include "event/outcome.h"

#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define BIT(n)       ((uint8_t)(1u << (n)))

enum { CLASS_MIN = 3, CLASS_MAX = 5 };

static const struct {
	struct slice word;
	enum outcome_failure failure;
} failures[] = {
    {SLICE_INIT("connect"), FAILURE_CONNECT},
    {SLICE_INIT("timeout"), FAILURE_TIMEOUT},
    {SLICE_INIT("answer"), FAILURE_ANSWER},
};

static const struct outcome_rules by_default = {
    .failures =
	BIT(FAILURE_CONNECT) | BIT(FAILURE_TIMEOUT) | BIT(FAILURE_ANSWER),
    .classes = BIT(5),
    .n_codes = 3,
    .codes = {408, 425, 429},
};

static bool
has_code(const struct outcome_rules *rules, uint64_t code)
{
	for (size_t i = 0; i < rules->n_codes; i++)
		if (rules->codes[i] == code)
			return true;
	return false;
}

static bool
add_code(struct outcome_rules *rules, uint64_t code)
{
	if (has_code(rules, code))
		return true;
	if (code / 100 < CLASS_MIN || rules->n_codes == OUTCOME_CODES_MAX)
		return false;
	rules->codes[rules->n_codes++] = (uint16_t)code;
	return true;
}

bool
outcome_rules_add(struct outcome_rules *rules, struct slice word)
{
	uint64_t code;

	rules->given = true;
	for (size_t i = 0; i < COUNT(failures); i++)
		if (slice_eq(word, failures[i].word)) {
			rules->failures |= BIT(failures[i].failure);
			return true;
		}
	if (word.len != 3)
		return false;
	if (slice_to_u64(word, CLASS_MAX * 100 + 99, &code) == 0)
		return add_code(rules, code);
	if (word.p[0] < '0' + CLASS_MIN || word.p[0] > '0' + CLASS_MAX ||
	    word.p[1] != 'x' || word.p[2] != 'x')
		return false;
	rules->classes |= BIT(word.p[0] - '0');
	return true;
}

const char *
outcome_rules_word(
    const struct outcome_rules *rules, size_t n, char text[OUTCOME_WORD_MAX])
{
	for (size_t i = CLASS_MIN; i <= CLASS_MAX; i++)
		if ((rules->classes & BIT(i)) != 0 && n-- == 0) {
			(void)snprintf(
			    text, OUTCOME_WORD_MAX, "%cxx", (char)('0' + i));
			return text;
		}
	if (n < rules->n_codes) {
		(void)snprintf(
		    text, OUTCOME_WORD_MAX, "%u", (unsigned)rules->codes[n]);
		return text;
	}
	n -= rules->n_codes;
	for (size_t i = 0; i < COUNT(failures); i++)
		if ((rules->failures & BIT(failures[i].failure)) != 0 &&
		    n-- == 0)
			return failures[i].word.p;
	return NULL;
}

enum outcome
outcome_classify(
    const struct outcome_rules *rules, enum outcome_failure failure, int code)
{
	bool again;

	if (failure == FAILURE_FOR_GOOD)
		return OUTCOME_REJECTED;
	if (failure == FAILURE_NONE && code >= 200 && code <= 299)
		return OUTCOME_DELIVERED;
	if (!rules->given)
		rules = &by_default;
	if (failure != FAILURE_NONE)
		again = (rules->failures & BIT(failure)) != 0;
	else
		again = code >= CLASS_MIN * 100 &&
			code <= CLASS_MAX * 100 + 99 &&
			((rules->classes & BIT(code / 100)) != 0 ||
			    has_code(rules, (uint64_t)code));
	return again ? OUTCOME_RETRY : OUTCOME_REJECTED;
}
