/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_CHILDREN_H
#define CASSATA_MASTER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/finding.h"
#include "master/state.h"

/*
 * The life of each child, whichever generation it belongs to: started when it
 * is due, heard, buried, replaced, killed when it is late. What that means for
 * a generation that is being started is found.
 */

/* After waitpid of any child. */
void children_reaped(
    struct master *m, pid_t pid, int wait_status, struct finding *finding);

/* Starts what is due, up to a finding: then there may be more. */
void children_start_due(
    struct master *m, int64_t now_ms, struct finding *finding);

/* Kills who is late. When to look again, monotonic, or INT64_MAX. */
int64_t children_deadline(struct master *m, int64_t now_ms);

/* Whether it is a child of ours, which 0 is none of; then it is killed for the
 * reason. */
bool children_kill(struct master *m, pid_t pid, const char *reason);

#endif
