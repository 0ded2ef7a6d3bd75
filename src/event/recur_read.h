/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_RECUR_READ_H
#define CASSATA_EVENT_RECUR_READ_H

#include "base/json_scan.h"
#include "event/recur.h"

/* Bytes of the JSON of one. */
enum { RECUR_TEXT_MAX = 4096 };

/* What is wrong with it: where, as the rest of an RFC 6901 pointer, and how. */
struct recur_error {
	char where[32]; /* "", "/cron" */
	char reason[240];
};

/*
 * Reads {"cron": "0 9 * * *", "time-zone": "Europe/Berlin", …}, as a client or
 * the datastore has it; doc/api.md has all members. 0, or -1 with error.
 */
int recur_read(const struct json_value *value, struct recur *recur,
    struct recur_error *error);

/*
 * Of one that a client sends: whether two of its next times are closer than
 * min_period_ms, of the first of them after after_s; whether there is one at
 * all; and whether a step is one. 0, or -1 with error.
 */
int recur_check(const struct recurring *at, int64_t after_s,
    int64_t min_period_ms, struct recur_error *error);

#endif
