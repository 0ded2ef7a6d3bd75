/* SPDX-License-Identifier: ISC */
#include "event/cron.h"

#include "base/ascii.h"
#include "base/civil.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- reading ---- */

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may",
    "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {
    "sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* In their order in the text. */
enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field {
	const char *what;
	int min, max;
	const char *const *names; /* of min and on */
	int n_names;
} fields[FIELDS] = {
    [SECOND] = {"second", 0, 59, NULL, 0},
    [MINUTE] = {"minute", 0, 59, NULL, 0},
    [HOUR] = {"hour", 0, 23, NULL, 0},
    [DAY] = {"day of the month", 1, 31, NULL, 0},
    [MONTH] = {"month", 1, 12, month_names, COUNT(month_names)},
    [WEEKDAY] = {"day of the week", 0, 7, weekday_names, COUNT(weekday_names)},
};

/* Bits from first to last, each step'th; 0 <= first <= last < 64. */
static uint64_t
bits(int first, int last, int step)
{
	uint64_t set = 0;

	for (int i = first; i <= last; i += step)
		set |= UINT64_C(1) << i;
	return set;
}

static bool
take_char(struct slice *rest, char c)
{
	if (rest->len == 0 || rest->p[0] != c)
		return false;
	*rest = slice_of(rest->p + 1, rest->len - 1);
	return true;
}

/* A number of up to two digits: -1 when there is none. */
static int
take_two_digits(struct slice *rest)
{
	int value = -1;

	for (int i = 0; i < 2 && rest->len > 0 && is_digit(rest->p[0]); i++) {
		value = (value == -1 ? 0 : value * 10) + (rest->p[0] - '0');
		*rest = slice_of(rest->p + 1, rest->len - 1);
	}
	return value;
}

/* A number or a name, or -1. */
static int
take_value(struct slice *rest, const struct field *field)
{
	int value;

	for (int i = 0; i < field->n_names && rest->len >= 3; i++)
		if (slice_ieq(slice_of(rest->p, 3),
			slice_from_string(field->names[i]))) {
			*rest = slice_of(rest->p + 3, rest->len - 3);
			return field->min + i;
		}
	value = take_two_digits(rest);
	return value < field->min || value > field->max ? -1 : value;
}

/* The end of a range: "fri-sun" ends with day 7, as "5-7". */
static int
take_last(struct slice *rest, const struct field *field, int first)
{
	bool named = rest->len > 0 && !is_digit(rest->p[0]);
	int last = take_value(rest, field);

	return named && last == 0 && first > 0 ? field->max : last;
}

/* "*", "5", "1-5", each perhaps with a step, but for a single value. */
static int
take_item(struct slice *rest, const struct field *field, uint64_t *set,
    bool *oversteps)
{
	int first = field->min, last = field->max, step = 1;
	bool single = false;

	if (!take_char(rest, '*')) {
		first = last = take_value(rest, field);
		single = !take_char(rest, '-');
		if (!single)
			last = take_last(rest, field, first);
	}
	if (!single && take_char(rest, '/'))
		step = take_two_digits(rest);
	if (first == -1 || last < first || step < 1)
		return -1;
	*set |= bits(first, last, step);
	*oversteps |= step > field->max - field->min + 1;
	return 0;
}

static int
read_field(struct slice text, const struct field *field, uint64_t *set,
    bool *oversteps, struct err *err)
{
	struct slice rest = text;

	*set = 0;
	do {
		if (take_item(&rest, field, set, oversteps) == -1)
			return err_set(err,
			    "the %s \"%.*s\" has no value, or range, from %d "
			    "to %d",
			    field->what, (int)text.len, text.p, field->min,
			    field->max);
	} while (take_char(&rest, ','));
	if (rest.len > 0)
		return err_set(err, "the %s \"%.*s\" cannot be read",
		    field->what, (int)text.len, text.p);
	return 0;
}

static struct slice
expand_nickname(struct slice text)
{
	static const struct {
		struct slice name, meaning;
	} nicknames[] = {
	    {SLICE_INIT("@yearly"), SLICE_INIT("0 0 1 1 *")},
	    {SLICE_INIT("@annually"), SLICE_INIT("0 0 1 1 *")},
	    {SLICE_INIT("@monthly"), SLICE_INIT("0 0 1 * *")},
	    {SLICE_INIT("@weekly"), SLICE_INIT("0 0 * * 0")},
	    {SLICE_INIT("@daily"), SLICE_INIT("0 0 * * *")},
	    {SLICE_INIT("@midnight"), SLICE_INIT("0 0 * * *")},
	    {SLICE_INIT("@hourly"), SLICE_INIT("0 * * * *")},
	};

	for (size_t i = 0; i < COUNT(nicknames); i++)
		if (slice_ieq(text, nicknames[i].name))
			return nicknames[i].meaning;
	return text;
}

/* Up to FIELDS words; how many there are, or FIELDS + 1. */
static int
split(struct slice text, struct slice words[FIELDS])
{
	int n = 0;

	for (;;) {
		struct slice word = {text.p, 0};

		while (word.len < text.len && !is_blank(text.p[word.len]))
			word.len++;
		if (n == FIELDS)
			return n + 1;
		words[n++] = word;
		if (word.len == text.len)
			return n;
		text = slice_trim(
		    slice_of(text.p + word.len, text.len - word.len));
	}
}

int
cron_parse(struct slice text, struct cron *cron, struct err *err)
{
	struct slice words[FIELDS] = {{NULL, 0}}, *word = words;
	uint64_t *const sets[FIELDS] = {&cron->seconds, &cron->minutes,
	    &cron->hours, &cron->days, &cron->months, &cron->weekdays};
	int n;

	*cron = (struct cron){.seconds = 1};
	if (text.len > CRON_TEXT_MAX)
		return err_set(err, "more than %d bytes", CRON_TEXT_MAX);
	if (slice_ieq(slice_trim(text), SLICE_LITERAL("@reboot")))
		return err_set(err, "@reboot is no time: a schedule goes on "
				    "over restarts");
	n = split(expand_nickname(slice_trim(text)), words);
	if (n < FIELDS - 1 || n > FIELDS)
		return err_set(err,
		    "must be five fields (minute, hour, day, month, day of the "
		    "week), six with a second in front, or @yearly, @monthly, "
		    "@weekly, @daily or @hourly");
	for (int i = FIELDS - n; i < FIELDS; i++)
		if (read_field(*word++, &fields[i], sets[i], &cron->oversteps,
			err) == -1)
			return -1;
	word = words + n;
	cron->any_weekday = slice_eq(word[-1], SLICE_LITERAL("*"));
	cron->any_day = slice_eq(word[-3], SLICE_LITERAL("*"));
	cron->follows_elapsed = slice_eq(word[-4], SLICE_LITERAL("*"));
	/* Sunday is 0 and 7. */
	cron->weekdays = (cron->weekdays | cron->weekdays >> 7) & 0x7f;
	return 0;
}

/* ---- the next one ---- */

static bool
has(uint64_t set, int value)
{
	return (set >> value & 1) != 0;
}

static bool
is_day(const struct cron *cron, const struct civil *c)
{
	bool day = has(cron->days, c->day);
	bool weekday = has(cron->weekdays,
	    civil_weekday(civil_days(c->year, c->month, c->day)));

	if (cron->any_day || cron->any_weekday)
		return day && weekday;
	return day || weekday;
}

/* The first value of the set that is not below *value; false: none. */
static bool
advance_to(uint64_t set, int *value)
{
	uint64_t rest = set >> *value;

	if (rest == 0)
		return false;
	*value += __builtin_ctzll(rest);
	return true;
}

/*
 * The first second of that day, from the time in c on, that fits. False: there
 * is none.
 */
static bool
fit_time(const struct cron *cron, struct civil *c)
{
	int hour = c->hour, minute = c->minute;

	if (c->second > 59 || !advance_to(cron->seconds, &c->second)) {
		minute++;
		c->second = __builtin_ctzll(cron->seconds);
	}
	if (minute > 59 || !advance_to(cron->minutes, &minute)) {
		hour++;
		minute = __builtin_ctzll(cron->minutes);
	}
	if (hour > 23 || !advance_to(cron->hours, &hour))
		return false;
	/* A later minute or hour begins with its first ones. */
	if (hour != c->hour)
		minute = __builtin_ctzll(cron->minutes);
	if (hour != c->hour || minute != c->minute)
		c->second = __builtin_ctzll(cron->seconds);
	c->hour = hour;
	c->minute = minute;
	return true;
}

/* The first local time from from_s to before to_s; to_s for none. */
static int64_t
match(const struct cron *cron, int64_t from_s, int64_t to_s)
{
	while (from_s < to_s) {
		struct civil c = civil_of_seconds(from_s);
		int64_t days = civil_days(c.year, c.month, c.day);

		if (!has(cron->months, c.month)) {
			days += civil_days_of_month(c.year, c.month) - c.day;
		} else if (is_day(cron, &c) && fit_time(cron, &c)) {
			from_s = civil_seconds(&c);
			return from_s < to_s ? from_s : to_s;
		}
		from_s = (days + 1) * DAY_S;
	}
	return to_s;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * The first one in the span from from_s on, or the span's end. A time of day
 * that was there before counts no more: all up to the end of that span are such
 * ones.
 */
static int64_t
next_in_span(const struct cron *cron, const struct tzif *tz,
    const struct tz_span *span, int64_t from_s)
{
	int64_t to_s = span->to_s + span->offset_s;
	int64_t local_s = from_s + span->offset_s;

	while ((local_s = match(cron, local_s, to_s)) < to_s) {
		int64_t utc_s = local_s - span->offset_s, first_s;
		struct tz_span first;

		if (cron->follows_elapsed)
			return utc_s;
		first_s = tzif_local(tz, local_s).first_s;
		if (first_s == utc_s)
			return utc_s;
		first = tzif_span(tz, first_s);
		local_s = earlier(first.to_s + first.offset_s, to_s);
	}
	return span->to_s;
}

/* Whether a time of day is in the gap, if there is one, where a span ends. */
static bool
is_in_gap(const struct cron *cron, const struct tzif *tz,
    const struct tz_span *before, const struct tz_span *after)
{
	int64_t local_s = before->to_s + before->offset_s;
	int64_t to_s = after->from_s + after->offset_s;

	while ((local_s = match(cron, local_s, to_s)) < to_s)
		if (tzif_local(tz, local_s++).fit == TZ_GAP)
			return true;
	return false;
}

bool
cron_next(const struct cron *cron, const struct tzif *tz, enum cron_gap gap,
    int64_t after_s, int64_t *next_s)
{
	/* Leap days, on a weekday or not, are at most eight years apart. */
	int64_t end_s = after_s + CRON_YEARS * INT64_C(366) * DAY_S;
	struct tz_span span = tzif_span(tz, after_s), before;

	for (*next_s = after_s + 1; *next_s < end_s;) {
		struct tz_span part = span;

		part.to_s = earlier(span.to_s, end_s);
		*next_s = next_in_span(cron, tz, &part, *next_s);
		if (*next_s < part.to_s)
			return true;
		if (part.to_s == end_s)
			break;
		before = span;
		span = tzif_span(tz, before.to_s);
		if (gap == CRON_AFTER && !cron->follows_elapsed &&
		    is_in_gap(cron, tz, &before, &span)) {
			*next_s = span.from_s;
			return true;
		}
	}
	return false;
}
