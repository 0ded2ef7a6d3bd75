/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_ZONES_H
#define CASSATA_BASE_ZONES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tzif.h"

enum {
	ZONE_NAME_MAX = 64,
	ZONES_KEPT = 32,      /* in memory, those that were used last */
	ZONES_CHECK_MS = 1000 /* so often a file is looked at again */
};

/*
 * The time zones of a directory of TZif files, by their names: "Europe/Berlin".
 * A file that was replaced is read again, also of a zone that is in memory. One
 * thread uses it.
 */
struct zones;

/* That of the C library: $TZDIR, or /usr/share/zoneinfo. */
const char *zones_directory(void);

/* NULL when memory is short. */
struct zones *zones_create(const char *directory);
void zones_free(struct zones **zones); /* sets *zones to NULL */

/*
 * Whether it may be one: letters, digits, "_", "+", "-" and "." in parts, which
 * "/" divides and which begin with no point; so it leads nowhere else.
 */
bool zones_is_name(struct slice name);

/*
 * The zone, valid until the next call; NULL with the reason in err when the
 * name is none, or the file is not there or is none. mono_ms is the time.
 */
const struct tzif *zones_find(
    struct zones *zones, struct slice name, int64_t mono_ms, struct err *err);

#endif
