/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SCHEDULE_H
#define CASSATA_STORE_SCHEDULE_H

#include "sql/sql.h"
#include "store/store_types.h"

/*
 * Rows of the table `schedule`. The id of one is its generation: a replaced
 * schedule has another one, and what was added for the one before is nobody's.
 * One that goes on has a run that waits: the event NAME@TIME.
 */

/* All columns but the request, and all, in the order of schedule_read. */
#define SCHEDULE_STATE_NAMES                                                   \
	"id, created_ms, since_s, paused, next_s, next_row, last_s, runs,"     \
	" skipped, app, name, fingerprint, spec, method, url"
#define SCHEDULE_STATE_LETTERS "iiiiiiiiibbbbbb"
#define SCHEDULE_NAMES                                                         \
	SCHEDULE_STATE_NAMES ", headers, body_is_text, body, options"
#define SCHEDULE_LETTERS SCHEDULE_STATE_LETTERS "bibb"
#define SCHEDULE_PLACES                                                        \
	"?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

/* The present row, copied. STORE_DAMAGED for what no schedule can be; then the
 * result goes on with the next one. */
enum store_status schedule_read(struct sql *sql, bool whole,
    struct store_schedule **schedule, struct err *err);

/*
 * The first row, whole, of a statement of SCHEDULE_NAMES whose arguments are
 * bound; to be given to store_schedule_free. NULL where there is none, or on
 * failure.
 */
enum store_status schedule_read_one(struct sql *sql,
    const struct sql_text *text, struct store_schedule **schedule,
    struct err *err);

/* The same of one schedule; and with its row locked. */
enum store_status schedule_find(struct sql *sql, int64_t id,
    struct store_schedule **schedule, struct err *err);
enum store_status schedule_lock(struct sql *sql, int64_t id,
    struct store_schedule **schedule, struct err *err);
enum store_status schedule_lock_named(struct sql *sql, struct slice app,
    struct slice name, struct store_schedule **schedule, struct err *err);

/* So, too, where that is STORE_DAMAGED: what is needed so that it can go. */
enum store_status schedule_lock_damaged(struct sql *sql, struct slice app,
    struct slice name, struct store_schedule **schedule, struct err *err);

/* A row that is not there; if one of its name was made meanwhile the
 * transaction is to be repeated. */
enum store_status schedule_insert(
    struct sql *sql, const struct store_schedule *schedule, struct err *err);

/* What changes in one: paused, next_s, next_row, last_s, runs, skipped. */
enum store_status schedule_update(
    struct sql *sql, const struct store_schedule *schedule, struct err *err);

/* The row alone: events that it made stay. */
enum store_status schedule_delete(
    struct sql *sql, const struct store_schedule *schedule, struct err *err);

#endif
