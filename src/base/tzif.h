/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_TZIF_H
#define CASSATA_BASE_TZIF_H

#include "base/err.h"
#include "base/slice.h"
#include "base/tz_rule.h"

/*
 * A time zone: a TZif file of the versions 1 to 4 (RFC 9636). Times are seconds
 * since 1970-01-01: of UTC, or local ones, read as if they were UTC.
 */
struct tzif;

/* Larger ones are refused; the largest of the database of 2026 has 4 KB. */
enum { TZIF_BYTES_MAX = 65536 };

/* Beyond them (some 10^6 years) nothing is to be asked. */
#define TZIF_TIME_MAX_S (INT64_C(1) << 45)

/*
 * Reads the content of a file, which may then be freed. A file that counts leap
 * seconds is refused: its times are no POSIX times. NULL with the reason in err
 * when it is none; else to be given to tzif_free.
 */
struct tzif *tzif_parse(struct slice file, struct err *err);
void tzif_free(struct tzif **tz); /* sets *tz to NULL */

/* The span that utc_s is in; the one before it ends where it begins, but may
 * have the same offset. */
struct tz_span tzif_span(const struct tzif *tz, int64_t utc_s);

/* What a local time is. */
struct tz_local {
	enum {
		TZ_ONCE,
		TZ_GAP,   /* it does not exist: clocks go over it */
		TZ_TWICE, /* or more often */
	} fit;
	/* UTC: when it comes first and last; of a gap, which ends at the same
	 * moment as it begins, that moment, twice. */
	int64_t first_s, last_s;
};

struct tz_local tzif_local(const struct tzif *tz, int64_t local_s);

#endif
