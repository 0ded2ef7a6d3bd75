/* SPDX-License-Identifier: ISC */
#include "base/rfc3339.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/ascii.h"
#include "base/civil.h"

/* What is left of the text; p is NULL once something did not fit. */
struct cursor {
	const char *p, *end;
};

static int
read_digits(struct cursor *c, int n)
{
	int value = 0;

	if (c->p == NULL || c->end - c->p < n) {
		c->p = NULL;
		return 0;
	}
	for (; n > 0; n--, c->p++) {
		if (!is_digit(*c->p)) {
			c->p = NULL;
			return 0;
		}
		value = value * 10 + (*c->p - '0');
	}
	return value;
}

static bool
take_mark(struct cursor *c, char mark)
{
	if (c->p == NULL || c->p == c->end || to_lower(*c->p) != mark)
		return false;
	c->p++;
	return true;
}

static void
expect_mark(struct cursor *c, char mark)
{
	if (!take_mark(c, mark))
		c->p = NULL;
}

/* time-secfrac, in milliseconds. */
static int
read_fraction(struct cursor *c)
{
	int ms = 0, scale = 100;

	if (!take_mark(c, '.'))
		return 0;
	ms = scale * read_digits(c, 1);
	while (c->p != NULL && c->p < c->end && is_digit(*c->p)) {
		scale /= 10;
		ms += scale * (*c->p++ - '0');
	}
	return ms;
}

/* time-offset, in minutes. */
static int
read_offset(struct cursor *c)
{
	int sign, hours, minutes;

	if (take_mark(c, 'z'))
		return 0;
	sign = take_mark(c, '-') ? -1 : 1;
	if (sign == 1)
		expect_mark(c, '+');
	hours = read_digits(c, 2);
	expect_mark(c, ':');
	minutes = read_digits(c, 2);
	if (hours > 23 || minutes > 59)
		c->p = NULL;
	return sign * (hours * 60 + minutes);
}

/* full-date, "T" and time of day without a fraction. */
static struct tm
read_civil(struct cursor *c)
{
	struct tm tm = {0};

	tm.tm_year = read_digits(c, 4) - 1900;
	expect_mark(c, '-');
	tm.tm_mon = read_digits(c, 2) - 1;
	expect_mark(c, '-');
	tm.tm_mday = read_digits(c, 2);
	expect_mark(c, 't');
	tm.tm_hour = read_digits(c, 2);
	expect_mark(c, ':');
	tm.tm_min = read_digits(c, 2);
	expect_mark(c, ':');
	tm.tm_sec = read_digits(c, 2);
	return tm;
}

static bool
is_civil(const struct tm *tm, int sec_max)
{
	return tm->tm_mon >= 0 && tm->tm_mon <= 11 && tm->tm_mday >= 1 &&
	       tm->tm_mday <=
		   civil_days_of_month(tm->tm_year + 1900, tm->tm_mon + 1) &&
	       tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= sec_max;
}

int
rfc3339_parse_local(struct slice text, int64_t *local_s)
{
	struct cursor c = {text.p, text.p + text.len};
	struct tm tm = read_civil(&c);

	if (c.p != c.end || !is_civil(&tm, 59))
		return -1;
	*local_s = timegm(&tm);
	return 0;
}

int
rfc3339_parse(struct slice text, int64_t *ms)
{
	struct cursor c = {text.p, text.p + text.len};
	struct tm tm = read_civil(&c);
	int fraction_ms = read_fraction(&c);
	int offset_min = read_offset(&c);
	int64_t seconds;
	bool leap; /* only where UTC may have one: at the end of a day */

	if (c.p != c.end || !is_civil(&tm, 60))
		return -1;
	leap = tm.tm_sec == 60;
	seconds = (int64_t)timegm(&tm) - (int64_t)offset_min * 60;
	if (leap && seconds % 86400 != 0)
		return -1;
	*ms = seconds * 1000 + fraction_ms;
	return 0;
}

void
rfc3339_write(int64_t ms, int32_t offset_s, char text[RFC3339_TEXT])
{
	int fraction_ms = (int)(ms % 1000 + (ms % 1000 < 0 ? 1000 : 0));
	int32_t east_s = offset_s % 60 == 0 ? offset_s : 0;
	struct civil c = civil_of_seconds((ms - fraction_ms) / 1000 + east_s);
	size_t n = (size_t)snprintf(text, RFC3339_TEXT,
	    "%04d-%02d-%02dT%02d:%02d:%02d", (int)c.year, c.month, c.day,
	    c.hour, c.minute, c.second);

	if (fraction_ms != 0)
		n += (size_t)snprintf(
		    text + n, RFC3339_TEXT - n, ".%03d", fraction_ms);
	if (east_s == 0)
		(void)snprintf(text + n, RFC3339_TEXT - n, "Z");
	else
		(void)snprintf(text + n, RFC3339_TEXT - n, "%c%02d:%02d",
		    east_s < 0 ? '-' : '+', abs(east_s) / 3600,
		    abs(east_s) / 60 % 60);
}
