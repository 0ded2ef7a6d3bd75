/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_PREDECESSOR_H
#define CASSATA_MASTER_PREDECESSOR_H

#include <stdbool.h>

#include "base/err.h"
#include "master/finding.h"
#include "master/state.h"

/*
 * The new master's part of an upgrade: its way to the master before it, from
 * which it hears what its workers cannot see. Each does nothing in a master
 * that follows no other.
 */
struct predecessor;

/* On the loop of the master, before its children start. 0 or -1. */
int predecessor_open(struct master *m, struct err *err);

/* Finds, once, that it has let go of what this master is to take over. */
void predecessor_look(struct predecessor *predecessor, struct finding *finding);

/* It is there, perhaps draining. */
bool predecessor_lives(const struct predecessor *predecessor);

/* Tells it that our children are ready, or why this process leaves. */
void predecessor_tell(const struct master *m, const char *text);

void predecessor_close(struct predecessor **predecessor); /* sets it to NULL */

#endif
