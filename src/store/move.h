/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MOVE_H
#define CASSATA_STORE_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/datastore.h"
#include "store/move_living.h"
#include "store/move_rows.h"
#include "store/move_sum.h"

/*
 * Moves all events and their attempts from one datastore into another, of
 * whatever kinds; what is claimed stays so, and is put back where it arrives,
 * since its owner does not live there. What has come is there for good: who
 * runs it again goes on where it ended. Until the end the target has a mark.
 */
struct move;

/* Before and during each of the long steps, rows of the present one. */
struct move_progress {
	const char *what; /* "event", "attempt at the source", … */
	int64_t done, all;
};

struct move_params {
	const struct store_params *source, *target;
	void (*progress)(void *arg, const struct move_progress *progress);
	move_wait_cb *on_wait; /* for a sign of life of workers */
	void *arg;
};

struct move_result {
	const char *table;
	int64_t n_source, n_target; /* rows */
	char source[MOVE_SUM_TEXT], target[MOVE_SUM_TEXT];
};

/* 0, or -1 with err. */
int move_open(
    const struct move_params *params, struct move **move, struct err *err);
void move_close(struct move **move);

/* The names of the two, for messages. */
const char *move_source(const struct move *move);
const char *move_target(const struct move *move);

/*
 * Whether it can begin, or go on (*resumed): the source has the schema of this
 * program, the target too, or nothing, and no event that was not moved to it;
 * no worker lives on either. Then nobody else writes to the source until
 * move_close, if its server lets us have that. Makes the tables and the mark.
 * -1: nothing has changed but perhaps these.
 */
int move_begin(struct move *move, bool *resumed, struct err *err);

/* All rows. 0, or -1. */
int move_copy(struct move *move, struct err *err);

/* Reads all of both; *same: they are. 0, or -1. */
int move_compare(struct move *move, struct move_result results[MOVE_TABLES],
    bool *same, struct err *err);

/* Takes the mark from the target. 0, or -1. */
int move_end(struct move *move, struct err *err);

/*
 * Whether the last call of these failed by what may pass, as an outage of a
 * server: from move_begin on it goes on where it ended. Once both sides are the
 * same, by another move_end.
 */
bool move_may_go_on(const struct move *move);

#endif
