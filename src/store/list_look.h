/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LIST_LOOK_H
#define CASSATA_STORE_LIST_LOOK_H

#include "base/pace.h"
#include "sql/sql.h"
#include "store/store_types.h"

/*
 * The next rows of a list, of whatever application, in its order, from the
 * index of due times alone: on SQLite from one index for what waits, what is
 * under way and what has ended each, on a server from a range for each shard
 * and status. So a step reads about as many rows as it was asked for, however
 * many there are, and always comes further. Of a label it is one range, of the
 * label's own index: of its application, too.
 */

enum { LIST_ROWS_MAX = 3 * LIST_LOOK_MAX };

struct list_look {
	struct pace *pace; /* rests after each statement */
	size_t n;      /* of rows, in the order of the list */
	size_t n_read; /* of the index, with those that were no good */
	bool end;      /* of what was asked for: there are no more */
	struct list_place rows[LIST_ROWS_MAX];
};

/* From there on, within these times of the column due_ms. */
struct list_span {
	struct list_place after;
	int64_t from_ms, before_ms;
	unsigned statuses; /* a bit per enum row_status, one or more */
	const struct event_key *label; /* NULL: whatever labels they have */
	bool descending;
};

/*
 * About max rows, and at most LIST_LOOK_MAX are asked for. More or fewer may
 * come.
 */
enum store_status list_look_at(struct sql *sql, const struct list_span *span,
    size_t max, struct list_look *look, struct err *err);

/*
 * The due_ms of the next row that waits, or of the next that has the label,
 * unless that is NULL: of those from from_ms on the first or, descending, of
 * those before it the last; -1 for none.
 */
enum store_status list_look_beyond(struct sql *sql,
    const struct event_key *label, int64_t from_ms, bool descending,
    int64_t *due_ms, struct err *err);

/* -1, 0 or 1: where a comes in the order of the list. */
int list_compare(
    const struct list_place *a, const struct list_place *b, bool descending);

#endif
