/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_CTL_CTL_BODY_H
#define CASSATA_CTL_CTL_BODY_H

#include "base/buf.h"
#include "ctl/ctl.h"

enum { CTL_BODY_MAX = 256 * 1024 * 1024 };

/* What is to be delivered: the word as it stands, @FILE, or - for standard
 * input. 0, or an exit code. */
int ctl_body_read(const struct ctl *ctl, const char *word, struct buf *out);

#endif
