/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LEASE_PLAN_H
#define CASSATA_STORE_LEASE_PLAN_H

#include "store/columns.h"
#include "store/store_types.h"

/* The judgement of a lease call; all of it is pure. */

/* Whether this is the last call of an owner that leaves. */
bool store_lease_ends(const struct lease_request *request);

/* Whether it is one of those that shards are divided among. */
bool store_takes_share(const struct lease_request *request);

/*
 * The database's clock minus ours, in milliseconds, when it showed now_ms
 * between two looks at ours: none where they may agree, else the least that
 * these allow, as a clock that is behind delays events, and a slow answer must
 * not make them early.
 */
int64_t store_clock_offset(int64_t before_ms, int64_t now_ms, int64_t after_ms);

/* NULL when nothing is known of its end. */
const struct store_death *store_death_of(
    const struct lease_request *request, uint64_t owner);

/* A PROCESSING row whose owner does not live. */
struct lost_row {
	int64_t id;
	uint64_t owner;
	unsigned attempts; /* those that count: not forgiven */
	unsigned max_attempts; /* the event's own; 0: the request's */
	unsigned suspect;
	bool has_callback; /* somebody is told when it is given up */
};

/* What becomes of it. All but the last wait again; in quarantine, who was. */
enum verdict {
	VERDICT_INNOCENT,    /* the attempt does not count */
	VERDICT_SUSPECT,     /* the same, but it may be why the worker died */
	VERDICT_QUARANTINED, /* and not for the first time */
	VERDICT_COUNTED,     /* the attempt counts: its worker died of it */
	VERDICT_GIVEN_UP,    /* and it was the last one */
	VERDICTS,
};

/* Rows to judge at a time. */
enum { STORE_LOST_MAX = 512 };

/* By what is known of the owner's death, and the row's own suspicion. */
enum verdict store_judge(
    const struct lease_request *request, const struct lost_row *row);

/* The ids of the rows with that verdict, and their number. */
size_t store_judged(const struct lease_request *request,
    const struct lost_row *rows, size_t n, enum verdict verdict, int64_t *ids);

struct lease_plan {
	uint64_t keep; /* bit per shard */
	uint64_t drop;
	uint64_t take;
};

/*
 * What is one's due of all shards: by the place among the n_living that take a
 * share, oneself included; one more for the first (shards mod n_living) ranks.
 */
unsigned store_lease_share(unsigned rank, unsigned n_living);

/*
 * Which shards to keep, give up and take, a bit each: mine are our own leases,
 * free those that anybody may take.
 */
struct lease_plan store_lease_plan(
    uint64_t mine, uint64_t free, unsigned share);

#endif
