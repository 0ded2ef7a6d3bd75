/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_PATCH_H
#define CASSATA_EVENT_EVENT_PATCH_H

#include "base/buf.h"
#include "base/json_scan.h"
#include "event/event.h"
#include "event/event_options.h"

enum { EVENT_PATCH_MEMBERS_MAX = 64 }; /* of an object of a patch */

/*
 * What of an event is to change (JSON Merge Patch, RFC 7396): those members of
 * values that are set. A body that is an object is merged into the one that is
 * there, where that is one, too; anything else takes its place. So are labels,
 * which are in the options of the event: by who has these.
 */
struct event_patch {
	struct event values;
	bool has_time, has_zone, has_url, has_method, has_headers, has_body;
	bool has_on_complete, has_on_failure;
	struct slice on_complete, on_failure; /* as of the options; "": none */
	struct json_value body; /* as it was written, unless it is a string */
	bool has_retry, has_not_after, has_labels;
	struct event_retry retry; /* all 0: none of its own */
	int64_t not_after_ms;     /* 0: ever */
	struct json_value labels; /* for event_labels_patch */
};

/* Whether anything of the event's options is to change. */
bool event_patch_has_options(const struct event_patch *patch);

/* The options as they are to be, but for labels. A time that is given takes the
 * place of a local one, and is a moment, too, unless has_look: the event is
 * looked at before it is due. */
void event_patch_options(const struct event_patch *patch, bool has_look,
    struct event_options *options);

/* When the datastore is to have it first, of a patch with a time. */
int64_t event_patch_due_ms(const struct event_patch *patch, bool has_look);

/*
 * The event as it is to be: *ev is the present one, and then the other. A body
 * that is merged comes into *body, which is empty. 0, or -1 when that has no
 * room for it.
 */
int event_patch_apply(
    const struct event_patch *patch, struct event *ev, struct buf *body);

#endif
