/* SPDX-License-Identifier: ISC */
#include "service/schedule_answer.h"

#include <stdio.h>

#include "base/rfc3339.h"
#include "service/event_member.h"
#include "store/schedule_times.h"

static void
write_time(struct json_writer *w, const struct tzif *tz, int64_t s)
{
	char text[RFC3339_TEXT];

	rfc3339_write(
	    s * 1000, tz == NULL ? 0 : tzif_span(tz, s).offset_s, text);
	json_string(w, NULL, text);
}

/* The run that waits, and those after it. */
static void
write_times(struct json_writer *w, const struct store_schedule *schedule,
    struct zones *zones)
{
	struct schedule_times times;
	int64_t list_s[SCHEDULE_TIMES] = {schedule->next_s};
	size_t max = SCHEDULE_TIMES, n = schedule->next_s != 0;
	struct err ignored;

	if (n > 0 && schedule_open(schedule, zones, &times, &ignored) == 0) {
		int64_t left = times.recur.count - schedule->runs;

		if (times.recur.count != 0 && left < SCHEDULE_TIMES)
			max = left > 1 ? (size_t)left : 1;
		n += recur_times(
		    &times.at, schedule->next_s, list_s + 1, max - 1);
	} else
		times.at.tz = NULL;
	json_array(w, "next");
	for (size_t i = 0; i < n; i++)
		write_time(w, times.at.tz, list_s[i]);
	json_end_array(w);
}

static void
write_last_run(struct json_writer *w, const struct store_schedule *schedule)
{
	char time[RFC3339_TEXT], id[EVENT_ID_MAX + 1];

	if (schedule->last_s == 0)
		return;
	rfc3339_write(schedule->last_s * 1000, 0, time);
	(void)snprintf(id, sizeof(id), "%.*s@%s", (int)schedule->name.len,
	    schedule->name.p, time);
	json_string(w, "last-run", id);
}

static void
write_template(
    struct json_writer *w, const struct store_schedule *schedule, bool whole)
{
	const struct store_record record = {.event = schedule->event};

	json_object(w, "event");
	for (unsigned m = MEMBER_URL; m < EVENT_MEMBERS; m++)
		if (whole || m == MEMBER_URL || m == MEMBER_METHOD)
			event_member_write(w, (enum event_member)m, &record);
	json_end_object(w);
}

void
schedule_answer_write(struct json_writer *w,
    const struct store_schedule *schedule, struct zones *zones, bool whole)
{
	json_text(w, "application-id", schedule->app);
	json_text(w, "schedule-id", schedule->name);
	json_string(w, "status",
	    schedule->paused        ? "PAUSED"
	    : schedule->next_s != 0 ? "ACTIVE"
				    : "ENDED");
	write_times(w, schedule, zones);
	json_seconds(w, "created", schedule->created_ms);
	json_number(w, "runs", schedule->runs);
	json_number(w, "skipped", schedule->skipped);
	write_last_run(w, schedule);
	json_raw(w, "schedule", schedule->spec);
	write_template(w, schedule, whole);
}
