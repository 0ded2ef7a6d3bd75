/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_LISTENER_H
#define CASSATA_MASTER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	LISTENER_MAX = 16,         /* sockets */
	LISTENER_INHERITED_FD = 3, /* the first one from a service manager */
};

/* The sockets that the service children accept from, non-blocking. */
struct listener {
	size_t n;
	int fds[LISTENER_MAX];
};

/*
 * How many sockets a service manager hands over, by the values of LISTEN_PID
 * and LISTEN_FDS (each NULL when unset): 0 when they are not for process self.
 */
int listener_parse_env(const char *pid, const char *fds, pid_t self);

/* The same from the environment, which loses the variables. */
int listener_inherited(void);

/*
 * Takes n descriptors over; each must be a stream socket that listens. NULL
 * with err.
 */
struct listener *listener_adopt(const int *fds, size_t n, struct err *err);

/*
 * Binds every address of host, as far as this machine has them. A port in use
 * is tried again for retry_ms: children that drain after their master was
 * killed may hold it for a moment. A socket of old (NULL for none) that has the
 * address already is moved over instead. NULL with err.
 */
struct listener *listener_open(const char *host, int port, int64_t retry_ms,
    struct listener *old, struct err *err);

/* Closes the sockets; sets *listener to NULL. */
void listener_free(struct listener **listener);

/* Whether no other host reaches any of them. */
bool listener_is_local(const struct listener *listener);

/* "127.0.0.1:8085", "[::1]:8085", or the path of a Unix socket. 0 or -1. */
int listener_name(int fd, char *text, size_t size);

#endif
