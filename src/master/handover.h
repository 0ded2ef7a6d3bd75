/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_HANDOVER_H
#define CASSATA_MASTER_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "master/listener.h"

/*
 * What a master and its successor, perhaps of another version, have in common.
 *
 * The descriptors are inherited; the environment variable names them. fd is one
 * end of a pair of SOCK_SEQPACKET sockets. The successor sends HANDOVER_READY,
 * or the text of its errors, for which fd is its standard error, too, until it
 * has read its configuration. The master answers HANDOVER_READY with the record
 * 0: now the successor holds pid file and control socket. More records tell it
 * what its workers cannot see: an owner of leases that is gone, or 0 for leases
 * set free and events added.
 */
#define HANDOVER_VARIABLE "CASSATA_UPGRADE"
#define HANDOVER_READY    "ready\n"

enum {
	HANDOVER_FORMAT = 3,
	HANDOVER_TEXT_MAX = 320, /* bytes of the variable, with NUL */
};

struct handover {
	int fd;
	int stderr_fd;  /* the standard error for later */
	int control_fd; /* listens */
	int write_lock_fd;
	bool activated; /* the sockets are a service manager's */
	size_t n_listen;
	int listen_fds[LISTENER_MAX];
};

/* The value of the variable, in a buffer of HANDOVER_TEXT_MAX. */
void handover_format(const struct handover *handover, char *text);

/* 0, or -1 when that is no value of the variable, or one of another format. */
int handover_parse(const char *text, struct handover *handover);

/*
 * Takes the descriptors that the environment names, which loses the variable.
 * 1; 0 when this process follows no other; -1 with err.
 */
int handover_take(struct handover *handover, struct err *err);

#endif
