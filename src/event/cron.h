/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_CRON_H
#define CASSATA_EVENT_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/tzif.h"

/*
 * A cron expression after OCPS 1.0: minute, hour, day of the month, month, day
 * of the week, in front of them perhaps a second (1.2), or one of @yearly,
 * @annually, @monthly, @weekly, @daily, @midnight and @hourly (1.1). Bit n of a
 * set is the value n.
 */
struct cron {
	uint64_t seconds, minutes, hours, days, months;
	uint64_t weekdays; /* 0 is Sunday */
	/* A field that is "*" does not count where the other is another: of two
	 * that do one is enough. */
	bool any_day, any_weekday;
	/* An hour that is "*": no time of day, but one after the other as time
	 * elapses, through each change of the clocks. */
	bool follows_elapsed;
	/* A field has a step of more than its values, and the first of them
	 * alone: nobody means that, but there are some in datastores. */
	bool oversteps;
};

/* What becomes of a time of day that clocks go over. */
enum cron_gap {
	CRON_SKIP,  /* it does not come that day */
	CRON_AFTER, /* it comes as they do; once, however many they are */
};

enum { CRON_TEXT_MAX = 1000 }; /* bytes */

/* Fields are parted by blanks. 0, or -1 with what is wrong. */
int cron_parse(struct slice text, struct cron *cron, struct err *err);

/*
 * The first time after after_s (UTC, from the year 0 to 9999): true and
 * *next_s > after_s. False where there is none within CRON_YEARS: the 30th of
 * February. A local time that comes twice counts as it comes first, unless the
 * expression follows elapsed time.
 */
enum { CRON_YEARS = 30 };

bool cron_next(const struct cron *cron, const struct tzif *tz,
    enum cron_gap gap, int64_t after_s, int64_t *next_s);

#endif
