/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_SUCCESSOR_H
#define CASSATA_MASTER_SUCCESSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "master/finding.h"
#include "master/state.h"

/*
 * The old master's part of an upgrade: starts the successor, hears how that
 * went, and, while the own children drain, tells it what its workers cannot
 * see, since they share no scoreboard. What takes a successor accepts NULL.
 */
struct successor;

/*
 * Executes the program's file as a successor. 0, then successor_look will find
 * how that went; or -1 with err.
 */
int successor_begin(struct master *m, struct err *err);

/* After waitpid. True when that was the successor. */
bool successor_reaped(struct successor *successor, pid_t pid, int wait_status);

/* Finds that it has taken over, or why there will be none: then it is to be
 * ended. One that is late is killed. */
void successor_look(
    struct successor *successor, int64_t now_ms, struct finding *finding);

/* Monotonic: when to look again if nothing happens before. */
int64_t successor_deadline(const struct successor *successor);

/* Of one that has taken over. */
pid_t successor_pid(const struct successor *successor);

/* It opens its log again, too. */
void successor_reopen_log(const struct successor *successor);

/*
 * Kills one that has not taken over; tells one that has the last news. Frees
 * it and sets *successor to NULL.
 */
void successor_end(struct successor **successor);

#endif
