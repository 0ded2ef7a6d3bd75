/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LABEL_H
#define CASSATA_STORE_LABEL_H

#include "event/event_labels.h"
#include "sql/sql.h"

/*
 * The labels of events that have some, as what they are found by: a row each,
 * with the event's due_ms. They are what the options of the event say; whoever
 * writes due_ms, or deletes the event, sees to them in the same transaction.
 */

/* Bytes that a label takes of a transaction, about. */
enum { LABEL_BYTES = 128 };

/* Rows that are being collected for a statement. */
struct label_rows {
	unsigned n;
	struct event_key keys[SQL_ROWS_MAX];
};

/*
 * Adds those of an event, by the options that it has; with the rows of others,
 * so that the last of them is followed by label_add_end. app and options are
 * not kept.
 */
enum store_status label_add(struct sql *sql, struct label_rows *rows,
    int64_t row_id, int64_t due_ms, struct slice app, struct slice options,
    struct err *err);
enum store_status label_add_end(
    struct sql *sql, struct label_rows *rows, struct err *err);

/* The same of one event. */
enum store_status label_add_one(struct sql *sql, int64_t row_id, int64_t due_ms,
    struct slice app, struct slice options, struct err *err);

/* How many labels these options have. */
unsigned label_count(struct slice options);

/* The events of these row ids, which this transaction has locked, are due at
 * another time now. */
enum store_status label_follow(
    struct sql *sql, const int64_t *ids, size_t n, struct err *err);

/* The same of those among them that are an owner's. */
enum store_status label_follow_own(struct sql *sql, uint64_t owner,
    const int64_t *ids, size_t n, struct err *err);

/* Deletes those of events, which this transaction deletes. */
enum store_status label_delete(
    struct sql *sql, const int64_t *ids, size_t n, struct err *err);

#endif
