/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LIST_LOOK_H
#define CASSATA_STORE_LIST_LOOK_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * The next rows of a list, of whatever application, from the index of due times
 * alone. Its ranges (on SQLite one of each index, on a server one of each shard
 * and status) are read in step, as many rows of each, and merged up to the
 * first end of one that may have more: so a step reads a bounded number of
 * rows, however many there are, and always comes further. Of a label it is one
 * range, of the label's own index: of its application, too.
 */

enum {
	LIST_LOOK_MAX = 512, /* rows of a step, about */
	LIST_RANGES_MAX = EVENT_SHARDS * 4,
	/* A range is read for a few at least. */
	LIST_FEW = 4,
	LIST_ROWS_MAX = LIST_LOOK_MAX + LIST_RANGES_MAX * LIST_FEW,
};

struct list_row {
	int64_t due_ms;
	int64_t row_id;
	unsigned range; /* that it was read from */
};

/* Ranges that may have rows: a bit per shard for each enum row_status. */
struct list_ranges {
	uint64_t shards[4];
};

struct list_look {
	size_t n;      /* of rows, in the order of the list */
	size_t n_read; /* of the index */
	bool end;      /* of what was asked for: there are no more */
	struct list_row rows[LIST_ROWS_MAX];
};

/* From there on, within these times of the column due_ms. */
struct list_span {
	struct list_place after;
	int64_t from_ms, before_ms;
	struct list_ranges ranges;
	const struct event_key *label; /* NULL: whatever labels they have */
	bool descending;
};

/*
 * Up to about max rows, and at most LIST_LOOK_MAX. Ranges without any are taken
 * away from those of the span.
 */
enum store_status list_look_at(struct sql *sql, struct list_span *span,
    size_t max, struct list_look *look, struct err *err);

/*
 * The due_ms of the next row that waits, or of the next that has the label,
 * unless that is NULL: of those from from_ms on the first or, descending, of
 * those before it the last; -1 for none.
 */
enum store_status list_look_beyond(struct sql *sql,
    const struct event_key *label, int64_t from_ms, bool descending,
    int64_t *due_ms, struct err *err);

/* Those of a set of statuses, a bit each; how many. */
struct list_ranges list_ranges_of(unsigned statuses);
size_t list_ranges_count(const struct list_ranges *ranges);

/* -1, 0 or 1: where a comes in the order of the list. */
int list_compare(
    const struct list_place *a, const struct list_place *b, bool descending);

/* Pure: sorts what was read, limit rows of each range at most, and leaves what
 * is certain to come next. */
void list_merge(struct list_look *look, size_t limit, bool descending);

#endif
