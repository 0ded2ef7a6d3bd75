/* SPDX-License-Identifier: ISC */
#include "service/page_query.h"

#include <string.h>

#include "base/percent.h"

enum { PAGE = 100 };

/* What is in front of the mark, or all; *rest is what is behind it. */
static struct slice
cut_in_two(struct slice text, char mark, struct slice *rest)
{
	const char *at = text.len == 0 ? NULL : memchr(text.p, mark, text.len);
	size_t len = at == NULL ? text.len : (size_t)(at - text.p);

	*rest =
	    at == NULL ? slice_of("", 0) : slice_of(at + 1, text.len - len - 1);
	return slice_of(text.p, len);
}

static int
read_page_size(struct slice value, int max, size_t *limit, struct err *err)
{
	uint64_t n;

	if (slice_to_u64(value, (uint64_t)max, &n) == -1 || n == 0)
		return err_set(err, "limit must be from 1 to %d", max);
	*limit = (size_t)n;
	return 0;
}

static int
read_place(struct slice value, struct page_query *query, struct err *err)
{
	char text[3 * EVENT_ID_MAX];

	if (value.len == 0 || value.len > sizeof(text) ||
	    percent_decode(value, text, &query->after_len) == -1 ||
	    query->after_len > sizeof(query->after))
		return err_set(err, "after must have 1 to 255 bytes");
	memcpy(query->after, text, query->after_len);
	return 0;
}

int
page_query_read(
    struct slice text, int max_limit, struct page_query *query, struct err *err)
{
	struct slice word, name, value;

	*query = (struct page_query){0};
	while (text.len > 0) {
		int status;

		word = cut_in_two(text, '&', &text);
		name = cut_in_two(word, '=', &value);
		if (slice_eq(name, SLICE_LITERAL("limit")) && query->limit == 0)
			status = read_page_size(
			    value, max_limit, &query->limit, err);
		else if (slice_eq(name, SLICE_LITERAL("after")) &&
			 query->after_len == 0)
			status = read_place(value, query, err);
		else
			status = err_set(err,
			    "the query may have limit and after, each once");
		if (status == -1)
			return -1;
	}
	if (query->limit == 0)
		query->limit = max_limit < PAGE ? (size_t)max_limit : PAGE;
	return 0;
}
