/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_MYSQL_BESIDE_H
#define CASSATA_SQL_MYSQL_BESIDE_H

#include <stdbool.h>

#include "sql/mysql_conn.h"

/*
 * Private to the MySQL driver: the way back to a server that is to be preferred
 * to the present one. A thread of its own connects to it, so that nobody waits
 * for one that is still away. One thread uses these; what begins with a
 * connection in use leaves it alone but for its rotation, until it is replaced.
 */
struct mysql_beside;

/* Tries the servers before the present one, from the first. NULL when that
 * cannot be begun. */
struct mysql_beside *mysql_beside_start(const struct mysql_conn *c);

/*
 * When the try is over: puts what was connected in the place of c's connection,
 * unless that has found something as good by itself, and frees beside. False,
 * and nothing else, as long as it is not.
 */
bool mysql_beside_end(struct mysql_beside **beside, struct mysql_conn *c);

/* Waits for the end of the try under way, and frees. */
void mysql_beside_free(struct mysql_beside **beside);

#endif
