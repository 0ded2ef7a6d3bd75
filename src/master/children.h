/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CHILDREN_H
#define CASSATA_MASTER_CHILDREN_H

#include "master/master.h"

/*
 * The life of each child, whichever generation it belongs to: started when it
 * is due, heard, buried, replaced, killed when it is late.
 */

/* After SIGCHLD: whoever has ended. */
void children_reap(struct master *m);

/*
 * Starts and kills what is due. Returns when to look again, monotonic, or
 * INT64_MAX.
 */
int64_t children_tick(struct master *m);

#endif
