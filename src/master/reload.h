/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_RELOAD_H
#define CASSATA_MASTER_RELOAD_H

#include <stdint.h>

#include "master/finding.h"
#include "master/state.h"

/*
 * How one generation of children follows another; a start is a reload from
 * nothing. Until the next one is ready nothing of the current one changes.
 */

/*
 * Starts a generation with cfg, whose content it takes over. First a preflight
 * tries the datastore, in a process of its own since this one keeps away from
 * it, then the children are started. 0 or -1; then all is as before.
 */
int reload_begin(struct master *m, struct config *cfg, struct err *err);

/* Reads the configuration again and begins with it, or finds why not. */
void reload_again(struct master *m, struct finding *finding);

/* The next generation is ready: it is the current one, the old one drains. */
void reload_commit(struct master *m);

/* The children of the next generation go, if there is one; what there was
 * before stays. */
void reload_abandon(struct master *m);

#endif
