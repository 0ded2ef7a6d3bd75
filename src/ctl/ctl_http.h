/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_HTTP_H
#define CASSATA_CTL_CTL_HTTP_H

#include <stdio.h>

#include "base/buf.h"
#include "ctl/ctl.h"

/* A client of the HTTP API. */

/*
 * Appends http://HOST:PORT. Without a server of the command line the daemon is
 * asked first, since port 0 is no address; with one, nobody.
 */
void ctl_http_begin_url(
    const struct ctl *ctl, const char *server, struct buf *url);

/*
 * Asks, with body as JSON or NULL. The answer, to be freed in any case, is that
 * of a success (2xx); of any other what it says is printed. Returns an exit
 * code.
 */
int ctl_http_ask(const struct ctl *ctl, const char *method, const char *url,
    const char *body, struct buf *answer);

/* The same, and prints the answer. */
int ctl_http_perform(const struct ctl *ctl, const char *method, const char *url,
    const char *body);

/*
 * Prints what clients and destinations wrote. What a terminal would take for a
 * command (C0, DEL, C1), what turns the direction of a line, and what is no
 * UTF-8 is printed as JSON's escape; an LF and a tab, too, unless there may be
 * lines. Returns how many characters that are.
 */
size_t ctl_http_print(FILE *out, struct slice text, bool lines);

#endif
