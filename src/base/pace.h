/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_BASE_PACE_H
#define CASSATA_BASE_PACE_H

#include <stdint.h>

/*
 * Long work beside others that must not wait for it: in short stretches, with a
 * rest after each. Who computes for milliseconds without one keeps a processor
 * as long as the kernel's slice, and who is woken meanwhile waits for it: so it
 * is the stretch that makes others late, much more than its share.
 */
struct pace {
	unsigned rests; /* so many times as long as it worked; 0: none */
	int64_t since_us; /* private, 0 at first */
};

enum {
	PACE_STRETCH_US = 250, /* no rest after less than that */
	PACE_REST_MS = 100,    /* is enough, unless it worked for longer; */
	PACE_REST_MAX_MS = 2000, /* or was stopped amid its work */
};

/* Its work begins, unless it has. */
void pace_begin(struct pace *pace);

/* Between two parts of the work, as short as can be: rests if it is time to. */
void pace_rest(struct pace *pace);

#endif
