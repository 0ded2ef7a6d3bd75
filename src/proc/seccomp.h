/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_SECCOMP_H
#define CASSATA_PROC_SECCOMP_H

#include <stdbool.h>

#include "base/err.h"

/* What a child needs system calls for, beyond what every one does; ored. */
enum {
	NEED_LOOP = 1 << 0,    /* an event loop and threads */
	NEED_CLIENTS = 1 << 1, /* connections that were accepted */
	NEED_FILES = 1 << 2,   /* files of a SQLite datastore */
	NEED_SYSLOG = 1 << 3,  /* sockets of this machine */
	NEED_NET = 1 << 4,     /* those and TCP; libraries that are loaded */
	NEED_NAMES = 1 << 5, /* the resolver's: UDP, questions to the kernel */
	NEED_WAITING = 1 << 6, /* TLS of a datastore: sockets that wait */
};

/* A build has a list for the machines whose numbers of calls it knows. */
enum seccomp_support {
	SECCOMP_THERE,
	SECCOMP_NOT_IN_KERNEL,
	SECCOMP_NOT_IN_BUILD,
};

/* Whether seccomp_enter will do anything, and why not. */
enum seccomp_support seccomp_support(void);

/*
 * From now on, for all threads to come, the calls of the table in seccomp.c for
 * these needs are allowed, and no other: it fails with EPERM, or with ENOSYS if
 * it is newer than the table, so that a library takes the older one. For tests
 * a call that fails with EPERM may end the process by SIGSYS instead. Does
 * nothing where there is no seccomp. 0 or -1.
 */
int seccomp_enter(unsigned needs, bool kills, struct err *err);

#endif
