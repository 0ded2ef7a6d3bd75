/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_HTTP_H
#define CASSATA_CTL_CTL_HTTP_H

#include "base/buf.h"
#include "ctl/ctl.h"

/* A client of the HTTP API. */

/*
 * Appends http://HOST:PORT. Without a server of the command line the daemon is
 * asked first, since port 0 is no address; with one, nobody.
 */
void ctl_http_begin_url(
    const struct ctl *ctl, const char *server, struct buf *url);

/* Asks, with body as JSON or NULL, and prints the answer; 2xx is success.
 * Returns an exit code. */
int ctl_http_perform(const struct ctl *ctl, const char *method, const char *url,
    const char *body);

#endif
