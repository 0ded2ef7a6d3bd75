/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_PREFLIGHT_H
#define CASSATA_PROC_PREFLIGHT_H

#include "proc/child.h"

/*
 * The child that tries a configuration before any other child runs with it:
 * the master never touches the datastore itself. It blocks in the datastore's
 * calls, so it has no loop and no signals: its master ends it with SIGKILL.
 */
int preflight_main(struct child *child);

#endif
