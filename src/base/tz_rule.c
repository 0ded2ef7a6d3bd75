/* SPDX-License-Identifier: ISC */
#include "base/tz_rule.h"

#include "base/ascii.h"
#include "base/civil.h"

/* What is left of the text; p is NULL once something did not fit. */
struct rest {
	const char *p, *end;
};

static bool
next_is(const struct rest *r, char mark)
{
	return r->p != NULL && r->p < r->end && *r->p == mark;
}

static bool
rule_take(struct rest *r, char mark)
{
	if (!next_is(r, mark))
		return false;
	r->p++;
	return true;
}

static void
rule_expect(struct rest *r, char mark)
{
	if (!rule_take(r, mark))
		r->p = NULL;
}

static int
take_number(struct rest *r, int min, int max)
{
	const char *begin = r->p;
	int value = 0;

	while (r->p != NULL && r->p < r->end && is_digit(*r->p)) {
		value = value * 10 + (*r->p++ - '0');
		if (value > max)
			r->p = NULL;
	}
	if (r->p == begin || value < min)
		r->p = NULL;
	return value;
}

/* Letters, or what stands between < and >; three at least. */
static void
rule_skip_name(struct rest *r)
{
	bool quoted = rule_take(r, '<');
	int len = 0;

	for (; r->p != NULL && r->p < r->end; r->p++, len++)
		if (!(quoted ? is_alnum(*r->p) || *r->p == '+' || *r->p == '-'
			     : is_alnum(*r->p) && !is_digit(*r->p)))
			break;
	if (len < 3)
		r->p = NULL;
	if (quoted)
		rule_expect(r, '>');
}

/* [+-]hh[:mm[:ss]] */
static int32_t
take_time(struct rest *r, int hours_max)
{
	int sign = rule_take(r, '-') ? -1 : 1;
	int32_t s;

	if (sign == 1)
		(void)rule_take(r, '+');
	s = take_number(r, 0, hours_max) * 3600;
	if (rule_take(r, ':')) {
		s += take_number(r, 0, 59) * 60;
		if (rule_take(r, ':'))
			s += take_number(r, 0, 59);
	}
	return sign * s;
}

static struct tz_date
take_date(struct rest *r)
{
	struct tz_date date = {.kind = TZ_DAY, .time_s = 2 * 3600};

	rule_expect(r, ',');
	if (rule_take(r, 'M')) {
		date.kind = TZ_WEEKDAY;
		date.month = take_number(r, 1, 12);
		rule_expect(r, '.');
		date.week = take_number(r, 1, 5);
		rule_expect(r, '.');
		date.day = take_number(r, 0, 6);
	} else if (rule_take(r, 'J')) {
		date.kind = TZ_DAY_NOT_LEAP;
		date.day = take_number(r, 1, 365);
	} else {
		date.day = take_number(r, 0, 365);
	}
	if (rule_take(r, '/'))
		date.time_s = take_time(r, 167);
	return date;
}

int
tz_rule_parse(struct slice text, struct tz_rule *rule)
{
	struct rest r = {text.p, text.p + text.len};

	if (text.len == 0)
		return -1;
	*rule = (struct tz_rule){0};
	rule_skip_name(&r);
	rule->standard_s = -take_time(&r, 24);
	if (r.p != NULL && r.p < r.end) {
		rule->changes = true;
		rule_skip_name(&r);
		rule->daylight_s = rule->standard_s + 3600;
		if (r.p != NULL && !next_is(&r, ','))
			rule->daylight_s = -take_time(&r, 24);
		rule->begin = take_date(&r);
		rule->end = take_date(&r);
	}
	return r.p == r.end ? 0 : -1;
}

/* Days since 1970-01-01. */
static int64_t
day_of(const struct tz_date *date, int64_t year)
{
	int64_t first, day;

	switch (date->kind) {
	case TZ_DAY:
		return civil_days(year, 1, 1) + date->day;
	case TZ_DAY_NOT_LEAP:
		day = civil_days(year, 1, 1) + date->day - 1;
		return day +
		       (date->day >= 60 && civil_days_of_month(year, 2) == 29);
	case TZ_WEEKDAY:
		break;
	}
	first = civil_days(year, date->month, 1);
	day = (date->day - civil_weekday(first) + 7) % 7 + 7 * (date->week - 1);
	if (day >= civil_days_of_month(year, date->month))
		day -= 7;
	return first + day;
}

struct change {
	int64_t at_s;
	int32_t offset_s; /* from then on */
};

/* In order of time; of two at one time the later one counts. */
static void
put_change(struct change *list, int *n, struct change change)
{
	int i = (*n)++;

	for (; i > 0 && list[i - 1].at_s > change.at_s; i--)
		list[i] = list[i - 1];
	list[i] = change;
}

struct tz_span
tz_rule_span(const struct tz_rule *rule, int64_t utc_s)
{
	/* A change may be a week from its year. */
	enum { YEARS_ROUND = 2, CHANGES = 2 * (2 * YEARS_ROUND + 1) };
	struct change list[CHANGES] = {{0, 0}};
	int n = 0, i = 1;
	int64_t year = civil_of_seconds(utc_s).year;

	if (!rule->changes)
		return (struct tz_span){INT64_MIN, INT64_MAX, rule->standard_s};
	for (int64_t y = year - YEARS_ROUND; y <= year + YEARS_ROUND; y++) {
		/* Where daylight saving begins as it ends, it goes on. */
		put_change(list, &n,
		    (struct change){day_of(&rule->end, y) * DAY_S +
					rule->end.time_s - rule->daylight_s,
			rule->standard_s});
		put_change(list, &n,
		    (struct change){day_of(&rule->begin, y) * DAY_S +
					rule->begin.time_s - rule->standard_s,
			rule->daylight_s});
	}
	while (i < CHANGES - 1 && list[i].at_s <= utc_s)
		i++;
	return (struct tz_span){
	    list[i - 1].at_s, list[i].at_s, list[i - 1].offset_s};
}
