/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_SANDBOX_RULES_H
#define CASSATA_PROC_SANDBOX_RULES_H

#include <stdbool.h>

/*
 * What the kernel lets a child do from now on, whatever it may be made to run:
 * by landlock the files that it can open and the ports that it can connect to,
 * by seccomp the system calls that it can make.
 */
enum {
	SANDBOX_PATHS = 4,
	SANDBOX_PORTS = 16,
};

struct sandbox {
	unsigned needs; /* of seccomp.h; NEED_NET and NEED_NAMES also read what
			   a resolver and TLS need, NEED_NAMES all of /etc */
	const char *data_dir; /* files are made and written in it, or NULL */
	const char
	    *report_dir; /* the same, of sanitizers in a build with them */
	/* Also what is put in it later; passed over where it is missing. */
	const char *zone_dir;
	const char *readable[SANDBOX_PATHS]; /* NULL entries are passed over */
	bool connects;                 /* to any port; else only to these */
	unsigned ports[SANDBOX_PORTS]; /* 0: none */
	bool kills; /* a refused call ends the process, for tests */
};

#endif
