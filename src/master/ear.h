/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_EAR_H
#define CASSATA_MASTER_EAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "board/scoreboard.h"
#include "config/config.h"

/*
 * The master's ear for the bell that it shares with other masters of its host
 * (board/bell.h): what they ring goes to its own workers. However often they
 * do, it listens a few hundred times a second at most, and what it cannot
 * follow makes its workers look at everything once. Where somebody removes the
 * file it is made again, and heard beside that of before.
 */
struct ear;

/*
 * Listens from now on, and has the workers look once for what was rung before.
 * pause_ms: the least between two times. NULL with a reason.
 */
struct ear *ear_create(struct loop *loop, const struct scoreboard *sb,
    const struct config *cfg, int64_t pause_ms, struct err *err);

/* The file goes with the last one that has it open. *ear may be NULL, and is
 * after. */
void ear_free(struct ear **ear);

/* Whether it hears what these children ring. */
bool ear_is_of(const struct ear *ear, const struct config *cfg);

#endif
