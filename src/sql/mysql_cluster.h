/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_MYSQL_CLUSTER_H
#define CASSATA_SQL_MYSQL_CLUSTER_H

#include "sql/sql.h"

/*
 * A server that is one of a Galera cluster or of MySQL's group replication:
 * what was committed through another one is applied here a moment later, and a
 * transaction goes to all of them as one message, of a largest size.
 */

/* Of a new connection: cluster and transaction_max of sql. */
enum store_status mysql_cluster_ask(struct sql *sql, struct err *err);

/* See sql_catch_up. */
enum store_status mysql_cluster_catch_up(struct sql *sql, struct err *err);

#endif
