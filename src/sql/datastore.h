/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_DATASTORE_H
#define CASSATA_SQL_DATASTORE_H

#include <stddef.h>
#include <stdint.h>

#include "sql/sql_tls.h"

/* What every floor above says of a datastore. */

enum store_status {
	STORE_OK,
	STORE_UNAVAILABLE, /* try again later: nothing is known to have happened */
	STORE_BROKEN,	   /* will fail again: schema, rights, corrupt data */
	STORE_DAMAGED,	   /* of a row that was asked for: it cannot be read */
};

/* A write lock that all processes of one SQLite file share; see write_lock.h. */
struct write_lock;

struct store_params {
	const char
	    *url; /* sqlite:PATH or mysql://user:password@host:port,.../name */
	const char *state_dir;	/* a relative SQLite path starts here */
	const char *password;	/* replaces the one in url, or NULL */
	enum sql_tls tls;	/* MySQL, as the paths of PEM files, or NULL: */
	const char *tls_ca_file;     /* the system's */
	const char *tls_certificate; /* none; goes with tls_key */
	const char *tls_key;
	int64_t connect_timeout_ms;
	int64_t return_after_ms; /* to the first of several servers; 0: never */
	int64_t timeout_ms;	/* of one read or write, and of waiting for locks */
	size_t max_event_bytes; /* that an add may bring; 0: not checked */
	int64_t min_free_bytes; /* SQLite: that adds leave for all else; 0: none */
	struct write_lock *write_lock; /* SQLite, or NULL: busy time-out only */
};

#endif
