/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_LIST_QUERY_H
#define CASSATA_SERVICE_LIST_QUERY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store_types.h"

/*
 * What is asked of a list, from the query of its URL, and the cursor that goes
 * on with it. Pure. A cursor is bytes from a client: where it says that a list
 * is, and a sum that holds what else was asked for, so that it goes on with
 * that list or not at all. It keeps no secret: whoever makes one up is shown
 * what he may be shown anyway.
 */

enum { LIST_LIMIT = 100, LIST_CURSOR_MAX = 64 };

struct list_asked {
	struct list_query query; /* borrows from the scratch */
	unsigned fields;         /* a bit per enum event_member */
	int limit;               /* of events in the answer */
	struct list_place place;
};

/*
 * Of application app (borrowed), at most max_limit events a page. scratch, of
 * room for text.len bytes, holds what is decoded. 0, or -1 with what is wrong,
 * for the client.
 */
int list_query_read(struct slice app, struct slice text, int max_limit,
    struct buf *scratch, struct list_asked *asked, struct err *err);

/* The cursor of the list at that place; false without memory. */
bool list_cursor_make(const struct list_query *query,
    const struct list_place *place, char out[LIST_CURSOR_MAX + 1]);

#endif
