/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_CALL_H
#define CASSATA_SERVICE_CALL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/json_write.h"
#include "event/event.h"
#include "http/http_exchange.h"
#include "http/route.h"
#include "service/incoming.h"
#include "service/page_query.h"
#include "store/store.h"
#include "store/store_thread.h"

struct service;
struct batch_atomic;
struct clock_call;
struct pause_call;
struct why_call;

/* One call of the API: what is asked for, and the datastore's part in it. */
struct call {
	struct service *service;
	struct http_exchange *x;
	struct slice params[ROUTE_PARAMS_MAX]; /* of its route */
	struct slice app, id; /* of the event; as long as the request */
	struct event_key key;

	/* The datastore's part: status and err when it is done. */
	struct store_job job;
	enum store_status status;
	struct err err;
	union {
		struct incoming add;
		struct batch_atomic *atomic;
		struct {
			enum store_find what;
			struct store_record *record;
			struct store_pauses *pauses; /* NULL: not read */
		} find;
		struct {
			struct slice if_match; /* tags, or p is NULL */
			struct buf lines;      /* of it, or empty */
			enum cancel_outcome outcome;
			bool other; /* it has none of the tags */
			enum event_state state;
		} cancel;
		struct {
			struct store_change change;
			struct event_patch patch;
			struct buf if_match; /* lines of it, or empty */
		} change;
		struct {
			struct job_spec spec;
			struct job_new new; /* or only the id of one */
			enum job_order order;
			enum job_outcome outcome;
			struct page_query query;
			int64_t before; /* of a list: as of jobs_query */
			size_t n;	/* of documents */
			struct buf page;
			struct json_writer writer;
		} job;
		struct store_ack ack;
		struct pause_call *pause;
		struct clock_call *clock;
		struct why_call *why;
		struct store_pauses *pauses;
		struct {
			struct schedule_put put;
			struct event event; /* that of put */
			struct schedule_change change;
			struct page_query query;
			struct buf page; /* made on the thread */
			bool written;	 /* whatever is read after it */
			bool found;
		} schedule;
	} u;
	STAILQ_ENTRY(call) entry; /* in the documents that wait */
};

/* The exchange's call, at its beginning. */
struct call *call_begin(struct service *service, struct http_exchange *x);

/* The call whose job this is. */
struct call *call_of_job(struct store_job *job);

/* Has the datastore do run(call), then calls done(call). Returns LATER. */
enum verdict call_submit(struct call *call,
    void (*run)(struct store *, struct store_job *),
    void (*done)(struct store_job *));

/*
 * On the datastore's thread: a shard for what is due then, like that of a new
 * event one whose worker can be woken. 0, or -1 with call->err.
 */
int call_draw_shard(struct call *call, int64_t due_ms, unsigned *shard);

/*
 * Whether the datastore did its part; why not is told to the master, whose
 * status shows it.
 */
bool call_note_store(struct call *call);

/* The same after an add that the datastore answered. */
void call_note_room(struct call *call, enum add_outcome outcome);

/* The same; when not, the answer is made: 503 or 500. The store has put the
 * reason into the log. */
bool call_store_ok(struct call *call);

#endif
