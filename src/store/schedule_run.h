/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SCHEDULE_RUN_H
#define CASSATA_STORE_SCHEDULE_RUN_H

#include "store/schedule.h"
#include "store/schedule_times.h"

/*
 * Runs of schedules: events with options that tell which schedule they are of.
 * The claim of one adds the next one, in its transaction.
 */

/* In a claim: a run that is claimed for its first attempt. */
struct schedule_run {
	struct store_claim *claim;
	int64_t schedule, run_s;
	bool exact; /* it must not be claimed before it is due */
};

/* Whether the claim is such a run. */
bool schedule_run_read(struct store_claim *claim, struct schedule_run *run);

/*
 * Whether it is to be delivered now: *begins; then the next one is there. Else
 * it was left out, or waits, and its row is written. *due_ms is when one that
 * waits now is due; INT64_MAX for none.
 */
enum store_status schedule_run_begin(struct sql *sql,
    const struct claim_request *request, const struct schedule_run *run,
    bool *begins, int64_t *due_ms, struct err *err);

/*
 * Adds the run of run_s, or where there is an event of its id already of the
 * first time after it that has none: schedule->next_s, which is not written,
 * and *due_ms; 0 and INT64_MAX where there is none.
 */
enum store_status schedule_run_add(struct sql *sql,
    struct store_schedule *schedule, const struct schedule_times *times,
    unsigned shard, int64_t run_s, int64_t *due_ms, struct err *err);

/* Adds a run that is none of its times, due now. */
enum store_status schedule_run_add_now(struct sql *sql,
    const struct store_schedule *schedule, unsigned shard,
    char run_id[EVENT_ID_MAX + 1], int64_t *due_ms, struct err *err);

/* Whether there is room for another run of it, as for an add. */
enum store_status schedule_run_has_room(struct sql *sql,
    const struct store_schedule *schedule, bool *room, struct err *err);

/*
 * Of an event of a schedule, with its options: which run it waits for in the
 * queue; run_id stays as it is where it is in none.
 */
enum store_status schedule_run_before(struct sql *sql,
    const struct store_record *record, const struct event_options *options,
    char run_id[EVENT_ID_MAX + 1], struct err *err);

/* Deletes the run that waits, if any; next_s becomes 0 and is not written. */
enum store_status schedule_run_drop(
    struct sql *sql, struct store_schedule *schedule, struct err *err);

#endif
