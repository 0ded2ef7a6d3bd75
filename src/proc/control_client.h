/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_CONTROL_CLIENT_H
#define CASSATA_PROC_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Sends one line of control_proto.h to the master and appends all it says to
 * answer. 0; -1 with err when there is no master (*absent), it does not answer
 * in time, or it runs as stranger, a user other than root (0: none).
 */
int control_ask(const char *socket_path, uid_t stranger, const char *line,
    int64_t timeout_ms, struct buf *answer, bool *absent, struct err *err);

#endif
