/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SERVICE_PAGE_QUERY_H
#define CASSATA_SERVICE_PAGE_QUERY_H

#include "base/err.h"
#include "base/slice.h"
#include "store/store_types.h"

/* What is asked of a list of schedules or jobs: "limit=100&after=nightly". */
struct page_query {
	size_t limit;
	size_t after_len; /* 0: from the first one */
	char after[EVENT_ID_MAX];
};

/* 0, or -1 with what is wrong, for the client. */
int page_query_read(struct slice text, int max_limit, struct page_query *query,
    struct err *err);

#endif
