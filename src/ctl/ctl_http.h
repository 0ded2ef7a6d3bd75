/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_HTTP_H
#define CASSATA_CTL_CTL_HTTP_H

#include <curl/curl.h>

#include "base/buf.h"
#include "ctl/ctl.h"

/* A client of the HTTP API. */

/* How long a whole answer may take, or the next result of a long one:
 * --timeout, or a minute. */
int64_t ctl_http_timeout_ms(const struct ctl *ctl);

/*
 * Makes http://HOST:PORT PATH [/APP] [/ID] TAIL in url, to be freed in any
 * case: ids that are not NULL are encoded. Without a server of the command line
 * the daemon is asked where it listens, since port 0 is no address; with one,
 * nobody. CTL_OK, or CTL_FAILED after it said why.
 */
int ctl_http_url(const struct ctl *ctl, struct buf *url, const char *path,
    const char *app, const char *id, const char *tail);

/*
 * Asks, with body as JSON or NULL: the HTTP status of the answer, which is to be
 * freed in any case, or -1 with err when there was none.
 */
long ctl_http_send(const struct ctl *ctl, const char *method, const char *url,
    const char *body, struct buf *answer, struct err *err);

/*
 * Asks, with body as JSON or NULL. The answer, to be freed in any case, is that
 * of a success (2xx); of any other ctl_answer_refused tells, with what. Its
 * failed says that there was none. Returns an exit code.
 */
int ctl_http_ask_about(const struct ctl *ctl, const char *what,
    const char *method, const char *url, const char *body, struct buf *answer);

/* The same of what needs no name. */
int ctl_http_ask(const struct ctl *ctl, const char *method, const char *url,
    const char *body, struct buf *answer);

/* Whether answers are for people: on a terminal, without --json. */
bool ctl_http_is_table(const struct ctl *ctl);

/* Prints an answer, an object, as that or as a line of JSON. Returns an exit
 * code. */
int ctl_http_show(const struct ctl *ctl, struct buf *answer);

/* Asks, and prints the answer. */
int ctl_http_perform(const struct ctl *ctl, const char *method, const char *url,
    const char *body);

/*
 * A transfer to that server and no other: no proxy of the environment, where
 * sudo may have left the caller's, no password of a file, no redirection, no
 * other protocol.
 */
void ctl_http_set_server(CURL *easy, const char *url);

#endif
