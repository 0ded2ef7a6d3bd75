/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_ROTATION_H
#define CASSATA_SQL_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "sql/sql_url.h"

/*
 * Which server of a URL to try next: the first of the list that did not fail of
 * late. Pure; times are monotonic.
 */
enum { ROTATION_BAD_MS = 30000 };

struct rotation {
	unsigned n; /* servers, 1 to SQL_HOSTS_MAX */
	struct {
		int64_t bad_until_ms; /* others come first */
		int64_t
		    skip_until_ms; /* it is passed over, for it takes long */
	} hosts[SQL_HOSTS_MAX];
};

/*
 * The next server of a round, or -1 when it is over. tried has a bit for each
 * server that it has had. What failed of late comes last, and not at all while
 * that costs more than a quarter of the time, unless there is nothing else.
 */
int rotation_next(const struct rotation *r, unsigned tried, int64_t now_ms);

/* A server could not be used, after so long, or was lost. */
void rotation_failed(
    struct rotation *r, unsigned host, int64_t took_ms, int64_t now_ms);

/* Nothing is held against it any more. */
void rotation_worked(struct rotation *r, unsigned host);

/* There is one that did not fail of late. */
bool rotation_has_good(const struct rotation *r, int64_t now_ms);

/* The first server before host, of which it is as good as not known that it
 * fails; or -1. tried as above. */
int rotation_better(
    const struct rotation *r, unsigned host, unsigned tried, int64_t now_ms);

#endif
