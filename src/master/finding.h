/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_FINDING_H
#define CASSATA_MASTER_FINDING_H

#include "base/buf.h"
#include "base/slice.h"
#include "master/phase.h"

/*
 * What a part of the master found out. The parts return it; master.c alone
 * makes of it a change of phase, lines in the log, and answers to who waits.
 */
struct finding {
	enum cause cause;   /* CAUSE_NONE: nothing */
	struct buf reasons; /* of a failure, one a line */
};

/* Nothing found; finding_free frees the reasons. */
void finding_init(struct finding *finding);
void finding_free(struct finding *finding);

/* A failure; each call adds a reason. */
void finding_fail(
    struct finding *finding, enum cause cause, const char *reason);

/* The reasons of a failure, at least one. */
struct slice finding_reasons(const struct finding *finding);

/* Takes the first line from the text. False when there is none left. */
bool finding_next_reason(struct slice *text, struct slice *line);

#endif
