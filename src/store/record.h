/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_RECORD_H
#define CASSATA_STORE_RECORD_H

#include "sql/sql.h"
#include "store/columns.h"
#include "store/store_types.h"

/*
 * What a datastore says of an event. None of it is believed: it may be damaged,
 * and there may be somebody else in the datastore's place. Members that were
 * not asked for are 0. Bytes are borrowed from the row that was read.
 */
struct store_row {
	int64_t id, shard, status, attempts, due_ms, created_ms, last_code;
	int64_t first_ms; /* of attempt 1 in the log, or 0 */
	struct slice last_error;
	bool has_error; /* of EVENT_DELIVERY_NAMES, in its place */
	struct event event;
	int64_t n_log, log_bytes; /* attempts, and the bytes in them */
};

struct store_log_row {
	int64_t number, at_ms, code;
	struct slice error, response;
};

/* The present row, of EVENT_STATE_NAMES, or EVENT_NAMES when whole. */
void store_row_read(struct sql *sql, bool whole, struct store_row *row);

/* So, too, of EVENT_DELIVERY_NAMES: a damage elsewhere delays no delivery. */
void store_row_read_delivery(struct sql *sql, struct store_row *row);

/* Whether what was read of it had its types, as sql_row_check. */
enum store_status store_row_check(
    struct sql *sql, int64_t row_id, struct err *err);

/* What is wrong with a row, as who asks for it is told. */
enum store_status store_damage(enum store_status status);

/* Arguments for EVENT_PLACES. */
void store_row_bind(struct sql *sql, const struct store_row *row);

/* The whole key; borrowed. */
struct slice store_key_slice(const uint8_t bytes[EVENT_KEY_BYTES]);

/* The client's view of a row. */
enum event_state store_row_state(
    enum row_status status, int64_t last_code, bool has_error);

/* STORE_BROKEN with the reason unless value is 0 to max. */
enum store_status store_check_number(
    const char *what, int64_t value, int64_t max, struct err *err);

/* When it is due, in quarantine, parked or not; and whether it is in
 * quarantine. */
int64_t store_plain_due_ms(int64_t due_ms);
bool store_is_quarantined(int64_t due_ms);

/* Bytes of the event's own. */
size_t store_event_bytes(const struct event *ev);

/*
 * One allocation for a claim or a record and its bytes, which are copied behind
 * the struct; the claim is the next attempt of a row that waits. STORE_BROKEN
 * for what no event can be, or STORE_UNAVAILABLE when memory is short; then
 * there is none.
 */
enum store_status store_claim_create(
    const struct store_row *row, struct store_claim **claim, struct err *err);
enum store_status store_record_create(
    const struct store_row *row, struct store_record **record, struct err *err);

/* Copies the next attempt into the record, which has room for what it was
 * created with. */
enum store_status store_record_log(struct store_record *record,
    const struct store_log_row *row, struct err *err);

#endif
