/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_MASTER_PHASE_H
#define CASSATA_MASTER_PHASE_H

#include "base/err.h"

/*
 * What a master is at, and what follows from what happens to it. Pure. There is
 * one change of generations or of masters at a time.
 */
enum phase {
	PHASE_STARTING,  /* its first children are not ready yet */
	PHASE_FOLLOWING, /* the same, beside the master before it */
	PHASE_WAITING,   /* they are ready: the master before it may let go */
	PHASE_SERVING,
	PHASE_RELOADING,
	PHASE_UPGRADING,  /* a successor starts */
	PHASE_TAKEN_OVER, /* the successor serves, this one drains */
	PHASE_STOPPING,
	PHASES,
	PHASE_REFUSED = PHASES, /* not now: nothing changes */
	PHASE_NEVER             /* our own fault */
};

enum cause {
	CAUSE_READY,        /* the next generation is */
	CAUSE_FAILED,       /* the next generation, or its configuration */
	CAUSE_LET_GO,       /* the master before this one has, or is gone */
	CAUSE_REPLACED,     /* the successor is ready, and was told */
	CAUSE_NO_SUCCESSOR, /* it failed */
	CAUSE_RELOAD,       /* asked for, as those that follow */
	CAUSE_UPGRADE,
	CAUSE_STOP,
	CAUSES,
	CAUSE_NONE = CAUSES /* nothing happened */
};

/* The phase that follows, or PHASE_REFUSED or PHASE_NEVER. */
enum phase phase_on(enum phase phase, enum cause cause);

/* Sets the reason why the phase refuses what is asked for. Returns -1. */
int phase_refuse(enum phase phase, struct err *refused);

/* The "state" of a status: "starting", "ready", "draining". */
const char *phase_state(enum phase phase);

#endif
