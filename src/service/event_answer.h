/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_EVENT_ANSWER_H
#define CASSATA_SERVICE_EVENT_ANSWER_H

#include <stdbool.h>

#include "base/json_write.h"
#include "event/event_json.h"
#include "service/call.h"

/* What the answers about an event have in common. */

/*
 * The ids from the first two parameters, with their key. False for what no
 * event can have, and where no key can be made: it is unknown.
 */
bool event_answer_take_ids(struct call *call);

/* Whether an application may have that name. */
bool event_answer_may_be_app(struct slice app);

/* {"application-id":…,"event-id":…,"status":…: what all begin with. */
struct json_writer event_answer_begin(
    struct call *call, int status, enum event_state state);
void event_answer_end(struct call *call, struct json_writer *w);

enum { EVENT_ANSWER_PATH_MAX = 3 * (EVENT_APP_MAX + EVENT_ID_MAX) + 32 };

/*
 * Answers as Location where the event of that id of call->app is found, which
 * is appended to path, an empty one; no Location where path fails.
 */
void event_answer_location(
    struct call *call, struct slice id, struct buf *path);

/* 404 */
enum verdict event_answer_unknown(struct call *call);

/* 409 of a kind (service/problem.h): in this state it cannot be done. */
enum verdict event_answer_conflict(
    struct call *call, int kind, enum event_state state, const char *detail);

#endif
