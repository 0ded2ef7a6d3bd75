/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_OPTIONS_H
#define CASSATA_EVENT_EVENT_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "event/event_retry.h"

enum {
	EVENT_OPTIONS_MAX = 32768, /* bytes of their text */
	EVENT_FORGIVEN_MAX = 1000000,
	EVENT_ACK_KEY_LEN = 32, /* hexadecimal digits */
};

/*
 * What an event has beside its request, and who reads its row alone needs to
 * know; all 0 where it has none. The text is a JSON object, or "" for none.
 */
struct event_options {
	unsigned forgiven;    /* of the attempts, that retries do not count */
	int64_t not_after_ms; /* not delivered later; wall clock; 0: ever */
	struct event_retry retry;
	/* Due when wall clocks of the zone show local_s, see base/tzif.h; zone
	 * is empty where the time is a moment. */
	int64_t local_s;
	struct slice zone;
	struct slice labels; /* their text, see event_labels.h; "" for none */
	/* A run of a schedule: of which row, and for which time, s; 0: none.
	 * exact: it is not claimed before that. */
	int64_t schedule, run_s;
	bool exact;
	/* Who is told of its end, as it is written: see event_callback.h; empty
	 * for nobody. */
	struct slice on_complete, on_failure;
	/* How long after a 202 its receiver may end an attempt; 0: it is over
	 * then. What the tokens for that are made with: see ack_token.h; empty
	 * as long as it was not drawn. */
	int64_t complete_by_ms;
	struct slice ack_key;
};

/*
 * Reads the text of an event. What a newer version wrote is passed over; a
 * known member that is no such value, or no JSON, is -1 with the reason: the
 * text may come from a datastore, and nothing is believed. Texts borrow from
 * it.
 */
int event_options_parse(
    struct slice text, struct event_options *options, struct err *err);

/*
 * Appends the text of the options to out: nothing, where all are 0. Members of
 * before, the text that they were read from or "", that are not known are kept.
 * 0, or -1 when out has no room or before is no such text.
 */
int event_options_write(
    struct buf *out, const struct event_options *options, struct slice before);

/*
 * Draws the key of an event that is to have one, in the text that
 * event_options_write has made: it is no part of what the event was added with,
 * so its fingerprint is made before. 0, or -1 for want of random bytes.
 */
int event_options_draw_key(struct slice text);

#endif
