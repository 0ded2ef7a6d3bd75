/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_H
#define CASSATA_STORE_STORE_H

#include "store/job_types.h"
#include "store/store_types.h"

/*
 * The datastore: everything that survives a process. Calls are synchronous and
 * bounded by the time-outs of the parameters; one thread of a process uses a
 * store, through store_thread. The tables and the reasons for them are in
 * sql/ and doc/design.md.
 *
 * Workers own shards through leases, mark a batch of due rows PROCESSING under
 * their owner token, and write results only where the row still carries that
 * token. Who lives is judged by its registration, which each renewal changes;
 * no clock is compared.
 */
struct store;

/*
 * Checks the parameters (which are copied) and allocates; the connection is
 * made by the first call that needs it, and again after it was lost, with a
 * growing pause during which calls fail at once with STORE_UNAVAILABLE.
 * 0, or -1 when url names no datastore.
 */
int store_open(
    const struct store_params *params, struct store **store, struct err *err);
/* The same with a driver that is not one of the URL's kinds, as of a test. */
struct sql_driver;
int store_open_with(const struct sql_driver *driver,
    const struct store_params *params, struct store **store, struct err *err);
void store_close(struct store **store); /* sets *store to NULL */

/* "sqlite" or "mysql"; the target without any secret, for messages. */
const char *store_kind(const struct store *store);
const char *store_target(const struct store *store);
/* HOST:PORT of the server that it talks or last talked to, as the URL has it;
 * "" for a file or a Unix socket. For the thread that makes the calls. */
const char *store_where(const struct store *store);
/* Of several servers of the URL, from 1, the one that it is connected to; else
 * 0. For any thread. */
unsigned store_server(const struct store *store);
/* After a call that failed: the next goes to another server, without a pause.
 */
bool store_goes_on(const struct store *store);

/*
 * Connects and compares the schema version. With create, runs the migrations
 * that are missing, in order (a MySQL database that does not exist is created
 * too). Without it, a missing or other version is STORE_BROKEN with the command
 * that mends it in err, as is a datastore that others are being moved to
 * (store/move.h). SQLite always creates and migrates. A server that takes
 * no statement of max_event_bytes is STORE_BROKEN, too.
 */
enum store_status store_check(
    struct store *store, bool create, struct err *err);

/*
 * After a check that went well: what of the server's settings lets it lose
 * acknowledged events, or NULL.
 */
const char *store_weakness(const struct store *store);

/* One round trip; on SQLite, a turn to write without anything to write. */
enum store_status store_ping(struct store *store, struct err *err);

/*
 * All registrations, by host and age, of the first max of them: *n. *now_ms is
 * the database's clock, *n_free how many shards none of them holds. For who
 * only looks: connects, makes and changes nothing in the tables, and is
 * STORE_BROKEN when they are not of this version.
 */
enum store_status store_registrations(struct store *store,
    struct store_registration *list, size_t max, size_t *n, unsigned *n_free,
    int64_t *now_ms, struct err *err);

/* ---- service ---- */

/*
 * Adds all of them in one transaction and tells the outcome of each; two with
 * one key in a batch are created and same (or conflict). Those that the datastore
 * does not take keep no other out and are ADD_BROKEN, unless they are all. The
 * order of adds[] is changed. On failure nothing is known: the caller may repeat
 * the whole, also after a commit whose answer was lost.
 */
enum store_status store_add_events(
    struct store *store, struct store_add **adds, size_t n, struct err *err);

/*
 * Adds all of them, in one transaction, or none: *added. All are then
 * ADD_CREATED or ADD_SAME; else those that are to blame have another outcome,
 * and the others ADD_SAME or ADD_UNDONE.
 */
enum store_status store_add_all(struct store *store, struct store_add **adds,
    size_t n, bool *added, struct err *err);

/* *record is NULL when there is no such event. */
enum store_status store_find_event(struct store *store,
    const struct event_key *key, enum store_find what,
    struct store_record **record, struct err *err);

/*
 * The place before the first event of a list; of what is between two places
 * each event that has not changed meanwhile is told once.
 */
struct list_place store_list_begin(const struct list_query *query);

/* Goes on with a list, by a bounded number of rows whatever it is of. */
enum store_status store_list(
    struct store *store, struct list_step *step, struct err *err);

/*
 * Deletes an event that is not under way, and its attempt log. *state is what
 * it was in, when it was there.
 */
enum store_status store_cancel_event(struct store *store,
    const struct event_key *key, enum cancel_outcome *outcome,
    enum event_state *state, struct err *err);

/* Changes an event, where its state is one for that; on failure nothing is
 * known. */
enum store_status store_change_event(
    struct store *store, struct store_change *change, struct err *err);

/*
 * Makes a job for the events of its application that are there; none where
 * *outcome is JOB_TOO_MANY. Of those that ended, the oldest make room.
 */
enum store_status store_job_make(struct store *store,
    const struct job_new *new, enum job_outcome *outcome, struct err *err);

/* Calls query->take for each, of one row or of a page; none is no failure. */
enum store_status store_jobs(
    struct store *store, const struct jobs_query *query, struct err *err);

/* What becomes of a job is taken, unless it is unknown. */
enum store_status store_job_order(struct store *store, struct slice app,
    const struct job_id *id, enum job_order order, int64_t now_ms,
    job_taker take, void *arg, enum job_outcome *outcome, struct err *err);

/*
 * Makes a schedule, or replaces the one that has its name; one that says the
 * same is left alone. With its next run, in one transaction. On failure nothing
 * is known, and the whole may be repeated.
 */
enum store_status store_put_schedule(
    struct store *store, struct schedule_put *put, struct err *err);

/* Pauses, resumes, runs or deletes one; on failure nothing is known. */
enum store_status store_change_schedule(
    struct store *store, struct schedule_change *change, struct err *err);

/* *schedule is NULL when there is none of that name. */
enum store_status store_find_schedule(struct store *store, struct slice app,
    struct slice name, struct store_schedule **schedule, struct err *err);

/*
 * Of schedules whose run that waits is not there any more a minute after its
 * time, since somebody has deleted or replaced that event: adds the run that is
 * wanted now. Some at a time; the others at the next call. Where there is no room
 * for another event they wait.
 */
enum store_status store_mend_schedules(
    struct store *store, struct schedule_mend *mend, struct err *err);

/* Those of an application, in the order of their names' bytes. */
enum store_status store_list_schedules(
    struct store *store, const struct schedule_list *list, struct err *err);

/* Ends an attempt that is the last one, on behalf of whoever sent it. */
enum store_status store_ack_event(
    struct store *store, struct store_ack *ack, struct err *err);

/*
 * Begins a pause, from pause.since_ms on, or gives the one of that name another
 * note and end, or ends it; on failure nothing is known. Workers are not told.
 */
enum store_status store_change_pause(
    struct store *store, struct store_pause_change *change, struct err *err);

/* All that last longer than now_ms, with their notes. */
enum store_status store_list_pauses(struct store *store, int64_t now_ms,
    struct store_pauses *pauses, struct err *err);

/*
 * What an event waits for. why->record is NULL when there is no such event, and
 * after a failure; it is the caller's.
 */
enum store_status store_why(struct store *store, const struct event_key *key,
    struct store_why *why, struct err *err);

/* What comes next of all events, for who moves a test clock to it. */
enum store_status store_upcoming(
    struct store *store, struct store_upcoming *upcoming, struct err *err);

/* ---- worker ---- */

/*
 * Reads the pauses that last, without notes, deletes those that are over, and
 * puts back what they held. reply->pauses is the caller's.
 */
enum store_status store_heed_pauses(struct store *store,
    const struct pauses_request *request, struct pauses_reply *reply,
    struct err *err);

/*
 * Renews this worker's registration, or makes one, and tells of all others;
 * with a server that is committed before anything else is done. In one
 * transaction, when there is something to do: ends the registrations of those
 * that are dead or lost, gives up leases above its share (shards ÷ living
 * workers), takes those up to it whose owners are not registered, dead or
 * without a share, but for those that are just in use, and puts PROCESSING rows
 * of its shards, and all of those that it is the first to know dead, back to
 * waiting when their owner is not registered: due as before, the attempt not
 * counted. But that of the culprit is counted and logged as interrupted, and it
 * is FAILED at max_attempts. Where there is no culprit, the rows that were on
 * the wire (all, where that is not known) are suspects; a row that is one for
 * the second time is quarantined, until a result is written or it is deleted.
 * When the owner of one in quarantine is gone, that is its culprit, unless it
 * is known not to have been begun.
 *
 * Rows outlive the lease of their shard: who gives a shard up still writes the
 * results of what it has under way there. So who leaves counts as living until
 * known[] is empty, but without a share.
 *
 * strays: with in_doubt, up to STORE_STRAYS_MAX ids of any shard that are not
 * in known[].
 */
enum store_status store_lease(struct store *store,
    const struct lease_request *request, struct lease_reply *reply,
    struct err *err);

/*
 * One transaction: write the results, then mark and read the next due rows of
 * the shards that are still ours, about in (due, id) order. On failure nothing
 * was claimed as far as the caller is concerned (a claim whose commit answer
 * was lost shows up as a stray), and the results are to be given again; giving
 * a result twice is harmless. A row that was put back and claimed again by the
 * same owner may come with the number of the attempt before: then the result of
 * either is the result of both.
 */
enum store_status store_settle_and_claim(struct store *store,
    const struct claim_request *request, struct claim_reply *reply,
    struct err *err);

/*
 * Of the newest max events of the request's time those that wait, the last
 * first: news has room for so many. And the marks, when they are asked for.
 */
enum store_status store_newest(struct store *store,
    const struct newest_request *request, struct store_news *news,
    struct newest_reply *reply, struct err *err);

/*
 * Deletes up to limit events that ended before before_ms, with their attempt
 * logs, in the shards of the mask. *n is how many.
 */
enum store_status store_purge(struct store *store, uint64_t shards,
    int64_t before_ms, size_t limit, size_t *n, struct err *err);

/*
 * The jobs that are to be worked on, *n; of more than JOBS_DUE_MAX the first of
 * each application before the second of any. Before that deletes some that ended
 * before forget_ms.
 */
enum store_status store_jobs_due(struct store *store, int64_t forget_ms,
    struct job_id *list, size_t *n, struct err *err);

/*
 * A step of a job: counts some of the events, or changes some in one
 * transaction with its place among them. Of two who take the same step one does
 * nothing.
 */
enum store_status store_job_step(
    struct store *store, struct job_step *step, struct err *err);

#endif
