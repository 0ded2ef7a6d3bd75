/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_LOCAL_H
#define CASSATA_EVENT_EVENT_LOCAL_H

#include <stdint.h>

#include "base/zones.h"
#include "event/event.h"

/*
 * Events that are due when the clocks on the walls of a time zone show a time.
 * Which moment that is, the time zone database says that is in force when it
 * comes, and governments change it at short notice. So it is asked three times:
 * when the event is added, a day before, and when it is due. A change that is
 * installed a day before is followed to the second; one that comes later can
 * still make an event wait, but not make it earlier than it is seen.
 */
enum { EVENT_LOCAL_LOOK_MS = 24 * 60 * 60 * 1000 };

/*
 * The moment, by the wall clock: of a time that clocks go over when they are
 * put forward that of the change, of one that comes twice the first. 0, or -1
 * with the reason in err when the zone is not there, or the moment is before
 * 1970 or after the year 9999. mono_ms as for zones_find.
 */
int event_local_moment(struct zones *zones, struct slice zone, int64_t local_s,
    int64_t mono_ms, int64_t *ms, struct err *err);

/* When an event that is due at expiry_ms is to be looked at next. */
int64_t event_local_look_ms(int64_t expiry_ms, int64_t now_ms);

/* Whether due_ms is such a look, and expiry_ms the time. */
bool event_local_is_look(int64_t due_ms, int64_t expiry_ms);

/* When a first attempt is due that a worker comes to at due_ms. */
int64_t event_local_attempt_ms(int64_t due_ms, int64_t expiry_ms);

/* event_resolve of EVENT_AT_LOCAL. */
int event_local_resolve(struct event *ev, struct zones *zones, int64_t now_ms,
    int64_t mono_ms, struct err *err);

#endif
