/* SPDX-License-Identifier: ISC */
#ifndef CASSATA_FUZZ_TARGET_H
#define CASSATA_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* As assert, in every build. */
#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition))                                              \
			abort();                                               \
	} while (0)

/* What libFuzzer calls; replay.c does in its place. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
