/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_JSON_H
#define CASSATA_EVENT_EVENT_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/zones.h"
#include "event/event.h"
#include "event/event_options.h"
#include "event/event_patch.h"
#include "event/field_errors.h"

/* Of *scratch: headers and options, which are never longer than the body by
 * more than a few bytes. */
enum { EVENT_SCRATCH_MAX = EVENT_HEADER_BYTES_MAX + EVENT_OPTIONS_MAX };

enum event_json_result {
	EVENT_JSON_OK,
	EVENT_JSON_MALFORMED, /* no JSON: reason in err */
	EVENT_JSON_INVALID,   /* JSON, but no valid event: fields in errors */
};

/* What an event is read by beside its own text. */
struct event_context {
	const struct event_retry_limits *retry_limits; /* of the operator's */
	struct zones *zones; /* NULL: no event of local time */
	bool has_acks; /* receivers can be told where to send them */
	bool of_schedule;    /* it has no ids and no time of its own */
};

/* What is wrong with the characters of an id, for the client, or NULL. */
const char *event_id_refusal(struct slice id);

/*
 * Reads the body of an add request (doc/api.md, "The event").
 * body is overwritten where strings have escapes; the event's slices point into
 * it, and its headers and options into *scratch, which is reset first: both
 * must live as long as the event. An event without an id has none yet, and its
 * time is as it was given (event_resolve) unless that is a local one.
 */
enum event_json_result event_from_json(char *body, size_t len,
    const struct event_context *context, struct buf *scratch, struct event *ev,
    struct err *err, struct field_errors *errors);

/* The same of a change; the time of values is as it was given, too. */
enum event_json_result event_patch_from_json(char *body, size_t len,
    const struct event_context *context, struct buf *scratch,
    struct event_patch *patch, struct err *err, struct field_errors *errors);

#endif
