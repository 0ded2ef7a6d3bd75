/* SPDX-License-Identifier: ISC */
/*
 * What the parts of a worker stand on in their tests: a child without a
 * process, and clocks that the test moves.
 */
#ifndef WORKER_PARTS_H
#define WORKER_PARTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "config/config.h"
#include "proc/child.h"
#include "store/store_thread.h"
#include "worker/holdings.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum {
	PARTS_MONO = 5000000,
	PARTS_WALL = 1000000000, /* ahead of that */
	PARTS_LEASE = 30000,
	PARTS_CALL = 13000, /* 3000 to connect */
	PARTS_POLL = 60000,
	PARTS_AHEAD = 200,
};

static int64_t parts_now_ms; /* monotonic */
static struct config parts_cfg;
static struct scoreboard parts_sb;
static struct child parts_child;

static inline int64_t
parts_mono(void)
{
	return parts_now_ms;
}

static inline int64_t
parts_wall(void)
{
	return parts_now_ms + PARTS_WALL;
}

static inline void
parts_begin(void)
{
	struct err err;

	parts_now_ms = PARTS_MONO;
	clock_mono_replace(parts_mono);
	clock_wall_replace(parts_wall);
	parts_cfg = (struct config){
	    .worker = {.lease_ms = PARTS_LEASE,
		.polling_interval_ms = PARTS_POLL,
		.claim_ahead_ms = PARTS_AHEAD,
		.claim_min = 5,
		.claim_max = 100,
		.max_deliveries = 10,
		.max_share_percent = 80,
		.max_queued_per_host = 10,
		.max_event_memory_bytes = 1000000,
		.retry = {.max_retries = 3}},
	    .datastore = {.connect_timeout_ms = 3000,
		.timeout_ms = PARTS_CALL - 3000},
	};
	ck_assert_int_eq(scoreboard_create(&parts_sb, &err), 0);
	parts_child = (struct child){
	    .role = ROLE_WORKER, .cfg = &parts_cfg, .sb = &parts_sb};
	parts_child.slot = scoreboard_slot_claim(&parts_sb, ROLE_WORKER, &err);
	ck_assert_int_eq(parts_child.slot, 0);
	parts_child.score = &parts_sb.writable->children[0].slot;
}

static inline void
parts_end(void)
{
	scoreboard_free(&parts_sb);
	clock_mono_replace(NULL);
	clock_wall_replace(NULL);
}

static inline void
parts_done(struct store_job *job)
{
	(void)job;
}

static inline struct store_claim *
parts_claim(int64_t row_id, unsigned attempt, int64_t due_ms)
{
	struct store_claim *claim = calloc(1, sizeof(*claim));

	ck_assert_ptr_nonnull(claim);
	*claim = (struct store_claim){.row_id = row_id,
	    .shard = (unsigned)(row_id % EVENT_SHARDS),
	    .attempt = attempt,
	    .due_ms = due_ms,
	    .bytes = 1000,
	    .event = {.app = slice_from_string("app"),
		.url = slice_from_string("http://example.net/")}};
	return claim;
}

#endif
