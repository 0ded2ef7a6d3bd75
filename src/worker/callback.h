/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_CALLBACK_H
#define CASSATA_WORKER_CALLBACK_H

#include <stdbool.h>

#include "base/buf.h"
#include "event/event_callback.h"

/* Of a delivery whose end somebody is to be told of: what is kept of its
 * answer, and the event that tells it. */
struct callback {
	struct buf headers, body; /* of the answer, their first bytes */
	bool cut;                 /* of its body there was more */
	struct buf text;          /* of the event: */
	struct event event;
};

/* Of head and body so many bytes are kept each. NULL when memory is short. */
struct callback *callback_create(size_t bytes_kept);
void callback_free(struct callback *callback);

/* A line of the answer's head; a status line begins another one. */
void callback_take_header(struct callback *callback, struct slice line);
void callback_take_body(struct callback *callback, struct slice bytes);

/*
 * Makes the event that tells of that end, to which the answer is added, as json
 * (see event_callback.h) asks for; it is there as long as the callback and the
 * end's texts. *event is NULL when json is damaged: nobody is told. 0, or -1
 * when memory is short.
 */
int callback_event(struct callback *callback, struct slice json,
    struct event_end *end, const struct event **event);

#endif
