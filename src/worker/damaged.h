/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_WORKER_DAMAGED_H
#define CASSATA_WORKER_DAMAGED_H

#include "store/store_types.h"

/* The lines about rows that claims could not read: up to STORE_DAMAGED_MAX a
 * second, and how many more there were. Zero at first. */
struct damaged {
	int64_t since_ms; /* monotonic: the second's begin */
	size_t n_lines;   /* of this second */
	size_t n_unsaid;
};

/* After each claim, whatever it came upon. */
void damaged_tell(
    struct damaged *damaged, const struct claim_reply *reply, int64_t mono_ms);

#endif
