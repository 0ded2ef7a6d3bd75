/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_TESTS_SQL_TWIN_H
#define CASSATA_TESTS_SQL_TWIN_H

#include "sql/sql.h"

/*
 * A third driver: that of SQLite, which fails on demand. Calls that are counted
 * are the beginnings and ends of transactions and the statements, from 1.
 */
enum twin_failure {
	TWIN_NONE,
	TWIN_FAILS,  /* the call fails; nothing of it has happened */
	TWIN_AGAIN,  /* so, too, as a transaction that meets another one */
	TWIN_BREAKS, /* so, too, and the connection is gone */
	TWIN_LOST,   /* it happens, its answer is lost, the connection gone */
};

struct twin {
	enum twin_failure failure;
	unsigned fails_at; /* the call it is for; later ones go well */
	unsigned n_calls;
	bool elsewhere; /* what breaks may be had at once from another server */
	/* Every transaction meets another one, each at another call, and goes
	 * well the second time. */
	bool meets;
	unsigned n_met;
	/* Before the call of this number, which waits as long as this does. */
	void (*stall)(void);
	unsigned stalls_at;
	bool short_of_memory; /* no row that is looked at can be read whole */
};

/* Of all connections of the twin in the process. */
extern struct twin twin;
extern const struct sql_driver sql_twin;

#endif
