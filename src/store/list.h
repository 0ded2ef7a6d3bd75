/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_LIST_H
#define CASSATA_STORE_LIST_H

#include "sql/sql.h"
#include "store/store_types.h"

/* See store_list_begin and store_list. */
struct list_place list_begin(const struct list_query *query);
enum store_status list_go_on(
    struct sql *sql, struct list_step *step, struct err *err);

#endif
