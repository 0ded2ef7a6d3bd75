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
	int64_t expiry_ms;
	struct slice key, fingerprint; /* borrowed from the row */
};

#define FOUND_NAMES                                                            \
	"id, status, last_code, LENGTH(last_error), expiry_ms, k, fingerprint"
#define FOUND_LETTERS "iiiiibb"

/* Reads the present row, of FOUND_NAMES. */
enum store_status found_read(
    struct sql *sql, struct found *found, struct err *err);

#endif
