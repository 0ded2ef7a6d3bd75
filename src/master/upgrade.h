/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_UPGRADE_H
#define CASSATA_MASTER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct master;

/* A successor of this master, from its start on. */
struct upgrade;

/*
 * Executes the program's file as a successor. 0, then master_replaced or
 * master_upgrade_failed will be called; or -1 with err.
 */
int upgrade_begin(struct master *m, struct err *err);

/* The successor, if there is one, opens its log again, too. */
void upgrade_reopen_log(const struct master *m);

/* After waitpid. True when that was the successor. */
bool upgrade_on_end(struct master *m, pid_t pid, int wait_status);

/* Monotonic, when to call again; a successor that is late is killed. */
int64_t upgrade_deadline(const struct master *m, int64_t now_ms);

/*
 * Kills a successor that has not taken over; tells one that has the last news.
 * Frees m->upgrade, which may be NULL.
 */
void upgrade_end(struct master *m);

#endif
