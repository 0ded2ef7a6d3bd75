/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CHANGE_H
#define CASSATA_MASTER_CHANGE_H

#include "master/master.h"

/*
 * How one generation of children follows another: the start from none to the
 * first, and each reload. Until the next one is ready nothing of the current
 * one changes.
 */

/*
 * Starts a generation with cfg, whose content it takes over. First a preflight
 * tries the datastore, in a process of its own since this one keeps away from
 * it, then the children are started. 0 or -1; then all is as before.
 */
int change_begin(struct master *m, struct config *cfg, struct err *err);

/* The next generation is ready: it is the current one, the old one drains. */
void change_done(struct master *m);

/*
 * The next generation will not do: its children go, what there was before
 * stays. Without any, this process leaves with the reason.
 */
void change_failed(struct master *m, const char *reason);

/* A reload is over: NULL, or what was wrong. It is logged and answered. */
void change_end(struct master *m, const struct config_errors *errors);
void change_refused(struct master *m, const char *reason);

#endif
