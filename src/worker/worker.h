/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_WORKER_H
#define CASSATA_WORKER_WORKER_H

#include "proc/child.h"

/* The entry of a worker child: returns the exit code of the process. */
int worker_main(struct child *child);

#endif
