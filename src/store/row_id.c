/* SPDX-License-Identifier: ISC */
#include "store/row_id.h"

#include <sys/random.h>
#include <unistd.h>

enum { COUNTER_BITS = 22 };

/* 2020-01-01: 41 bits of milliseconds from there last until 2089. */
static const int64_t epoch_ms = INT64_C(1577836800000);

static int64_t
random_counter(void)
{
	uint32_t random;

	/* A guess is good enough: a collision only costs a second try. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)getpid() * 2654435761U;
	return random >> (32 - COUNTER_BITS);
}

int64_t
row_id_make(int64_t wall_ms)
{
	static int64_t counter = -1, last;
	int64_t since_ms = wall_ms - epoch_ms, id;

	if (counter == -1)
		counter = random_counter();
	counter = (counter + 1) & ((1 << COUNTER_BITS) - 1);

	if (since_ms < 0)
		since_ms = 0;
	id = since_ms * (1 << COUNTER_BITS) + counter;
	/* Also when the counter wraps or the clock steps back. */
	last = id > last ? id : last + 1;
	return last;
}

int64_t
row_id_first(int64_t wall_ms)
{
	const int64_t last_ms = INT64_MAX >> COUNTER_BITS;
	int64_t since_ms = wall_ms - epoch_ms;

	if (since_ms < 0)
		since_ms = 0;
	return (since_ms < last_ms ? since_ms : last_ms) * (1 << COUNTER_BITS);
}

int64_t
row_id_made_ms(int64_t row_id)
{
	return epoch_ms + (row_id >> COUNTER_BITS);
}
