/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_BATCH_H
#define CASSATA_CTL_CTL_BATCH_H

#include "ctl/ctl.h"

/*
 * event add --file: the events of a file, or of standard input ("-"), which may
 * have any length, in one request. It is read as the server takes it, and each
 * result is told as it comes. Returns an exit code: CTL_FAILED, too, when one
 * of them was refused.
 */
int ctl_batch_add(const struct ctl *ctl, const char *file);

#endif
