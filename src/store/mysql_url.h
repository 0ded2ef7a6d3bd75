/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_STORE_MYSQL_URL_H
#define CASSATA_STORE_MYSQL_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * mysql://USER:PASSWORD@HOST:PORT/NAME?socket=PATH, each part percent-decoded.
 * Without a host (or with a socket) the server is reached by a Unix socket.
 */
struct mysql_url {
	const char *user;     /* NULL: the library's choice */
	const char *password; /* NULL: none */
	const char *host;     /* NULL: Unix socket */
	unsigned port;
	const char *socket; /* NULL: the library's default path */
	const char *name;   /* of the database */
	char *text;         /* owned: what the others point into */
	size_t size;        /* bytes of text */
};

/* 0 or -1; err never shows a part that may be secret. */
int mysql_url_parse(const char *url, struct mysql_url *parsed, struct err *err);

/*
 * Whether nobody on the way can read along: a Unix socket, or a host that is
 * written as a loopback address or localhost.
 */
bool mysql_url_is_local(const struct mysql_url *url);

/* Clears and frees the text. */
void mysql_url_free(struct mysql_url *url);

#endif
