/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BOARD_ROLE_H
#define CASSATA_BOARD_ROLE_H

enum role {
	ROLE_MASTER,
	ROLE_PREFLIGHT,
	ROLE_METRICS,
	ROLE_SERVICE,
	ROLE_WORKER
};

/* "master", "preflight", "metrics", "service", "worker". Static text. */
const char *role_name(enum role role);

/*
 * Exit codes of children. A child that ends with EXIT_NO_RESPAWN can never
 * work: its master does not start it again.
 */
enum { EXIT_CHILD_OK = 0, EXIT_CHILD_FAILED = 1, EXIT_NO_RESPAWN = 3 };

#endif
