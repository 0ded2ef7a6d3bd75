/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_FOLLOW_H
#define CASSATA_MASTER_FOLLOW_H

#include "base/err.h"

struct master;

/*
 * The new master's part of an upgrade. Each does nothing in a master that
 * follows no other.
 */

/* On the loop of the master, before its children start. 0 or -1. */
int follow_open(struct master *m, struct err *err);

/* Tells the old master that the children are ready. */
void follow_ready(struct master *m);

/* Tells the old master why this one leaves. */
void follow_failed(const struct master *m, const char *reason);

void follow_close(struct master *m);

#endif
