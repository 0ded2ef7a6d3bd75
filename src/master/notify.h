/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_NOTIFY_H
#define CASSATA_MASTER_NOTIFY_H

#include <sys/types.h>

/*
 * What the service manager is told, as datagrams to the Unix socket that
 * NOTIFY_SOCKET names (a path, or @ and an abstract name); nothing happens
 * without it. A failure is logged: the daemon works without its manager.
 */
void notify_ready(void);
void notify_replaced(pid_t pid); /* by this process */
void notify_reloading(void);
void notify_stopping(void);

#endif
