/* SPDX-License-Identifier: ISC */
#include "base/civil.h"

#include <stdbool.h>

enum {
	YEARS = 400, /* after which the calendar is the same */
	DAYS_OF_YEARS = 146097,
	DAYS_TO_1970 = 719468, /* from 0000-03-01 */
};

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % YEARS == 0;
}

int
civil_days_of_month(int64_t year, int month)
{
	static const int days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * The year is counted from March, so that the leap day is its last. Then a
 * month begins (153 m + 2) / 5 days after the year does.
 */
int64_t
civil_days(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;
	int64_t era = floor_div(y, YEARS), of_era = y - era * YEARS;

	return era * DAYS_OF_YEARS + of_era * 365 + of_era / 4 - of_era / 100 +
	       (153 * m + 2) / 5 + day - 1 - DAYS_TO_1970;
}

int
civil_weekday(int64_t days)
{
	int64_t from_sunday = days + 4; /* 1970-01-01 was a Thursday */

	return (int)(from_sunday - floor_div(from_sunday, 7) * 7);
}

int64_t
civil_seconds(const struct civil *c)
{
	int64_t minutes = c->hour * INT64_C(60) + c->minute;

	return civil_days(c->year, c->month, c->day) * DAY_S + minutes * 60 +
	       c->second;
}

struct civil
civil_of_seconds(int64_t seconds)
{
	int64_t days = floor_div(seconds, DAY_S);
	int of_day = (int)(seconds - days * DAY_S);
	int64_t from_march = days + DAYS_TO_1970;
	int64_t era = floor_div(from_march, DAYS_OF_YEARS);
	int64_t d = from_march - era * DAYS_OF_YEARS;
	int64_t y = (d - d / 1460 + d / 36524 - d / (DAYS_OF_YEARS - 1)) / 365;
	int64_t m;

	d -= 365 * y + y / 4 - y / 100;
	m = (5 * d + 2) / 153;
	return (struct civil){
	    .year = era * YEARS + y + (m >= 10),
	    .month = (int)(m < 10 ? m + 3 : m - 9),
	    .day = (int)(d - (153 * m + 2) / 5 + 1),
	    .hour = of_day / 3600,
	    .minute = of_day / 60 % 60,
	    .second = of_day % 60,
	};
}
