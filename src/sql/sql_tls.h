/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_SQL_SQL_TLS_H
#define CASSATA_SQL_SQL_TLS_H

/* What of TLS a server of a datastore must speak; datastore.tls. */
enum sql_tls {
	SQL_TLS_BY_HOST, /* verify; off for a server on this machine */
	SQL_TLS_OFF,
	SQL_TLS_REQUIRE, /* with whatever certificate */
	SQL_TLS_VERIFY,  /* with one for its name, by somebody we trust */
};

#endif
