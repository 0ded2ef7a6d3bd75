/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_PROC_CONTROL_CLIENT_H
#define CASSATA_PROC_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Sends one line of control_proto.h to the master and appends all it says to
 * answer. 0; -1 with err when there is no master (*absent) or it does not
 * answer in time.
 */
int control_ask(const char *socket_path, const char *line, int64_t timeout_ms,
    struct buf *answer, bool *absent, struct err *err);

#endif
