/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DELIVERY_H
#define CASSATA_WORKER_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "event/event_options.h"
#include "event/retry.h"
#include "store/store.h"
#include "worker/callback.h"
#include "worker/dbclock.h"
#include "worker/share.h"
#include "worker/transport.h"

enum delivery_state {
	DELIVERY_READY,  /* in the heap until its millisecond and a slot */
	DELIVERY_QUEUED, /* a share that it needs is at its cap */
	DELIVERY_ON_WIRE,
	DELIVERY_FINISHED, /* result not yet in the datastore */
};

struct delivery_policy;

/* One attempt of one event: from the claim to the written result. */
struct delivery {
	struct store_claim *claim; /* owned; NULL for a stray row */
	enum delivery_state state;
	/* Whose slots it takes; referred to. */
	struct share *app, *host, *address;
	struct share *busy; /* why it was not connected, or NULL */
	uint64_t epoch;     /* of the worker, when it was claimed */
	int64_t started_ms; /* monotonic */
	int wire;           /* its place among those on the wire */
	struct transfer *transfer;
	struct curl_slist *headers;
	struct event_options options;
	bool refused;              /* not to be sent: see error */
	bool own_connection;       /* it is authenticated by this request */
	struct buf response;       /* first bytes of a refusal */
	size_t n_read;             /* bytes of the response body */
	struct callback *callback; /* owned; NULL: nobody is told of its end */
	char error[256];
	bool wants; /* released for want of descriptors, memory…: see error */
	struct store_result result;
	TAILQ_ENTRY(delivery) entry;  /* all that a worker holds */
	STAILQ_ENTRY(delivery) queue; /* of results */
	struct share_entry waiting;   /* for its share */
	const struct delivery_policy *policy;
};

/* What all deliveries of a worker have in common. */
struct delivery_policy {
	struct transport *transport;
	const struct retry_policy *retry;
	size_t max_response_bytes;
	size_t response_bytes_kept;
	size_t callback_bytes; /* kept for who is told of an end */
	bool log_success;
	const char *public_url; /* of our own API; NULL: not known here */
	const struct dbclock *clock;
	struct given_up *given_up; /* who tells of those; or NULL */
	void *arg;                 /* of the calls: */
	/* The attempt is over and its result complete. */
	void (*ended)(void *arg, struct delivery *delivery);
	/* Whether the event is still ours: asked when its connection stands.
	 * If not it is released. */
	bool (*may_send)(void *arg, const struct delivery *delivery);
	/* Whether it may be connected to that address; else it is released. */
	bool (*may_connect)(
	    void *arg, struct delivery *delivery, struct slice ip);
};

/* Takes the claim over. NULL when memory is short (claim untouched). */
struct delivery *delivery_create(
    struct store_claim *claim, const struct delivery_policy *policy);

/* A row that is ours in the datastore but unknown here: released at once. */
struct delivery *delivery_create_stray(int64_t row_id);

void delivery_free(struct delivery *delivery);

/* Puts the request on the wire. What fails for want of something of ours
 * releases it. */
void delivery_start(struct delivery *delivery);

/* Takes it off the wire: a failed attempt that is due again at once. */
void delivery_interrupt(struct delivery *delivery);

/*
 * Of one that is finished: makes the event that tells of its end, unless there
 * is one, nobody is to be told or another attempt follows. 0, or -1 when memory
 * is short: then its result must not be written yet.
 */
int delivery_tell(struct delivery *delivery);

/*
 * Not started: back to the datastore, the attempt is not counted. due_ms is
 * when it comes again (database's clock), or 0 for when it was due. ended is
 * not called.
 */
void delivery_release(struct delivery *delivery, int64_t due_ms);

#endif
