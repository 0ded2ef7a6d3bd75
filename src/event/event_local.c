/* SPDX-License-Identifier: ISC */
#include "event/event_local.h"

/* Seconds of the year 10000. */
#define TIME_MAX_S INT64_C(253402300800)

int
event_local_moment(struct zones *zones, struct slice zone, int64_t local_s,
    int64_t mono_ms, int64_t *ms, struct err *err)
{
	const struct tzif *tz = zones_find(zones, zone, mono_ms, err);
	int64_t s;

	if (tz == NULL)
		return -1;
	s = tzif_local(tz, local_s).first_s;
	if (s < 0 || s >= TIME_MAX_S)
		return err_set(err, "is not between the years 1970 and 9999");
	*ms = s * 1000;
	return 0;
}

int64_t
event_local_look_ms(int64_t expiry_ms, int64_t now_ms)
{
	int64_t look_ms = expiry_ms - EVENT_LOCAL_LOOK_MS;

	return look_ms > now_ms ? look_ms : expiry_ms;
}

bool
event_local_is_look(int64_t due_ms, int64_t expiry_ms)
{
	return due_ms == expiry_ms - EVENT_LOCAL_LOOK_MS;
}

int64_t
event_local_attempt_ms(int64_t due_ms, int64_t expiry_ms)
{
	return event_local_is_look(due_ms, expiry_ms) ? expiry_ms : due_ms;
}

int
event_local_resolve(struct event *ev, struct zones *zones, int64_t now_ms,
    int64_t mono_ms, struct err *err)
{
	if (event_local_moment(zones, ev->zone, ev->local_s, mono_ms,
		&ev->expiry_ms, err) == -1)
		return -1;
	ev->look_ms = event_local_look_ms(ev->expiry_ms, now_ms);
	return 0;
}
