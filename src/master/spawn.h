/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_SPAWN_H
#define CASSATA_MASTER_SPAWN_H

#include "base/err.h"
#include "base/loop.h"
#include "master/place.h"

struct generation;
struct master;

/*
 * Starts a child in the empty place; does not return in the child. on_report is
 * called with the master when the child reports.
 * 0, or -1 when there is no slot or no process to be had.
 */
int spawn_child(struct master *m, const struct generation *gen,
    struct place *place, loop_io_fn on_report, struct err *err);

/* After waitpid: the place is empty, its slot free. */
void spawn_vacate(struct master *m, struct place *place, int wait_status);

#endif
