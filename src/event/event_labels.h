/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_LABELS_H
#define CASSATA_EVENT_EVENT_LABELS_H

#include "base/buf.h"
#include "base/json_scan.h"
#include "event/event.h"

enum {
	EVENT_LABELS_MAX = 8,
	EVENT_LABEL_NAME_MAX = 32,  /* bytes, 1 at least, of A-Za-z0-9._- */
	EVENT_LABEL_VALUE_MAX = 64, /* bytes of UTF-8 that stands in a line */
	/* Of their text: a value may be twice as long with its escapes. */
	EVENT_LABELS_TEXT_MAX =
	    2 + EVENT_LABELS_MAX *
		    (EVENT_LABEL_NAME_MAX + 2 * EVENT_LABEL_VALUE_MAX + 6),
};

/* What a client finds an event by: name=value. */
struct event_label {
	char name[EVENT_LABEL_NAME_MAX + 1];
	char value[EVENT_LABEL_VALUE_MAX];
	size_t value_len;
};

/* In the order of their names, which are distinct. */
struct event_labels {
	unsigned n;
	struct event_label list[EVENT_LABELS_MAX];
};

/* What is wrong: where, as the rest of an RFC 6901 pointer, and how. */
struct event_labels_error {
	char where[EVENT_LABEL_NAME_MAX + 2]; /* "", "/customer" */
	const char *reason;
};

/*
 * Reads {"customer": "42"}, as a client or the datastore has it. 0, or -1 with
 * error. The bytes of the value stay as they are.
 */
int event_labels_read(const struct json_value *value,
    struct event_labels *labels, struct event_labels_error *error);

/*
 * Changes labels as a merge patch says (RFC 7396): null removes one, or all in
 * their place. 0, or -1 with error for what is none, or would be too many.
 */
int event_labels_patch(const struct json_value *patch,
    struct event_labels *labels, struct event_labels_error *error);

/* So that event_labels_read reads the same; nothing where there are none. 0, or
 * -1 when out failed. */
int event_labels_write(struct buf *out, const struct event_labels *labels);

/* Those of a text as the datastore has it; none of one that is damaged. */
void event_labels_parse(struct slice text, struct event_labels *labels);

/* Reads "name=value" and puts it to the others; NULL, or what is wrong. */
const char *event_labels_add(struct event_labels *labels, struct slice text);

/* Whether all of some are among the labels. */
bool event_labels_have(
    const struct event_labels *labels, const struct event_labels *some);

/* What events of that application and label are indexed by. 0 or -1, as
 * event_key_make. */
int event_label_key(
    struct slice app, const struct event_label *label, struct event_key *key);

#endif
