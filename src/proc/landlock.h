/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_LANDLOCK_H
#define CASSATA_PROC_LANDLOCK_H

#include "base/err.h"
#include "proc/sandbox_rules.h"

/* What an ABI brought; each has what those before it have. */
enum {
	LANDLOCK_ABI_FILES = 1,
	LANDLOCK_ABI_TRUNCATE = 3,
	LANDLOCK_ABI_PORTS = 4,
	LANDLOCK_ABI_DEVICES = 5,
	LANDLOCK_ABI_SCOPES = 6, /* signals and abstract sockets of others */
};

/* The ABI of this kernel, 0 when it has no landlock. */
long landlock_abi(void);

/*
 * From now on, for all threads to come, the files and ports of the sandbox are
 * all that can be opened and connected to, as far as this ABI can say so; it
 * must not be above the kernel's. 0 or -1.
 */
int landlock_enter(const struct sandbox *sandbox, long abi, struct err *err);

#endif
