/* SPDX-License-Identifier: ISC */
#include "worker/holdings.h"

#include <stdlib.h>

#include "base/check.h"

void
holdings_init(struct holdings *h)
{
	*h = (struct holdings){0};
	TAILQ_INIT(&h->all);
	STAILQ_INIT(&h->finished);
	heap_init(&h->ready);
}

static void
leave_memory(struct holdings *h, struct delivery *d)
{
	check(h->n > 0);
	h->n--;
	TAILQ_REMOVE(&h->all, d, entry);
	if (d->claim != NULL) {
		check(h->n_bytes >= d->claim->bytes);
		h->n_bytes -= d->claim->bytes;
	}
	share_put(&d->app);
	share_put(&d->host);
	share_put(&d->address);
	share_put(&d->busy);
	delivery_free(d);
}

void
holdings_fini(struct holdings *h)
{
	struct delivery *d;

	check(h->n_on_wire == 0);
	while ((d = TAILQ_FIRST(&h->all)) != NULL)
		leave_memory(h, d);
	heap_fini(&h->ready);
	free(h->ids);
	h->ids = NULL;
}

/* ---- coming ---- */

static void
add(struct holdings *h, struct delivery *d, uint64_t epoch)
{
	d->epoch = epoch;
	TAILQ_INSERT_TAIL(&h->all, d, entry);
	h->n++;
}

int
holdings_hold(struct holdings *h, struct delivery *d, uint64_t epoch)
{
	check(d->state == DELIVERY_READY);
	if (holdings_put_ready(h, d) == -1)
		return -1;
	add(h, d, epoch);
	h->n_bytes += d->claim->bytes;
	return 0;
}

void
holdings_hold_stray(
    struct holdings *h, struct delivery *d, uint64_t epoch, int64_t mono_ms)
{
	check(d->claim == NULL);
	add(h, d, epoch);
	holdings_finish(h, d, mono_ms);
}

/* ---- ready ---- */

int64_t
holdings_next_due_ms(const struct holdings *h)
{
	const struct heap_entry *next = heap_min(&h->ready);

	return next == NULL ? INT64_MAX : next->key;
}

struct delivery *
holdings_take_ready(struct holdings *h)
{
	return heap_pop(&h->ready);
}

void
holdings_take_all_ready(struct holdings *h, struct delivery_queue *taken)
{
	struct delivery *d;

	while ((d = heap_pop(&h->ready)) != NULL)
		STAILQ_INSERT_TAIL(taken, d, queue);
}

int
holdings_put_ready(struct holdings *h, struct delivery *d)
{
	return heap_insert(&h->ready, d->claim->due_ms, d);
}

/* ---- on the way ---- */

void
holdings_queued(struct holdings *h, struct delivery *d)
{
	d->state = DELIVERY_QUEUED;
	h->n_queued++;
}

void
holdings_unqueued(struct holdings *h)
{
	check(h->n_queued > 0);
	h->n_queued--;
}

void
holdings_sent(struct holdings *h)
{
	h->n_on_wire++;
}

void
holdings_returned(struct holdings *h)
{
	check(h->n_on_wire > 0);
	h->n_on_wire--;
}

/* ---- results ---- */

void
holdings_finish(struct holdings *h, struct delivery *d, int64_t mono_ms)
{
	check(d->state == DELIVERY_FINISHED);
	if (h->n_finished++ == 0)
		h->oldest_ms = mono_ms;
	STAILQ_INSERT_TAIL(&h->finished, d, queue);
}

void
holdings_release(
    struct holdings *h, struct delivery *d, int64_t due_ms, int64_t mono_ms)
{
	delivery_release(d, due_ms);
	holdings_finish(h, d, mono_ms);
}

struct delivery *
holdings_take_finished(struct holdings *h)
{
	struct delivery *d = STAILQ_FIRST(&h->finished);

	if (d == NULL)
		return NULL;
	check(h->n_finished > 0);
	STAILQ_REMOVE_HEAD(&h->finished, queue);
	h->n_finished--;
	h->n_writing++;
	return d;
}

void
holdings_put_finished(struct holdings *h, struct delivery_queue *unwritten)
{
	struct delivery *d;

	STAILQ_FOREACH(d, unwritten, queue) {
		check(h->n_writing > 0);
		h->n_writing--;
		h->n_finished++;
	}
	STAILQ_CONCAT(unwritten, &h->finished);
	STAILQ_CONCAT(&h->finished, unwritten);
}

void
holdings_written(struct holdings *h, struct delivery *d)
{
	check(h->n_writing > 0);
	h->n_writing--;
	leave_memory(h, d);
}

/* ---- looking ---- */

struct delivery *
holdings_on_wire(const struct holdings *h)
{
	struct delivery *d;

	TAILQ_FOREACH(d, &h->all, entry)
		if (d->state == DELIVERY_ON_WIRE)
			return d;
	return NULL;
}

bool
holdings_has_older(const struct holdings *h, uint64_t epoch)
{
	const struct delivery *d;

	TAILQ_FOREACH(d, &h->all, entry)
		if (d->epoch != epoch)
			return true;
	return false;
}

struct delivery *
holdings_find(const struct holdings *h, int64_t row_id, unsigned attempt)
{
	struct delivery *d;

	TAILQ_FOREACH(d, &h->all, entry)
		if (d->result.row_id == row_id && d->result.attempt == attempt)
			return d;
	return NULL;
}

static int
compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
holdings_ids(struct holdings *h, const int64_t **ids, size_t *n)
{
	const struct delivery *d;

	*n = 0;
	TAILQ_FOREACH(d, &h->all, entry) {
		if (*n == h->cap_ids) {
			size_t cap = h->cap_ids * 2 + 64;
			int64_t *more =
			    reallocarray(h->ids, cap, sizeof(*more));

			if (more == NULL)
				return -1;
			h->ids = more;
			h->cap_ids = cap;
		}
		h->ids[(*n)++] = d->result.row_id;
	}
	if (*n > 0)
		qsort(h->ids, *n, sizeof(*h->ids), compare_ids);
	*ids = h->ids;
	return 0;
}
