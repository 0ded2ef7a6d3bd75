/* SPDX-License-Identifier: ISC */
#include "store/schedule_times.h"

#include "base/clock.h"
#include "event/recur_read.h"

int
schedule_recur(const struct store_schedule *schedule, struct recur *recur,
    struct err *err)
{
	struct recur_error error;
	struct json_value value;

	if (json_scan(schedule->spec, &value, err) == -1)
		return -1;
	if (recur_read(&value, recur, &error) == -1)
		return err_set(err, "%s %s", error.where, error.reason);
	return 0;
}

int
schedule_open(const struct store_schedule *schedule, struct zones *zones,
    struct schedule_times *times, struct err *err)
{
	if (schedule_recur(schedule, &times->recur, err) == -1)
		return -1;
	times->at = (struct recurring){
	    .recur = &times->recur, .since_s = schedule->since_s};
	if (times->recur.every_s != 0)
		return 0;
	if (zones == NULL)
		return err_set(err, "time zones are not known here");
	times->at.tz = zones_find(
	    zones, slice_from_string(times->recur.zone), clock_mono_ms(), err);
	return times->at.tz == NULL ? -1 : 0;
}
