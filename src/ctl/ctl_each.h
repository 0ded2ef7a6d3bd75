/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_EACH_H
#define CASSATA_CTL_CTL_EACH_H

#include "base/buf.h"
#include "ctl/ctl.h"

/* One request about each of several ids. */
struct ctl_each {
	const char *method;
	/* Of its URL, as of ctl_http_url. */
	const char *path, *app, *tail;
	const char *body; /* JSON, or NULL */
	/* Prints an answer and returns an exit code; NULL: ctl_http_show. */
	int (*show)(const struct ctl *ctl, struct buf *answer, bool first);
};

/* Asks about one, as ctl_http_ask_about. */
int ctl_each_ask(const struct ctl *ctl, const struct ctl_each *each,
    const char *what, const char *id, struct buf *answer);

/*
 * One after the other; those behind one that is refused, too, but none behind
 * one that there was no answer to. Returns an exit code: that of the last one
 * that failed.
 */
int ctl_each(
    const struct ctl *ctl, const struct ctl_each *each, char **ids, int n);

#endif
