/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_COLUMNS_H
#define CASSATA_STORE_COLUMNS_H

#include <limits.h>

#include "event/event.h"
#include "event/event_options.h"

/*
 * The columns of an event, a row each: its name, the letter of its type (i a
 * number, f yes or no, b bytes), its member of struct store_row, and the most
 * that is believed, in bytes for b. A column that is added here is in every
 * statement that writes or reads an event, and checked when it is read. The
 * first is always id; k and fingerprint, which are compared and never read,
 * owner and suspect are named where they are used.
 */
#define EVENT_DUE(X)                                                           \
	X(shard, i, shard, EVENT_SHARDS - 1)                                   \
	X(attempts, i, attempts, STORE_ATTEMPTS_MAX)                           \
	X(due_ms, i, due_ms, STORE_DUE_MAX_MS)                                 \
	X(expiry_ms, i, event.expiry_ms, STORE_TIME_MAX_MS)                    \
	X(last_code, i, last_code, INT_MAX)                                    \
	X(app, b, event.app, EVENT_APP_MAX)                                    \
	X(event_id, b, event.id, EVENT_ID_MAX)
#define EVENT_PAST(X)                                                          \
	X(status, i, status, ROW_FAILED)                                       \
	X(created_ms, i, created_ms, STORE_TIME_MAX_MS)                        \
	X(last_error, b, last_error, STORE_ERROR_MAX)
#define EVENT_REQUEST(X)                                                       \
	X(method, b, event.method, EVENT_METHOD_MAX)                           \
	X(url, b, event.url, EVENT_URL_MAX)                                    \
	X(headers, b, event.headers, EVENT_HEADER_BYTES_MAX)                   \
	X(body_is_text, f, event.body_is_text, INT64_MAX)                      \
	X(body, b, event.body, EVENT_BODY_MAX)                                 \
	X(options, b, event.options, EVENT_OPTIONS_MAX)

/* What clients ask for, with or without the request; what a delivery needs. */
#define EVENT_STATE(X)    EVENT_DUE(X) EVENT_PAST(X)
#define EVENT_WHOLE(X)    EVENT_STATE(X) EVENT_REQUEST(X)
#define EVENT_DELIVERY(X) EVENT_DUE(X) EVENT_REQUEST(X)

/* For statements: names, a place for each, the letters of a result. */
#define COLUMN_NAME(name, letter, member, most)   ", " #name
#define COLUMN_PLACE(name, letter, member, most)  ", ?"
#define COLUMN_LETTER(name, letter, member, most) COLUMN_TYPE_##letter
#define COLUMN_TYPE_i                             "i"
#define COLUMN_TYPE_f                             "i"
#define COLUMN_TYPE_b                             "b"

/* Statements of the functions of record.h. */
#define EVENT_STATE_NAMES   "id" EVENT_STATE(COLUMN_NAME)
#define EVENT_STATE_LETTERS "i" EVENT_STATE(COLUMN_LETTER)
#define EVENT_NAMES         "id" EVENT_WHOLE(COLUMN_NAME)
#define EVENT_LETTERS       "i" EVENT_WHOLE(COLUMN_LETTER)
#define EVENT_PLACES        "?" EVENT_WHOLE(COLUMN_PLACE)
#define EVENT_DELIVERY_NAMES                                                   \
	"id" EVENT_DELIVERY(COLUMN_NAME) ", LENGTH(last_error)"
#define EVENT_DELIVERY_LETTERS "i" EVENT_DELIVERY(COLUMN_LETTER) "i"

/* How long a row is, about. */
#define EVENT_BYTES                               "0" EVENT_WHOLE(COLUMN_LENGTH)
#define COLUMN_LENGTH(name, letter, member, most) COLUMN_LENGTH_##letter(name)
#define COLUMN_LENGTH_i(name)
#define COLUMN_LENGTH_f(name)
#define COLUMN_LENGTH_b(name) " + LENGTH(" #name ")"

/* Values of the column status. */
enum row_status {
	ROW_WAITING = 0,
	ROW_PROCESSING = 1,
	ROW_COMPLETED = 2,
	ROW_FAILED = 3,
};

/* Values of the column suspect; see sql/. */
enum { SUSPECT_NOT, SUSPECT_ONCE, SUSPECT_QUARANTINED };

/* Added to the due_ms of a waiting row in quarantine: beyond the year 9999. */
#define STORE_QUARANTINE_MS (INT64_C(1) << 48)

/* The same, times the number of a pause, of one that it holds back; see
 * store/parked.h. */
#define STORE_PARKED_MS (INT64_C(1) << 49)
enum { STORE_PAUSE_NUMBER_MAX = 4095 };
#define STORE_DUE_MAX_MS ((STORE_PAUSE_NUMBER_MAX + 1) * STORE_PARKED_MS - 1)

enum {
	STORE_ATTEMPTS_MAX = 1000000,
	STORE_LOG_MAX = 10000, /* attempts of an event */
};

/* Beyond the year 9999, and far from an overflow. */
#define STORE_TIME_MAX_MS (INT64_C(1) << 49)

/*
 * One more column of events that are found: when the first attempt was, or 0. A
 * join: MariaDB would make a table to keep the results of a subquery in.
 */
#define FIRST_ATTEMPT ", COALESCE(at_ms, 0)"
#define FROM_EVENT_AND_FIRST                                                   \
	" FROM event LEFT JOIN attempt"                                        \
	" ON attempt.event = event.id AND attempt.number = 1"

#endif
