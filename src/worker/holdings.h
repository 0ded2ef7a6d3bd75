/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_HOLDINGS_H
#define CASSATA_WORKER_HOLDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/heap.h"
#include "worker/delivery.h"

TAILQ_HEAD(delivery_all, delivery);
STAILQ_HEAD(delivery_queue, delivery);

/*
 * What a worker holds: each delivery from its claim to the written result. It
 * is in one place at a time: ready (by due time), queued for a share, on the
 * wire, finished (its result waits to be written), or being written.
 */
struct holdings {
	struct delivery_all all; /* in the order in which they came */
	size_t n;                /* of these */
	size_t n_bytes;          /* of their claims */
	struct heap ready;       /* by due time, the datastore's clock */
	size_t n_queued, n_on_wire;
	struct delivery_queue finished;
	size_t n_finished;
	int64_t oldest_ms; /* monotonic: when the first of these finished */
	size_t n_writing;  /* taken out of finished */

	int64_t *ids; /* what holdings_ids returned */
	size_t cap_ids;
};

/* Nothing is held. */
void holdings_init(struct holdings *h);

/* Frees all that is held; nothing may be on the wire. */
void holdings_fini(struct holdings *h);

/*
 * A claim has come into memory, in that epoch of the worker: it is ready. -1
 * when memory is short: then it stays the caller's.
 */
int holdings_hold(struct holdings *h, struct delivery *d, uint64_t epoch);

/* A stray row: finished as it comes. */
void holdings_hold_stray(
    struct holdings *h, struct delivery *d, uint64_t epoch, int64_t mono_ms);

/* When the first that is ready is due; INT64_MAX for none. */
int64_t holdings_next_due_ms(const struct holdings *h);

/* Takes the first out of those that are ready; or NULL. */
struct delivery *holdings_take_ready(struct holdings *h);

/* Takes all of these out. */
void holdings_take_all_ready(struct holdings *h, struct delivery_queue *taken);

/* One that was taken out is not begun yet. -1 when memory is short. */
int holdings_put_ready(struct holdings *h, struct delivery *d);

/* One that is not ready any more has come into a queue, has left it, goes on
 * the wire, has left it. */
void holdings_queued(struct holdings *h, struct delivery *d);
void holdings_unqueued(struct holdings *h);
void holdings_sent(struct holdings *h);
void holdings_returned(struct holdings *h);

/* Its result is complete. */
void holdings_finish(struct holdings *h, struct delivery *d, int64_t mono_ms);

/* It was not begun, and goes back; due_ms as of delivery_release. */
void holdings_release(
    struct holdings *h, struct delivery *d, int64_t due_ms, int64_t mono_ms);

/* Takes the first of the finished ones out, to be written; or NULL. */
struct delivery *holdings_take_finished(struct holdings *h);

/* Those that were taken out, in order, were not written: they come first. */
void holdings_put_finished(
    struct holdings *h, struct delivery_queue *unwritten);

/* The result was written: it leaves memory. */
void holdings_written(struct holdings *h, struct delivery *d);

/* One on the wire, or NULL. */
struct delivery *holdings_on_wire(const struct holdings *h);

/* Whether there is one of another epoch than this. */
bool holdings_has_older(const struct holdings *h, uint64_t epoch);

/* The delivery of that attempt of that row, or NULL. */
struct delivery *holdings_find(
    const struct holdings *h, int64_t row_id, unsigned attempt);

/*
 * The row ids of all, sorted, as they are now: *ids is valid until the next
 * call. 0, or -1 when memory is short.
 */
int holdings_ids(struct holdings *h, const int64_t **ids, size_t *n);

#endif
