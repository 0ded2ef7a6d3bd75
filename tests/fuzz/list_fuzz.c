/* SPDX-License-Identifier: ISC */
/* The query of a list: up to the first LF the application, then the query. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "service/list_query.h"
#include "target.h"

enum { PAGE_MAX = 1000 };

static void
check_asked(const struct list_asked *asked, const struct buf *scratch)
{
	const struct list_query *query = &asked->query;

	CHECK(asked->limit >= 1 && asked->limit <= PAGE_MAX);
	CHECK(query->states != 0 && query->states >> EVENT_DELETED == 0);
	CHECK(query->from_ms >= 0 && query->from_ms <= STORE_LIST_END_MS);
	CHECK(query->before_ms >= 0 && query->before_ms <= STORE_LIST_END_MS);
	CHECK(query->destination.len == 0 ||
	      (query->destination.p >= scratch->p &&
		  query->destination.p + query->destination.len <=
		      scratch->p + scratch->len));
	CHECK(asked->place.due_ms >= 0);
}

/* A cursor leads to where it was made, with what it was made for. */
static void
check_cursor(const struct list_asked *asked, struct slice app)
{
	char cursor[LIST_CURSOR_MAX + 1] = "", text[LIST_CURSOR_MAX + 7];
	struct list_query query = {.app = app,
	    .states = (1U << EVENT_DELETED) - 1,
	    .before_ms = STORE_LIST_END_MS};
	struct list_asked again;
	struct buf scratch;
	struct err err;
	size_t len;

	if (!list_cursor_make(&query, &asked->place, cursor))
		return;
	len = strlen(cursor);
	memcpy(text, "after=", 6);
	memcpy(text + 6, cursor, len);
	buf_init(&scratch, sizeof(text));
	CHECK(list_query_read(app, slice_of(text, len + 6), PAGE_MAX, &scratch,
		  &again, &err) == 0);
	CHECK(again.place.due_ms == asked->place.due_ms);
	CHECK(again.place.row_id == asked->place.row_id);
	text[6 + len / 2] ^= 1;
	buf_reset(&scratch);
	CHECK(list_query_read(app, slice_of(text, len + 6), PAGE_MAX, &scratch,
		  &again, &err) == -1);
	buf_free(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* An allocation of the exact size, so that ASan sees its edges. */
	char *text = malloc(size + 1), *lf;
	struct slice app, query = {NULL, 0};
	struct list_asked asked;
	struct buf scratch;
	struct err err = {""};

	CHECK(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	lf = size == 0 ? NULL : memchr(text, '\n', size);
	app = slice_of(text, lf == NULL ? size : (size_t)(lf - text));
	if (lf != NULL)
		query = slice_of(lf + 1, size - app.len - 1);
	if (app.len <= EVENT_APP_MAX) {
		buf_init(&scratch, query.len + 1);
		if (list_query_read(
			app, query, PAGE_MAX, &scratch, &asked, &err) == 0) {
			check_asked(&asked, &scratch);
			check_cursor(&asked, app);
		} else {
			CHECK(err.text[0] != '\0');
		}
		buf_free(&scratch);
	}
	free(text);
	return 0;
}
