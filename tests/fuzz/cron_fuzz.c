/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "event/cron.h"
#include "target.h"

enum { RUNS = 20 };

static bool
is_set(uint64_t set, int value)
{
	return (set >> value & 1) != 0;
}

/* What comes is later than what was before, and, unless clocks go over a time,
 * one of the expression. */
static void
check_one(const struct cron *cron, const struct tzif *tz, enum cron_gap gap,
    int64_t after_s, int64_t next_s)
{
	struct tz_span span = tzif_span(tz, next_s);
	struct civil c = civil_of_seconds(next_s + span.offset_s);
	bool fits = is_set(cron->seconds, c.second) &&
		    is_set(cron->minutes, c.minute) &&
		    is_set(cron->hours, c.hour) &&
		    is_set(cron->months, c.month);

	CHECK(next_s > after_s);
	CHECK(fits || (gap == CRON_AFTER && next_s == span.from_s));
	if (fits && gap == CRON_SKIP && !cron->follows_elapsed)
		CHECK(tzif_local(tz, next_s + span.offset_s).first_s == next_s);
}

static void
check_runs(const struct cron *cron, const struct tzif *tz, enum cron_gap gap,
    int64_t at_s)
{
	for (int i = 0; i < RUNS; i++) {
		int64_t next_s, again_s;

		if (!cron_next(cron, tz, gap, at_s, &next_s))
			return;
		check_one(cron, tz, gap, at_s, next_s);
		/* Nothing lies between the two. */
		if (next_s - 1 > at_s) {
			CHECK(cron_next(cron, tz, gap,
			    at_s + (next_s - at_s) / 2, &again_s));
			CHECK(again_s == next_s);
		}
		at_s = next_s;
	}
}

/* Two bytes: where to begin; the expression; NUL; a TZif file. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size < 2 ? NULL : memchr(data + 2, 0, size - 2);
	size_t len = nul == NULL ? 0 : (size_t)(nul - data) - 2;
	struct err err = {""};
	struct cron cron;
	struct tzif *tz;
	int64_t from_s;
	char *text;

	if (nul == NULL)
		return 0;
	text = malloc(len == 0 ? 1 : len);
	CHECK(text != NULL);
	memcpy(text, data + 2, len);
	if (cron_parse(slice_of(text, len), &cron, &err) == -1) {
		CHECK(err.text[0] != '\0');
		free(text);
		return 0;
	}
	free(text);
	tz = tzif_parse(slice_of((const char *)nul + 1, size - len - 3), &err);
	if (tz == NULL)
		return 0;
	/* From 1970 to 2149. */
	from_s = (data[0] << 8 | data[1]) * INT64_C(86400) - 1;
	check_runs(&cron, tz, CRON_SKIP, from_s);
	check_runs(&cron, tz, CRON_AFTER, from_s);
	tzif_free(&tz);
	return 0;
}
