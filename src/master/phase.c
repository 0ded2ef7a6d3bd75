/* SPDX-License-Identifier: ISC */
#include "master/phase.h"

#include "base/check.h"

static const struct {
	const char *state;
	const char *refusal;
	enum phase next[CAUSES];
} phases[PHASES] = {
    [PHASE_STARTING] = {"starting", "a start is under way",
	{
	    [CAUSE_READY] = PHASE_SERVING,
	    [CAUSE_FAILED] = PHASE_STOPPING,
	    [CAUSE_LET_GO] = PHASE_STARTING,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
    [PHASE_FOLLOWING] = {"starting", "a start is under way",
	{
	    [CAUSE_READY] = PHASE_WAITING,
	    [CAUSE_FAILED] = PHASE_STOPPING,
	    [CAUSE_LET_GO] = PHASE_STARTING,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
    [PHASE_WAITING] = {"starting", "a start is under way",
	{
	    [CAUSE_READY] = PHASE_NEVER,
	    [CAUSE_FAILED] = PHASE_NEVER,
	    [CAUSE_LET_GO] = PHASE_SERVING,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
    [PHASE_SERVING] = {"ready", "",
	{
	    [CAUSE_READY] = PHASE_NEVER,
	    [CAUSE_FAILED] = PHASE_NEVER,
	    [CAUSE_LET_GO] = PHASE_SERVING,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_RELOADING,
	    [CAUSE_UPGRADE] = PHASE_UPGRADING,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
    [PHASE_RELOADING] = {"ready", "a reload is under way",
	{
	    [CAUSE_READY] = PHASE_SERVING,
	    [CAUSE_FAILED] = PHASE_SERVING,
	    [CAUSE_LET_GO] = PHASE_RELOADING,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
    [PHASE_UPGRADING] = {"ready", "an upgrade is under way",
	{
	    [CAUSE_READY] = PHASE_NEVER,
	    [CAUSE_FAILED] = PHASE_NEVER,
	    [CAUSE_LET_GO] = PHASE_UPGRADING,
	    [CAUSE_REPLACED] = PHASE_TAKEN_OVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_SERVING,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
    [PHASE_TAKEN_OVER] = {"draining",
	"another process has taken over: ask again",
	{
	    [CAUSE_READY] = PHASE_NEVER,
	    [CAUSE_FAILED] = PHASE_NEVER,
	    [CAUSE_LET_GO] = PHASE_TAKEN_OVER,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_REFUSED,
	}},
    [PHASE_STOPPING] = {"draining", "the daemon is stopping",
	{
	    [CAUSE_READY] = PHASE_NEVER,
	    [CAUSE_FAILED] = PHASE_NEVER,
	    [CAUSE_LET_GO] = PHASE_STOPPING,
	    [CAUSE_REPLACED] = PHASE_NEVER,
	    [CAUSE_NO_SUCCESSOR] = PHASE_NEVER,
	    [CAUSE_RELOAD] = PHASE_REFUSED,
	    [CAUSE_UPGRADE] = PHASE_REFUSED,
	    [CAUSE_STOP] = PHASE_STOPPING,
	}},
};

enum phase
phase_on(enum phase phase, enum cause cause)
{
	check(phase < PHASES && cause < CAUSES);
	return phases[phase].next[cause];
}

int
phase_refuse(enum phase phase, struct err *refused)
{
	check(phase < PHASES);
	return err_set(refused, "%s", phases[phase].refusal);
}

const char *
phase_state(enum phase phase)
{
	check(phase < PHASES);
	return phases[phase].state;
}
