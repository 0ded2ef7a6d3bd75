/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_SCHEDULE_JSON_H
#define CASSATA_EVENT_SCHEDULE_JSON_H

#include "event/event_json.h"

/* A schedule as a client says it. */
struct schedule_text {
	struct slice spec;  /* JSON of event/recur_read.h */
	struct event event; /* of each run, without id and time */
};

/* What it is read by beside its own text. */
struct schedule_context {
	const struct event_context *event; /* its zones, too */
	int64_t min_period_ms;
	int64_t now_s; /* it has a time after that */
};

/* {"schedule": …, "event": …}; as event_from_json. */
enum event_json_result schedule_from_json(char *body, size_t len,
    const struct schedule_context *context, struct buf *scratch,
    struct schedule_text *schedule, struct err *err,
    struct field_errors *errors);

#endif
