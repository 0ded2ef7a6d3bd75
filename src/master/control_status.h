/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CONTROL_STATUS_H
#define CASSATA_MASTER_CONTROL_STATUS_H

#include "base/buf.h"
#include "master/state.h"

/*
 * Appends the status document of proc/control_proto.h and LF, or an "error: "
 * line when memory is short.
 */
void control_status_write(const struct master *m, struct buf *answer);

#endif
