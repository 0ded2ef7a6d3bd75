/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_H
#define CASSATA_EVENT_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
	EVENT_APP_MAX = 100,  /* bytes */
	EVENT_ID_MAX = 255,   /* bytes */
	EVENT_URL_MAX = 8192, /* bytes */
	EVENT_HEADERS_MAX = 64,
	EVENT_HEADER_BYTES_MAX = 16384,     /* all together, as kept */
	EVENT_METHOD_MAX = 16,              /* bytes */
	EVENT_BODY_MAX = 256 * 1024 * 1024, /* bytes; maxBodyBytes is less */
	EVENT_KEY_BYTES = 16,
	EVENT_SHARDS = 64, /* fits the bits of a uint64_t */
};

/*
 * What a client sees. PENDING, SERVICE_UNAVAILABLE and AWAITING are the same in
 * the datastore (all wait for their time); the last attempt tells them apart.
 */
enum event_state {
	EVENT_PENDING,
	EVENT_PROCESSING,
	EVENT_COMPLETED,
	EVENT_FAILED,
	EVENT_SERVICE_UNAVAILABLE,
	EVENT_AWAITING,
	EVENT_DELETED, /* only in the answer to a delete */
};

/* "PENDING", …; static text. */
const char *event_state_name(enum event_state state);

enum event_time {
	EVENT_AT,       /* expiry */
	EVENT_IN,       /* in */
	EVENT_AT_LOCAL, /* at-local, in a time zone: of options */
	EVENT_OF_SCHEDULE, /* expiry_ms, and wanted at look_ms: of options */
};

/* What the add of one does where another has its ids and is not the same. */
enum event_on_conflict {
	ON_CONFLICT_REJECT,
	ON_CONFLICT_IGNORE,   /* leaves that as it is */
	ON_CONFLICT_REPLACE,  /* takes its place, unless it is under way */
	ON_CONFLICT_DEBOUNCE, /* the same, also with the same content: "in" from
				 now on */
};

/*
 * An HTTP request due at a time, as accepted. All bytes are borrowed from the
 * buffer that the event was read into.
 */
struct event {
	struct slice app;     /* 1 to EVENT_APP_MAX bytes */
	struct slice id;      /* 1 to EVENT_ID_MAX bytes, or p is NULL: none */
	struct slice method;  /* "POST", … */
	struct slice url;     /* http or https */
	struct slice headers; /* each "Name: value" followed by LF */
	struct slice body;    /* the bytes to deliver */
	struct slice options; /* text of event_options.h, "" for none */
	struct slice zone;    /* EVENT_AT_LOCAL, until it is resolved */
	bool body_is_text; /* the client gave a JSON string, body is its text */
	int64_t expiry_ms; /* wall clock */
	/* How a client gave the time of one that is to be added; unless it was
	 * EVENT_AT there is no expiry_ms before event_resolve. */
	enum event_time time;
	int64_t in_ms;   /* EVENT_IN: from the add */
	int64_t local_s; /* EVENT_AT_LOCAL: see base/tzif.h */
	int64_t look_ms; /* the same, resolved: see event_due_ms */
	/* Of the add, not of the event. */
	enum event_on_conflict on_conflict;
	int64_t debounce_max_ms; /* after the first add it is due; 0: any */
	unsigned n_labels;       /* in options, of one that is to be added */
};

/* Whether both are the same request at the same time, of the same settings. */
bool event_is_same(const struct event *a, const struct event *b);

/* When the datastore is to have it first: at its time, or a while before, to
 * see whether that is still its time. */
int64_t event_due_ms(const struct event *ev);

/* Makes expiry_ms of an event that is added now, by the wall clock; not of
 * EVENT_AT_LOCAL, see event_local.h. */
void event_resolve(struct event *ev, int64_t now_ms);

/* Whether it may take the place of another one. */
bool event_replaces(const struct event *ev);

/*
 * The key that events are found and deduplicated by: the first 16 bytes of
 * SHA-256 over application-id, NUL, event-id.
 */
struct event_key {
	uint8_t bytes[EVENT_KEY_BYTES];
};

/* SHA-256 from libcrypto, which fails only without memory: 0 or -1. */
int event_key_make(struct slice app, struct slice id, struct event_key *key);

/*
 * 16 bytes of SHA-256 over everything else in the event (each field with its
 * length), to tell a repeated request from another one with the same ids. Of
 * its time it has what the client gave, which is the same at each repeat. It
 * stays what it was of an event without options.
 */
int event_fingerprint(const struct event *ev, uint8_t out[EVENT_KEY_BYTES]);

#endif
