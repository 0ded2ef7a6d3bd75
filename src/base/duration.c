/* SPDX-License-Identifier: ISC */
#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/ascii.h"

static const struct {
	struct slice name;
	int64_t ms;
} units[] = {
    {SLICE_INIT("ms"), 1},
    {SLICE_INIT("s"), 1000},
    {SLICE_INIT("m"), 60000},
    {SLICE_INIT("h"), 3600000},
    {SLICE_INIT("d"), 86400000},
};

int
duration_parse(struct slice text, int64_t max_ms, int64_t *ms)
{
	struct slice number = {text.p, 0}, unit;
	uint64_t value;

	while (number.len < text.len && is_digit(text.p[number.len]))
		number.len++;
	unit = slice_of(text.p + number.len, text.len - number.len);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!slice_eq(unit, units[i].name))
			continue;
		if (slice_to_u64(
			number, (uint64_t)(max_ms / units[i].ms), &value) == -1)
			return -1;
		*ms = (int64_t)value * units[i].ms;
		return 0;
	}
	return -1;
}

void
duration_write(int64_t ms, char text[DURATION_TEXT])
{
	size_t i = sizeof(units) / sizeof(units[0]) - 1;

	while (ms % units[i].ms != 0 || (ms == 0 && i > 1))
		i--;
	(void)snprintf(text, DURATION_TEXT, "%" PRId64 "%s", ms / units[i].ms,
	    units[i].name.p);
}
