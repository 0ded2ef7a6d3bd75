/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_CALLBACK_H
#define CASSATA_EVENT_EVENT_CALLBACK_H

#include "base/buf.h"
#include "event/event.h"

/*
 * What an event says of who is to be told of its end: "URL", or {"url": "URL",
 * "headers": {"Name": "value"}}; and the event that tells it. Pure.
 */
struct event_callback {
	struct slice url;
	struct slice headers; /* as of struct event */
};

enum {
	EVENT_CALLBACK_MAX = 12288, /* bytes of it, as it is written */
	/* Of an event made of it, beside eight times what is kept of an answer,
	 * and its head. */
	EVENT_CALLBACK_ROOM = 64 * 1024,
};

/* What is wrong with it: where, as the rest of an RFC 6901 pointer, and how. */
struct event_callback_error {
	char where[16]; /* "", "/url", "/headers" */
	char reason[160];
};

/*
 * Reads it, as a client or the datastore has it: JSON that json_scan accepted,
 * which is not changed. The texts come behind what is in *room, valid until
 * that changes. 0, or -1 with error; room->failed: for want of memory.
 */
int event_callback_read(struct slice json, struct buf *room,
    struct event_callback *callback, struct event_callback_error *error);

/* Whether it is one: 0, or -1 with error. Needs no memory. */
int event_callback_check(
    struct slice json, struct event_callback_error *error);

/* How an event ended. */
struct event_end {
	struct slice app, id;
	enum event_state state; /* EVENT_COMPLETED or EVENT_FAILED */
	unsigned attempts;
	int64_t expiry_ms, at_ms;
	int code;              /* of the last answer; 0: none */
	struct slice error;    /* "": none */
	struct slice headers;  /* of the answer, each with LF */
	struct slice response; /* first bytes of its body */
	bool cut;              /* there were more of them */
};

/*
 * Makes the event that tells of it, due at once, of what event_callback_read
 * reads; its texts are in *text, which is empty, and in end. Its id is that of
 * no other attempt of this event. 0, or -1 when it is damaged or, with
 * text->failed, there is no memory for it.
 */
int event_callback_make(struct slice json, const struct event_end *end,
    struct buf *text, struct event *ev);

/* In the place of an id that is taken: with that number behind it, or behind
 * its begin. */
void event_callback_other_id(
    struct slice id, int64_t number, char other[EVENT_ID_MAX + 1]);

#endif
