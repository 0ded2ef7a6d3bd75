/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_STORE_TLS_H
#define CASSATA_STORE_STORE_TLS_H

/* What of TLS a server of a datastore must speak; datastore.tls. */
enum store_tls {
	STORE_TLS_BY_HOST, /* verify; off for a server on this machine */
	STORE_TLS_OFF,
	STORE_TLS_REQUIRE, /* with whatever certificate */
	STORE_TLS_VERIFY,  /* with one for its name, by somebody we trust */
};

#endif
