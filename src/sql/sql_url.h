/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQL_URL_H
#define CASSATA_SQL_SQL_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sql/sql_tls.h"

enum sql_kind { SQL_MYSQL, SQL_SQLITE };

/* Beneath the state directory: of the users of a datastore, not the master. */
#define SQL_DATA_DIR "data"

enum {
	SQL_HOSTS_MAX = 16, /* of one URL */
	SQL_HOST_BYTES_MAX = 255,
};

/* A database server that a URL names. */
struct sql_host {
	const char *name; /* or address */
	unsigned port;
	bool is_local; /* written as a loopback address or localhost */
	bool is_name;  /* and is looked up */
};

/*
 * What the URL of a datastore says, and what a process needs to reach it.
 *
 * sqlite:PATH
 * mysql://[USER[:PASSWORD]@][HOST[:PORT][,HOST[:PORT]]...]/NAME[?socket=PATH]
 *
 * The parts of the second are percent-decoded. Without a host, or with a
 * socket, the server is reached by a Unix socket. Several hosts are servers of
 * the same datastore, the one to be preferred first.
 */
struct sql_place {
	enum sql_kind kind;
	char *shown; /* the URL without user and password; a file with
			its whole path */
	bool
	    takes_write_lock; /* who writes takes turns with all on this host */
	/* SQLite; NULL otherwise. */
	char *file;
	/* MySQL; NULL and 0 otherwise. */
	struct sql_host hosts[SQL_HOSTS_MAX];
	unsigned n_hosts;     /* 0: Unix socket, and zeroes in hosts[0] */
	const char *socket;   /* NULL: the library's default path */
	const char *name;     /* of the database */
	const char *user;     /* NULL: the library's choice */
	const char *password; /* NULL: none */
	char *text;           /* owned: what they point into */
	size_t size;          /* bytes of text */
};

/*
 * A relative PATH begins in state_dir unless that is NULL; a file in that
 * directory itself is in its SQL_DATA_DIR. 0; or -1, where err never shows a
 * part that may be secret, and there is nothing to free.
 */
int sql_describe(const char *url, const char *state_dir,
    struct sql_place *place, struct err *err);

/*
 * What datastore.tls comes to with this server: never SQL_TLS_BY_HOST. NULL is
 * a Unix socket; on the way to that, as to a local host, nobody can read along.
 */
enum sql_tls sql_host_tls(const struct sql_host *host, enum sql_tls asked);

/* Of the list, from 1; NULL for a number that is not in it, whoever says it. */
const struct sql_host *sql_place_host(
    const struct sql_place *place, unsigned number);

/* HOST:PORT as in a URL, not decoded; or "" when host is NULL. */
enum { SQL_WHERE_BYTES = SQL_HOST_BYTES_MAX + sizeof("[]:65535") };
void sql_host_show(const struct sql_host *host, char text[SQL_WHERE_BYTES]);

/* Clears what may be secret, and all else. */
void sql_place_free(struct sql_place *place);

#endif
