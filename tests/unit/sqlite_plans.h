/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_TESTS_SQLITE_PLANS_H
#define CASSATA_TESTS_SQLITE_PLANS_H

/*
 * From now on each statement that a connection of this process to an SQLite
 * database runs is planned beside it, and what reads a table to its end that
 * may be long fails the test.
 */
void sqlite_plans_watch(void);

#endif
