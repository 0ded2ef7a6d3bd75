/* SPDX-License-Identifier: ISC */
#include "base/uuid.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

int
uuid_make_v7(int64_t wall_ms, char text[UUID_TEXT_BYTES])
{
	uint64_t time_ms = (uint64_t)wall_ms & 0xffffffffffff;
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -1;
	(void)snprintf(text, UUID_TEXT_BYTES,
	    "%08" PRIx64 "-%04" PRIx64 "-7%03" PRIx64 "-%04" PRIx64
	    "-%012" PRIx64,
	    time_ms >> 16, time_ms & 0xffff, random[0] & 0xfff,
	    0x8000 | (random[0] >> 12 & 0x3fff), random[1] & 0xffffffffffff);
	return 0;
}
