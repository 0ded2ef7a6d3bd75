/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_TZ_RULE_H
#define CASSATA_BASE_TZ_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Farther from UTC no zone may be (RFC 9636, 3.2). */
enum { TZ_OFFSET_MAX_S = 26 * 3600 };

/* A part of time in which a zone's offset is the same: [from_s, to_s), in
 * seconds since 1970-01-01 UTC; INT64_MIN and INT64_MAX for without an end. */
struct tz_span {
	int64_t from_s, to_s;
	int32_t offset_s; /* east of UTC */
};

/* A day of each year, and seconds from its begin by the time before it. */
struct tz_date {
	enum {
		TZ_DAY,          /* 0 to 365 */
		TZ_DAY_NOT_LEAP, /* 1 to 365, never February 29 */
		TZ_WEEKDAY,      /* the week'th day of a month; 5: the last */
	} kind;
	int month, week, day;
	int32_t time_s;
};

/* Standard time, and when it is changed to daylight saving and back. */
struct tz_rule {
	int32_t standard_s, daylight_s; /* offsets, east of UTC */
	bool changes;
	struct tz_date begin, end; /* of daylight saving */
};

/*
 * The TZ text of POSIX, as in the footer of a TZif file:
 * "CET-1CEST,M3.5.0,M10.5.0/3", with times of -167 to 167 hours (RFC 9636,
 * 3.3.1). A rule that says daylight saving has its dates. 0 or -1.
 */
int tz_rule_parse(struct slice text, struct tz_rule *rule);

/* Where utc_s is; from_s <= utc_s < to_s. Of years up to some 10^6. */
struct tz_span tz_rule_span(const struct tz_rule *rule, int64_t utc_s);

#endif
