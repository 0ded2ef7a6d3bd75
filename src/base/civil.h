/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_CIVIL_H
#define CASSATA_BASE_CIVIL_H

#include <stdint.h>

enum { DAY_S = 86400 };

/* A date and a time of day of the Gregorian calendar, in whatever zone. */
struct civil {
	int64_t year;
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
	int hour, minute, second;
};

/* Of years up to some 10^9 of either sign. */
int civil_days_of_month(int64_t year, int month);

/* Days since 1970-01-01. */
int64_t civil_days(int64_t year, int month, int day);

/* 0 is Sunday, of days since 1970-01-01. */
int civil_weekday(int64_t days);

/* Seconds since 1970-01-01 00:00, and back; no field is checked. */
int64_t civil_seconds(const struct civil *c);
struct civil civil_of_seconds(int64_t seconds);

#endif
