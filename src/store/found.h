/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_FOUND_H
#define CASSATA_STORE_FOUND_H

#include "sql/sql.h"
#include "store/columns.h"
#include "store/store_types.h"

/* What is known of a row without its event. */
struct found {
	int64_t row_id;
	enum row_status status;
	enum event_state state;
	int64_t expiry_ms, created_ms;
	struct event_key key;
	uint8_t fingerprint[EVENT_KEY_BYTES];
};

#define FOUND_NAMES                                                            \
	"id, status, last_code, LENGTH(last_error), expiry_ms, created_ms, k," \
	" fingerprint"
#define FOUND_LETTERS "iiiiiibb"

/* Reads the present row, of FOUND_NAMES. */
enum store_status found_read(
    struct sql *sql, struct found *found, struct err *err);

/* The event of the key, locked until the transaction ends; *there: whether there
 * is one. */
enum store_status found_lock(struct sql *sql, const struct event_key *key,
    struct found *found, bool *there, struct err *err);

/* So, too, where that is STORE_BROKEN: row_id, status and state alone. */
enum store_status found_lock_damaged(struct sql *sql,
    const struct event_key *key, struct found *found, bool *there,
    struct err *err);

/* The same of up to rows_max keys, into found[], in any order. */
enum store_status found_lock_all(struct sql *sql,
    const struct event_key *const *keys, size_t n, struct found *found,
    size_t *n_found, struct err *err);

/* Deletes a locked event with all that belongs to it. */
enum store_status found_delete(
    struct sql *sql, const struct found *found, struct err *err);

/* The same of up to ids_max events, by their row ids. */
enum store_status found_delete_all(
    struct sql *sql, const int64_t *ids, size_t n, struct err *err);

#endif
