/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_SANDBOX_H
#define CASSATA_PROC_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * What the kernel lets a child do from now on, whatever it may be made to run:
 * by landlock the files that it can open and the ports that it can connect to,
 * by seccomp the kinds of sockets, and neither programs nor processes nor
 * anything of an administrator's.
 */
enum { SANDBOX_PATHS = 4 };

struct sandbox {
	/* Directories, with all below them, that files are written in; NULL
	 * entries are passed over. */
	const char *writable[SANDBOX_PATHS];
	const char *readable[SANDBOX_PATHS]; /* files; NULL: passed over */
	bool
	    resolves; /* reads what a resolver and TLS need; Internet sockets */
	bool names; /* looks names up as long as it lives: reads all of /etc */
	bool connects; /* to any port; else only to this one, unless 0 */
	unsigned port;
	bool syslog; /* Unix sockets; who resolves has them anyway */
};

/*
 * For all threads to come; call it before there are any. 0, and then missing
 * says what this kernel does not have (empty for nothing), or -1.
 */
int sandbox_enter(
    const struct sandbox *sandbox, struct err *missing, struct err *err);

#endif
