/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_SCHEMA_H
#define CASSATA_STORE_SCHEMA_H

#include "sql/sql.h"

enum { STORE_SCHEMA_VERSION = 9 };

/* The files of sql/KIND in order, made by scripts/sql2c; ends with version 0.
 */
struct store_migration {
	int version;
	const char *text;
};

extern const struct store_migration mysql_migrations[];
extern const struct store_migration sqlite_migrations[];

/* See store_check. */
enum store_status schema_check(
    struct sql *sql, bool create, size_t max_event_bytes, struct err *err);

/* The same of what is there, whatever the kind: makes and changes nothing. */
enum store_status schema_look(struct sql *sql, struct err *err);

#endif
