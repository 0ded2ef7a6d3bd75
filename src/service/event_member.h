/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_EVENT_MEMBER_H
#define CASSATA_SERVICE_EVENT_MEMBER_H

#include "base/json_write.h"
#include "store/store_types.h"

/* The members of an event in answers, in the order in which they are written.
 */
enum event_member {
	MEMBER_APP,
	MEMBER_ID,
	MEMBER_STATUS,
	MEMBER_EXPIRY,
	MEMBER_CREATED,
	MEMBER_ATTEMPTS,
	MEMBER_FIRST_ATTEMPT,
	MEMBER_NEXT_ATTEMPT,
	MEMBER_FINISHED,
	MEMBER_LAST_CODE,
	MEMBER_LAST_ERROR,
	MEMBER_URL,
	MEMBER_METHOD,
	MEMBER_HEADERS,
	MEMBER_AT_LOCAL,
	MEMBER_TIME_ZONE,
	MEMBER_NOT_AFTER,
	MEMBER_RETRY,
	MEMBER_ON_COMPLETE,
	MEMBER_ON_FAILURE,
	MEMBER_COMPLETE_BY,
	MEMBER_LABELS,
	MEMBER_EVENT,
	EVENT_MEMBERS, /* how many */
};

/* The member of that name, or EVENT_MEMBERS. */
enum event_member event_member_find(struct slice name);

/* Writes it, unless the event has none. */
void event_member_write(struct json_writer *w, enum event_member member,
    const struct store_record *record);

#endif
