/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_EVENT_EVENT_TIME_H
#define CASSATA_EVENT_EVENT_TIME_H

#include <stdint.h>

#include "base/json_scan.h"

/*
 * A moment as clients write it: seconds since 1970-01-01 UTC, with what is
 * finer than a millisecond cut off, or a date-time of RFC 3339. In
 * milliseconds, before the year 10000; -1 with what is wrong, for the client.
 * A text is read in place (json_unescape).
 */
int64_t event_time_read(const struct json_value *value, const char **reason);

#endif
