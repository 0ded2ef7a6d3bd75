/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_MYSQL_TRUST_H
#define CASSATA_SQL_MYSQL_TRUST_H

#include <stdbool.h>

#include <mysql.h>

#include "base/err.h"
#include "sql/datastore.h"
#include "sql/sql_url.h"

/*
 * Private to the MySQL driver: who the server must be before it hears of our
 * password, and how it is told. One who stands in for it, on the way, on a port
 * of this machine or on a socket's path, must not get the password out of it.
 */
struct mysql_trust {
	enum sql_tls asked; /* datastore.tls */
	char *ca_file;      /* owned, as the others; NULL: the system's */
	char *certificate;  /* NULL: none */
	char *key;
};

/*
 * Copies what the parameters say. 0, or -1 for settings that contradict each
 * other. The environment of the process keeps no word in this.
 */
int mysql_trust_init(struct mysql_trust *trust,
    const struct store_params *params, const struct sql_place *place,
    struct err *err);
void mysql_trust_fini(struct mysql_trust *trust);

/* Tells a connection to be, to that host, or NULL for a socket; 0 or -1. */
int mysql_trust_ask(const struct mysql_trust *trust,
    const struct sql_host *host, MYSQL *mysql, struct err *err);

/* Whether the connection is what was asked for; 0 or -1. */
int mysql_trust_check(const struct mysql_trust *trust,
    const struct sql_host *host, MYSQL *mysql, struct err *err);

/* Why a connection was not made: the library's text, and which key is meant. */
void mysql_trust_explain(const struct mysql_trust *trust,
    const struct sql_host *host, unsigned code, const char *text,
    struct err *err);

#endif
