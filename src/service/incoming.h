/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_INCOMING_H
#define CASSATA_SERVICE_INCOMING_H

#include "base/json_write.h"
#include "base/uuid.h"
#include "event/event.h"
#include "event/event_json.h"
#include "http/http_exchange.h"
#include "service/intake.h"

/* An event on its way into the datastore, by itself or one of many. */
struct incoming {
	struct event event;
	char made_id[UUID_TEXT_BYTES]; /* it had none */
	struct intake_item item;
};

/*
 * Makes what the datastore wants of an event that was read: its id, its time,
 * its key. 0, or -1 with the reason: for now it cannot be done.
 */
int incoming_prepare(struct incoming *incoming, const char **reason);

enum { INCOMING_UNDONE = 424 }; /* for another one's sake */

/*
 * Why the datastore did not take it, for the client, and the status of that or
 * its kind (service/problem.h); or NULL: it is there, and was made (201), is the
 * same, is what is to stay, or has taken the place of another (200).
 */
const char *incoming_refusal(const struct store_add *add, int *status);

/* The members of its answer: ids, status, expiry, what was replaced. */
void incoming_write(struct json_writer *w, const struct store_add *add);

/* The members of a conflict: ids, event-status. */
void incoming_write_conflict(
    struct json_writer *w, const struct store_add *add);

/* errors: what is wrong with which field. */
void incoming_write_errors(
    struct json_writer *w, const struct field_errors *errors);

/* 422 with all of them; detail: "the event has bad fields". */
enum verdict incoming_answer_errors(struct http_exchange *x, const char *detail,
    const struct field_errors *errors);

#endif
