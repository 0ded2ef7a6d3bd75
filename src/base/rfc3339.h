/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_RFC3339_H
#define CASSATA_BASE_RFC3339_H

#include <stdint.h>

#include "base/slice.h"

/*
 * A date-time of RFC 3339 (5.6), "2027-03-28T09:00:00.250+02:00": *ms since
 * 1970-01-01 UTC, negative before it; what is finer than a millisecond is cut
 * off. A leap second is the second after it. 0, or -1 when text is none.
 */
int rfc3339_parse(struct slice text, int64_t *ms);

/*
 * A date and a time of day without an offset, "2027-03-28T09:00:00", as wall
 * clocks show them, whole seconds and no leap second: *local_s since 1970-01-01
 * as if it were UTC, which base/tzif takes. 0, or -1 when text is none.
 */
int rfc3339_parse_local(struct slice text, int64_t *local_s);

enum { RFC3339_TEXT = 40 };

/*
 * A moment of the years 0 to 9999 as clocks offset_s east of UTC show it,
 * "2027-03-28T09:00:00+02:00", with three decimals where it is no whole second;
 * as of UTC, with a Z, where the offset is 0 or none of minutes.
 */
void rfc3339_write(int64_t ms, int32_t offset_s, char text[RFC3339_TEXT]);

#endif
