/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MOVE_LIVING_H
#define CASSATA_STORE_MOVE_LIVING_H

#include "sql/sql.h"

/*
 * STORE_BROKEN, with the way out, when workers are registered there and one of
 * them gives a sign of life, or another one comes, within the longest of their
 * leases. Those that were killed stay registered, and give none.
 */
enum store_status move_refuse_living(struct sql *sql, struct err *err);

#endif
