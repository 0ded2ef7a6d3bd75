/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_FREEZE_H
#define CASSATA_MASTER_FREEZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "master/state.h"

/*
 * A frozen daemon does not change its datastore, so that this can be copied:
 * services refuse adds and deletes and still tell of events; workers have left,
 * after the results of what they had on the wire. A file in the state directory
 * marks it: it stays frozen through reloads, upgrades and restarts until it is
 * thawed, which is a reload. The mark says, too, when nothing was under way any
 * more: else what a master that was killed has left may still be at it.
 */

/* At the start, before any child, with the pid file: takes the mark for what it
 * says. 0 or -1. */
int freeze_open(struct master *m, const struct config *cfg, struct err *err);
void freeze_close(struct master *m);

/* Each does nothing when that is so already. 0, or -1: nothing has changed. */
int freeze_begin(struct master *m, struct err *err);
int freeze_end(struct master *m, struct err *err);

/* What has yet to end before a frozen daemon is quiet. A master before this one
 * that still drains counts as a worker, what one that was killed may have left
 * as a write. */
struct freeze_rest {
	size_t n_workers;
	size_t n_writes;
};

struct freeze_rest freeze_rest_of(const struct master *m);

/* Finds whether it is quiet; a service that still writes when
 * master.shutdownTimeout has passed is killed, and at once one whose count of
 * writes is none. When to look again, monotonic,
 * or INT64_MAX. */
int64_t freeze_look(struct master *m, int64_t now_ms);

#endif
